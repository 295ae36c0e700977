import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { adamw, compile, orThrow, trainStep, type TargetName } from '../../src/index.ts'
import { loadAdapter, saveAdapter, saveMerged } from '../../src/io.ts'
import { checkBase, loadedFor, mergedWeight, type Adapter } from '../../src/io/index.ts'
import { openClassifier, tuneClassifier } from '../../src/model.ts'
import { continuedFrom } from '../../src/program/start-from.ts'
import { tuneModel } from '../../src/program/tune.ts'
import { buffersWithAdapters, withAdapters } from '../../src/train/finetune.ts'
import { temporary } from '../support/command-line.ts'
import { message } from '../support/archives.ts'
import { farthest, goldenViT } from '../support/images.ts'
import { noNode } from '../support/native-library.ts'
import { liteLogits, savedLite, trainedLite } from '../support/tuned-lite.ts'
import { tuned } from '../support/tuned-vit.ts'
import type { MethodChoice } from '../../src/program/method.ts'

/** Adapters of a network with convolutions, on disk. */

const scratch = await temporary()
after(() => rm(scratch, { recursive: true, force: true }))
const folder = await savedLite(scratch)
const labels = ['cat', 'dog', 'owl'] as const
/** A part of the logits: what rounding changes in a network of fifty layers. */
const isNear = (found: Float32Array, due: Float32Array): boolean =>
  farthest(found, due) < 1e-4 * Math.max(...due.map(Math.abs))

/** The base with an adapter, as it is used again. */
const reopened = async (adapter: Adapter) => {
  const base = await orThrow(openClassifier(folder))
  assert.deepEqual(await orThrow(checkBase(adapter, base.checkpoint)), [])
  return loadedFor(base, [adapter])
}

const modulesToSave = ['classifier']
const last = ['conv_pw', 'conv_dw', 'conv_pwl'].map(name => `blocks.6.0.${name}`)
const others = ['reference', 'graph'] as const
type Case = readonly [string, MethodChoice, modules: number, targets?: readonly TargetName[]]
const methods: readonly Case[] = [
  ['PaCA', { method: 'paca', rank: 4, seed: 1 }, 47],
  ['PaCA of the last block', { method: 'paca', rank: 4, targetModules: last, modulesToSave, seed: 1 }, 3, others],
  ['LoRA', { method: 'lora', rank: 4, seed: 1 }, 31],
  ['full fine-tuning', { method: 'full', seed: 1 }, 149],
  ['the head alone', { method: 'full', targetModules: ['classifier', 'classifier.bias'], seed: 1 }, 2],
]
for (const [name, choice, modules, targets = ['wasm'] as const] of methods)
  for (const target of targets)
    test(
      `an adapter of ${name} in a network of convolutions, used again and merged, has the logits of its training on ${target}`,
      { skip: target === 'graph' && noNode !== undefined ? noNode : false },
      async () => {
        // the interpreter computes a smaller one
        const less = target === 'reference' ? { size: 2, steps: 1 } : {}
        const { classifier, adapter, batch, before, logits } = await trainedLite(
          folder,
          choice,
          { labels },
          { target, ...less },
        )
        assert.ok(farthest(before, logits) > 0.1)
        assert.equal(adapter.modules.size, modules)
        const out = join(scratch, `${choice.method}-${modules}-${target}`)
        await orThrow(saveAdapter(out, adapter))
        const again = await orThrow(loadAdapter(out))
        // every norm has a mean and a variance
        assert.equal(again.buffers?.size, 2 * 49)
        const bound = await reopened(again)
        const uses = [{ adapter: again }]
        const weights = withAdapters(bound.weights, uses)
        const changed = { ...bound, weights, buffers: buffersWithAdapters(bound.buffers, uses) }
        assert.ok(isNear(await liteLogits(changed, batch.images), logits))
        if (target === 'wasm') {
          assert.ok(!isNear(await liteLogits({ ...bound, weights }, batch.images), logits), 'the statistics matter')
          await orThrow(saveMerged(`${out}-merged`, classifier.checkpoint, uses))
          const merged = await orThrow(openClassifier(`${out}-merged`))
          assert.deepEqual(merged.checkpoint.config.labels, labels)
          assert.ok(isNear(await liteLogits(merged, batch.images), logits))
          await merged.checkpoint.close()
        }
        for (const { checkpoint } of [bound, classifier]) await checkpoint.close()
      },
    )

