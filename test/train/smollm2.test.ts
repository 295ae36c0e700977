import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cacheDirectory } from '../../src/host/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { smolLM2 } from '../../src/io/hub.ts'
import { capacityFor } from '../../src/train/index.ts'
import { evaluateRows, generateText } from '../../src/train/finetune.ts'
import { openModel, promptIds } from '../../src/program/model.ts'
import { openFrozen } from '../../src/program/pretrained.ts'
import { golden } from '../support/command-line.ts'
import { noNode } from '../support/native-library.ts'

interface Case {
  readonly text: string
  readonly ids: readonly number[]
  readonly loss: number
  readonly greedy_16: readonly number[]
  readonly greedy_text: string
}
interface Golden {
  readonly cases: readonly Case[]
  readonly chat: { readonly messages: readonly { readonly content: string }[]; readonly ids: readonly number[] }
}

const file = join(cacheDirectory(), smolLM2.file)
const skip = existsSync(file) ? false : `left out: ${smolLM2.name} is not in the cache; npm start fetches it`

for (const target of ['wasm', 'graph'] as const)
  test(
    `SmolLM2 on ${target}: ids, loss and greedy text are those of PyTorch`,
    { skip: skip || (target === 'graph' && noNode) },
    async t => {
      const { cases, chat } = JSON.parse(readFileSync(join(golden, 'smollm2.json'), 'utf8')) as Golden
      const source = await orThrow(openModel(file))
      const tokenizer = source.tokenizer!
      assert.deepEqual(await orThrow(async () => promptIds(tokenizer, chat.messages[0]!.content, true)), chat.ids)
      await using session = await openFrozen(source, { target })
      using decoder = session.decoder({ batch: 1, capacity: capacityFor(32, 16) })
      for (const { text, ids, loss, greedy_16, greedy_text } of cases) {
        await t.test(text, async () => {
          assert.deepEqual(tokenizer.encode(text), ids)
          const row = { input_ids: Int32Array.from(ids), labels: Int32Array.from(ids) }
          const found = await evaluateRows(session, [row], 1)
          assert.ok(Math.abs(found.loss - loss) < 2e-3, `loss ${found.loss}: expected ${loss}`)
          const made = await generateText(decoder, tokenizer, ids, { maxTokens: 16, stop: new Set() })
          assert.deepEqual(made.ids, greedy_16)
          assert.equal(made.text, greedy_text)
        })
      }
    },
  )
