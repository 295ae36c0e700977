import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile, SessionError } from '../../../src/index.ts'
import { failureOf } from '../../../src/backend/graph/failure.ts'
import { nodeTest } from '../../support/native-library.ts'
import { openTiny, tinyBatch, tinyStep } from '../../support/tiny-llama.ts'

const said: readonly (readonly [what: string, text: string, sentence: RegExp, ofInput: boolean])[] = [
  [
    'an index beyond the table',
    'Session fail to run with error: indices[3] = 320 is not in [0, 320)\n\t [[{{node GatherV2}}]]',
    /^index 320 is not below 320$/,
    true,
  ],
  ['an index below zero', 'indices[0,1] = -7 is not in [0, 320)', /^index -7 is not above -1$/, true],
  ['an index beyond a row', 'indices[5] = [2, 7] does not index into shape [3,7]', /^index 7 is not below 7$/, true],
  ['an index beyond the rows', 'indices[1] = [9] does not index into shape [9,7]', /^index 9 is not below 9$/, true],
  [
    'too little memory',
    'OOM when allocating tensor with shape[1,2]',
    /^there was too little memory for step: take a smaller batch or shorter rows$/,
    false,
  ],
  ['anything else', 'Something odd [[{{node X}}]]\nand more', /^TensorFlow could not run step: Something odd$/, false],
]
for (const [what, text, sentence, ofInput] of said) {
  test(`${what} is told in one sentence`, () => {
    const failure = failureOf('step', new Error(text))
    assert.match(failure.error.message, sentence)
    assert.equal(failure.ofInput, ofInput)
  })
}

nodeTest(
  'a token outside of the vocabulary is refused with one sentence, and the session goes on as if it had not been given',
  async () => {
    const loaded = await openTiny()
    const batch = await tinyBatch()
    const step = await tinyStep(loaded, 'paca')
    const open = () => compile(step, { target: 'graph', weights: loaded.weights })
    await using first = await open()
    await using second = await open()
    await loaded.checkpoint.close()
    const wrong = { ...batch, input_ids: { ...batch.input_ids, data: batch.input_ids.data.map(() => 320) } }
    for (const refused of [() => first.step([wrong]), () => first.evaluate(wrong), () => first.step([batch, wrong])]) {
      await assert.rejects(
        refused(),
        error => error instanceof SessionError && error.message === 'index 320 is not below 320',
      )
    }
    for (let i = 0; i < 2; i++) assert.equal((await first.step([batch])).loss, (await second.step([batch])).loss)
  },
)
