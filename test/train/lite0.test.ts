import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { adamw, compile, orThrow, trainStep, type TargetName } from '../../src/index.ts'
import { loadAdapter, saveAdapter, saveMerged } from '../../src/io.ts'
import { checkBase, loadedFor, type Adapter } from '../../src/io/index.ts'
import { openClassifier } from '../../src/model.ts'
import { continuedFrom } from '../../src/program/start-from.ts'
import { tuneModel } from '../../src/program/tune.ts'
import { buffersWithAdapters, withAdapters } from '../../src/train/finetune.ts'
import { temporary } from '../support/command-line.ts'
import { farthest } from '../support/images.ts'
import { noNode } from '../support/native-library.ts'
import { liteLogits, savedLite, trainedLite } from '../support/tuned-lite.ts'
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

const methods: readonly (readonly [string, MethodChoice, modules: number, targets?: readonly TargetName[]])[] = [
  ['PaCA', { method: 'paca', rank: 4, seed: 1 }, 47, ['wasm', 'reference', 'graph']],
  ['LoRA', { method: 'lora', rank: 4, seed: 1 }, 31],
  ['LoRA-FA', { method: 'lorafa', rank: 4, seed: 1 }, 31],
  ['full fine-tuning', { method: 'full', seed: 1 }, 149],
  ['full fine-tuning of the head', { method: 'full', targetModules: ['classifier', 'classifier.bias'], seed: 1 }, 2],
]
for (const [name, choice, modules, targets = ['wasm']] of methods)
  for (const target of targets)
    test(
      `an adapter of ${name} of convolutions, and the model that it is merged into, have its logits on ${target}`,
      { skip: target === 'graph' && noNode !== undefined ? noNode : false },
      async () => {
        const { classifier, adapter, batch, before, logits } = await trainedLite(folder, choice, { labels }, target)
        assert.ok(farthest(before, logits) > 0.1)
        assert.equal(adapter.modules.size, modules)
        const out = join(scratch, `${name}-${target}`)
        await orThrow(saveAdapter(out, adapter))
        await orThrow(saveMerged(`${out}-merged`, classifier.checkpoint, [{ adapter }]))
        await classifier.checkpoint.close()

        const again = await orThrow(loadAdapter(out))
        // every norm has a mean and a variance
        assert.equal(again.buffers?.size, 2 * 49)
        const bound = await reopened(again)
        const uses = [{ adapter: again }]
        const weights = withAdapters(bound.weights, uses)
        const changed = { ...bound, weights, buffers: buffersWithAdapters(bound.buffers, uses) }
        assert.ok(isNear(await liteLogits(changed, batch.images, target), logits))
        const forgetful = { ...bound, weights }
        assert.ok(!isNear(await liteLogits(forgetful, batch.images, target), logits), 'the statistics matter')
        await bound.checkpoint.close()

        const merged = await orThrow(openClassifier(`${out}-merged`))
        assert.deepEqual(merged.checkpoint.config.labels, labels)
        assert.ok(isNear(await liteLogits(merged, batch.images, target), logits))
        await merged.checkpoint.close()
      },
    )