for (const method of ['paca', 'lora'] as const)
  test(`a run that goes on from an adapter of ${method} of convolutions starts at its logits`, async () => {
    const { classifier, adapter, batch, logits } = await trainedLite(folder, { method, rank: 4, seed: 1 })
    await classifier.checkpoint.close()
    const bound = await reopened(adapter)
    const { options, beginning, targets, written } = await orThrow(async () =>
      continuedFrom(adapter, 'it', { seed: 0 }),
    )
    const tuned = await orThrow(async () => tuneModel<'images'>(bound, options, beginning, targets))
    await using session = await compile(trainStep(tuned, adamw({ lr: 1e-2 })), {
      target: 'wasm',
      threads: 1,
      weights: written ? withAdapters(bound.weights, [{ adapter: written }]) : bound.weights,
      buffers: buffersWithAdapters(bound.buffers, [{ adapter }]),
    })
    assert.ok(isNear((await session.predict({ images: batch.images })).logits.data, logits))
    await bound.checkpoint.close()
  })

test('frozen statistics stay as they are, and an adapter holds none', async () => {
  const choice: MethodChoice = { method: 'paca', rank: 4, seed: 1 }
  const { classifier, adapter, batch, logits } = await trainedLite(folder, choice, { frozenStatistics: true })
  assert.equal(adapter.buffers, undefined)
  const weights = withAdapters(classifier.weights, [{ adapter }])
  assert.ok(isNear(await liteLogits({ ...classifier, weights }, batch.images), logits))
  await classifier.checkpoint.close()
  assert.match(
    await message(openClassifier(goldenViT, { frozenStatistics: true })),
    /: the model has no running statistics to freeze$/,
  )
})

test('running statistics of several adapters are averaged, or refused', async () => {
  const { classifier, adapter } = await trainedLite(folder, { method: 'full', targetModules: ['classifier'], seed: 1 })
  const path = 'bn1.running_var'
  const own = adapter.buffers!.get(path)!
  const base = { ...own, data: await orThrow(classifier.checkpoint.tensors.get(path)!.readF32()) }
  const weighed = (...weights: readonly number[]) =>
    mergedWeight(
      weights.map(weight => ({ adapter, weight })),
      path,
      base,
    )
  weighed(0.5, 0.25).data.forEach((x, i) =>
    assert.ok(Math.abs(x - (0.25 * base.data[i]! + 0.75 * own.data[i]!)) < 1e-6),
  )
  assert.deepEqual(weighed(1).data, own.data)
  for (const weights of [[1, 0.5], [-0.5], [1.5]])
    assert.throws(() => weighed(...weights), {
      message: /^bn1\.running_var: running statistics are averaged, so .* together$/,
    })
  await classifier.checkpoint.close()
})

test('what a method cannot adapt in a network of convolutions is refused by name', async () => {
  const classifier = await orThrow(openClassifier(folder))
  const said = (choice: MethodChoice): string => {
    const made = tuneClassifier(classifier, choice)
    return E.isLeft(made) ? made.left.message : 'accepted'
  }
  const refusals: readonly (readonly [MethodChoice, RegExp])[] = [
    [
      { method: 'paca', rank: 4, targetModules: ['conv_stem'], seed: 0 },
      /^rank 4 is above the width of conv_stem, which has 3 input channels$/,
    ],
    [
      { method: 'lora', targetModules: ['conv_dw'], seed: 0 },
      /^--method lora adapts linear modules and convolutions over all channels, and conv_dw is none of these$/,
    ],
    ...(['dora', 'moslora', 'vera', 'shira', 'miss'] as const).map(
      method =>
        [
          { method, seed: 0 },
          new RegExp(`^--method ${method} adapts linear modules, and conv_pw is none of these$`),
        ] as const,
    ),
    [{ method: 's2ft', seed: 0 }, /no module is called "o_proj"/],
    [{ method: 'ia3', seed: 0 }, /no module is called "k_proj"/],
    [
      { method: 'paca', quantize: 'nf4', rank: 4, seed: 0 },
      /^--quantize packs linear modules, and the model has none beside its head$/,
    ],
    [
      { method: 'lora', dropout: 0.1, seed: 0 },
      /^lora drops out inputs of matrices, and .* is a convolution: set its dropout to 0$/,
    ],
  ]
  for (const [choice, due] of refusals) assert.match(said(choice), due)
  const { targets } = tuned(classifier, { method: 'lora', rank: 2, seed: 0 })
  assert.ok(!targets.modules.some(({ path }) => path.endsWith('conv_dw')))
  assert.deepEqual(targets.whole, ['classifier.weight', 'classifier.bias'])
  await classifier.checkpoint.close()
})
