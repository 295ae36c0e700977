import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { orThrow } from '../../src/index.ts'
import { checkBase, inputWidths, loadAdapter, loadedFor, peftBaseOf, saveMerged, savePeft } from '../../src/io/index.ts'
import { openClassifier } from '../../src/model.ts'
import type { MethodChoice } from '../../src/program/method.ts'
import { buffersWithAdapters, withAdapters } from '../../src/train/finetune.ts'
import { inDirectory, message } from '../support/archives.ts'
import { formula, formulaImages } from '../support/formula.ts'
import { farthest } from '../support/images.ts'
import { ask, findVision } from '../support/python.ts'
import { liteLogits, savedLite, trainedLite } from '../support/tuned-lite.ts'

/** Adapters of networks with convolutions beside PEFT, and merged ones beside the libraries of their names. */

const found = await findVision()
const none = E.isRight(found) && found.right === undefined
const skip = none ? 'there is no Python with torchvision and timm (CI=true installs them)' : false
const python = () => {
  if (E.isLeft(found)) assert.fail(found.left)
  return found.right ?? assert.fail('there is no Python')
}

/** The images of `formulaImages` for the script, which has channels before rows. */
const imagesIn = async (directory: string, size: number) => {
  const images = join(directory, `images-${size}`)
  const sizes = [4, 3, size, size]
  await writeFile(
    images,
    Float32Array.from(formula('image', sizes), x => 4 * Math.fround(x)),
  )
  return { images, sizes }
}
const largest = (numbers: readonly number[]): number => Math.max(...numbers.map(Math.abs))
const numbers = (answer: unknown): readonly number[] => {
  assert.ok(Array.isArray(answer) && answer.every(x => typeof x === 'number'))
  return answer
}

test('adapters of the pretrained Lite0 are the same in PEFT and here, whoever saved them', { skip }, () =>
  inDirectory(async directory => {
    const size = 64
    const base = join(directory, 'lite0')
    const given = { directory: base, ...(await imagesIn(directory, size)) }
    const targets = ['_conv_stem', '_expand_conv', '_project_conv', '_conv_head']
    const saved = [
      { rank: 4, targets, whole: ['_fc'] },
      // of another number of classes, and with norms whose statistics have moved
      { rank: 3, targets: ['_expand_conv'], whole: ['_fc', '_bn1', '_bn2'], classes: 3, trained: true },
      { rank: 32, targets: ['_blocks.0._depthwise_conv'], whole: null },
    ].map((task, i) => ({ kind: 'saves', seed: i, ...given, ...task, adapter: join(directory, `theirs-${i}`) }))
    const [, ...theirs] = await ask(python(), [{ kind: 'lite0', ...given }, ...saved], directory, 'vision.py')

    const images = formulaImages(4, size)
    for (const [i, { adapter: path }] of saved.slice(0, 2).entries()) {
      const adapter = await orThrow(loadAdapter(path))
      const opened = await orThrow(openClassifier(base))
      assert.deepEqual(await orThrow(checkBase(adapter, opened.checkpoint)), [])
      const bound = loadedFor(opened, [adapter])
      const uses = [{ adapter }]
      const [weights, buffers] = [withAdapters(bound.weights, uses), buffersWithAdapters(bound.buffers, uses)]
      const logits = await liteLogits({ ...bound, weights, buffers }, images)
      const due = numbers(theirs[i])
      assert.ok(farthest(logits, due) < 1e-4 * largest(due), `${path}: off by ${farthest(logits, due)}`)
      await opened.checkpoint.close()
    }
    assert.match(
      await message(loadAdapter(saved[2]!.adapter)),
      /mixes the channels of _blocks\.0\._depthwise_conv, which/,
    )

    const matrices = ['_expand_conv', '_project_conv', '_conv_stem']
    const modulesToSave = ['_fc']
    const cases: readonly (readonly [MethodChoice, frozen: boolean, labels?: readonly string[]])[] = [
      [{ method: 'lora', rank: 4, seed: 1 }, true],
      [{ method: 'lora', rank: 4, rslora: true, targetModules: matrices, modulesToSave, seed: 1 }, false, ['a', 'b']],
      [{ method: 'paca', rank: 2, targetModules: matrices, modulesToSave, seed: 1 }, false],
    ]
    const tasks: object[] = []
    const ours: Float32Array[] = []
    for (const [i, [choice, frozenStatistics, labels]] of cases.entries()) {
      const options = { frozenStatistics, ...(labels ? { labels } : {}) }
      const { classifier, adapter, logits } = await trainedLite(base, choice, options)
      const { checkpoint } = classifier
      assert.equal(adapter.buffers === undefined, frozenStatistics)
      const out = join(directory, `ours-${i}`)
      await orThrow(savePeft(out, adapter, inputWidths(checkpoint), await orThrow(peftBaseOf(checkpoint, adapter))))
      await checkpoint.close()
      tasks.push({ kind: 'loads', ...given, adapter: out, ...(labels ? { classes: labels.length } : {}) })
      ours.push(logits)
      // it comes back as it went
      const again = await orThrow(loadAdapter(out))
      assert.deepEqual([...(again.buffers?.keys() ?? [])].sort(), [...(adapter.buffers?.keys() ?? [])].sort())
    }
    const answers = await ask(python(), tasks, directory, 'vision.py')
    for (const [i, logits] of ours.entries()) {
      const { logits: all, base: before } = answers[i] as Readonly<Record<'logits' | 'base', unknown>>
      const due = numbers(all)
      assert.ok(farthest(logits, due) < 1e-4 * largest(due), `${i}: the logits are off by ${farthest(logits, due)}`)
      assert.ok(farthest(due, numbers(before)) > 0.01 * largest(due))
    }
  }),
)

test(
  "what PaCA has trained has the same logits, merged, in timm and torchvision; in timm's networks LoRA has, too",
  { skip },
  () =>
    inDirectory(async directory => {
      const size = 32
      const images = await imagesIn(directory, size)
      const tasks: object[] = []
      const ours: Float32Array[] = []
      for (const name of ['tf_efficientnet_lite0', 'efficientnet_v2_s', 'lora']) {
        const base =
          name === 'lora' ? join(directory, 'tf_efficientnet_lite0') : await savedLite(directory, name, size, 8)
        const out = join(directory, `${name}-out`)
        const choice: MethodChoice = { method: name === 'lora' ? 'lora' : 'paca', rank: 4, seed: 1 }
        const { classifier, adapter, logits } = await trainedLite(base, choice)
        const { checkpoint } = classifier
        const facts = await orThrow(peftBaseOf(checkpoint, adapter))
        if (name === 'lora') await orThrow(savePeft(out, adapter, inputWidths(checkpoint), facts))
        else await orThrow(saveMerged(out, checkpoint, [{ adapter }]))
        await checkpoint.close()
        tasks.push(
          name === 'lora'
            ? { kind: 'loads', directory: base, adapter: out, ...images }
            : { kind: 'logits', directory: out, ...images },
        )
        ours.push(logits)
      }
      const answers = await ask(python(), tasks, directory, 'vision.py')
      for (const [i, logits] of ours.entries()) {
        const { logits: all, rounding = 0 } = answers[i] as { readonly logits: unknown; readonly rounding?: number }
        const due = numbers(all)
        const most = 2 * rounding + 1e-4 * largest(due)
        assert.ok(rounding < 0.03 * largest(due), `PyTorch itself is off by ${rounding}`)
        assert.ok(farthest(logits, due) < most, `${i}: the logits are off by ${farthest(logits, due)} of ${most}`)
      }
    }),
)
