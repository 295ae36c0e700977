import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { inputWidths, saveMerged, savePeft } from '../../src/io/index.ts'
import { inDirectory, right } from '../support/archives.ts'
import { goldenViT } from '../support/images.ts'
import { ask, findPython } from '../support/python.ts'
import { trainedViT, viTNumbers } from '../support/tuned-vit.ts'
import type { MethodChoice } from '../../src/program/method.ts'

const python = await findPython()
const none = E.isRight(python) && python.right === undefined
const skip = none ? 'there is no Python with torch, peft and transformers (CI=true installs them)' : false
const interpreter = (): string => {
  if (E.isLeft(python)) assert.fail(python.left)
  return python.right ?? assert.fail('there is no Python')
}

/** An array as nested lists. */
const nested = (sizes: readonly number[], data: Float32Array): unknown => {
  const [first = 0, ...rest] = sizes
  if (rest.length === 0) return [...data]
  const step = data.length / first
  return Array.from({ length: first }, (_, i) => nested(rest, data.subarray(i * step, (i + 1) * step)))
}

const methods: readonly (readonly [string, MethodChoice, inPeft: boolean])[] = [
  ['paca', { method: 'paca', rank: 4, seed: 1 }, true],
  ['lora', { method: 'lora', rank: 4, seed: 1 }, true],
  ['full', { method: 'full', seed: 1 }, false],
]

test('transformers and PEFT have the logits of a ViT that was trained and saved here', { skip }, () =>
  inDirectory(async directory => {
    const { sizes, data } = (await viTNumbers()).get('pixel_values')!
    const images = nested(sizes, data)
    const tasks: { readonly name: string; readonly task: object }[] = []
    for (const [name, choice, inPeft] of methods)
      for (const labels of [undefined, ['cat', 'dog', 'owl']]) {
        const { classifier, adapter, logits } = await trainedViT(choice, labels)
        const { checkpoint } = classifier
        const due = nested([sizes[0]!, logits.length / sizes[0]!], logits)
        const out = join(directory, `${name}-${labels?.length ?? 10}`)
        await right(saveMerged(`${out}-merged`, checkpoint, [{ adapter }]))
        const merged = { kind: 'images', base: goldenViT, images, model: `${out}-merged`, logits: due }
        tasks.push({ name: `${out}-merged`, task: merged })
        if (inPeft && labels === undefined) {
          await right(savePeft(out, adapter, inputWidths(checkpoint)))
          tasks.push({ name: out, task: { ...merged, model: goldenViT, adapter: out } })
        }
        await checkpoint.close()
      }
    const answers = (await ask(
      interpreter(),
      tasks.map(({ task }) => task),
      directory,
    )) as readonly { readonly difference: number; readonly moved: number }[]
    assert.equal(answers.length, tasks.length)
    answers.forEach(({ difference, moved }, i) => {
      assert.ok(moved > 0.01, `${tasks[i]!.name} moves the logits by ${moved}`)
      assert.ok(difference < 2e-5, `${tasks[i]!.name}: the logits differ by ${difference}`)
    })
  }),
)
