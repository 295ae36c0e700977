import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { adamw, compile, orThrow, trainStep } from '../../src/index.ts'
import { hashOf, loadAdapter, saveAdapter, saveMerged } from '../../src/io.ts'
import { exportAdapter } from '../../src/program/export.ts'
import { openClassifier, parameterCounts, tuneClassifier } from '../../src/model.ts'
import { leaves } from '../../src/compiler.ts'
import { checkBase, loadedFor, type Adapter } from '../../src/io/index.ts'
import { fromStorage, storedLeaf } from '../../src/model/index.ts'
import { withAdapters } from '../../src/train/finetune.ts'
import { temporary } from '../support/command-line.ts'
import { batchOf, farthest, goldenViT, isFloats, readTensors } from '../support/images.ts'
import { message } from '../support/archives.ts'
import { noNode } from '../support/native-library.ts'
import { logitsOf, trainedViT, tuned, viTNumbers } from '../support/tuned-vit.ts'
import type { MethodChoice } from '../../src/program/method.ts'

const scratch = await temporary()
after(() => rm(scratch, { recursive: true, force: true }))
const tensors = await viTNumbers()

test('PaCA adapts q, k, v, o, fc1 and fc2 of a ViT by default, and trains the head whole', async () => {
  const classifier = await orThrow(openClassifier(goldenViT))
  const { tuned: made, targets } = tuned(classifier, { method: 'paca', rank: 4, seed: 3 })
  const each = [0, 1].flatMap(i => [
    ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map(name => `vit.layers.${i}.attention.${name}`),
    ...['fc1', 'fc2'].map(name => `vit.layers.${i}.mlp.${name}`),
  ])
  assert.deepEqual(targets.modules.map(({ path }) => path).sort(), each.sort())
  assert.deepEqual(targets.whole, ['classifier.weight', 'classifier.bias'])
  // columns [4, out] of two layers, and the head with its bias
  const trainable = 2 * 4 * (4 * 48 + 96 + 48) + 48 * 10 + 10
  assert.deepEqual(parameterCounts(made, classifier.checkpoint, targets.modules).trainable, trainable)
  await classifier.checkpoint.close()
})

for (const target of ['reference', 'wasm', 'graph'] as const)
  test(
    `the gradients of PaCA's columns of a ViT are the rows of PyTorch's gradients, on ${target}`,
    { skip: target === 'graph' && noNode !== undefined ? noNode : false },
    async () => {
      const classifier = await orThrow(openClassifier(goldenViT))
      const batch = batchOf(classifier.model, tensors)
      const { tuned: made } = tuned(classifier, { method: 'paca', rank: 4, seed: 3 })
      await using session = await compile(trainStep(made, adamw({ lr: 1e-2 })), {
        target,
        threads: 1,
        weights: classifier.weights,
      })
      const found = leaves(await session.gradients(batch), isFloats)
      assert.equal(found.length, 14)
      for (const [path, { data }] of found) {
        const due = fromStorage(storedLeaf(path).layout, tensors.get(`grad.${path}`)!)
        const columns = session.selection.get(path.replace(/\.weight$/, ''))
        const width = due.sizes[1] ?? 1
        const rows = columns
          ? Float32Array.from(data, (_, i) => due.data[columns[Math.floor(i / width)]! * width + (i % width)]!)
          : due.data
        assert.ok(farthest(data, rows) < 1e-5, `${path} is off by ${farthest(data, rows)}`)
      }
      await classifier.checkpoint.close()
    },
  )

const methods: readonly (readonly [string, MethodChoice])[] = [
  ['PaCA', { method: 'paca', rank: 4, seed: 3 }],
  ['LoRA', { method: 'lora', rank: 4, seed: 3 }],
  ['full fine-tuning', { method: 'full', seed: 3 }],
]
for (const [name, choice] of methods)
  for (const labels of [undefined, ['cat', 'dog', 'owl']] as const)
    test(`${name} of a ViT ${labels ? 'with a new head' : ''} learns, and its adapter and the merged model have its logits`, async () => {
      const folder = join(scratch, `${choice.method}-${labels?.length ?? 0}`)
      const { classifier, batch, adapter, logits, losses } = await trainedViT(choice, labels)
      const { checkpoint, notes } = classifier
      assert.ok(losses.at(-1)! < losses[0]!, losses.join(' '))
      assert.deepEqual(
        notes.map(note => note.slice(goldenViT.length)),
        labels ? [': classifier is a new one, for 3 classes instead of 10 others'] : [],
      )
      assert.equal(logits.length, 3 * (labels?.length ?? 10))
      await orThrow(saveAdapter(`${folder}-adapter`, adapter))
      await orThrow(saveMerged(`${folder}-merged`, checkpoint, [{ adapter }]))
      await checkpoint.close()

      const again = await orThrow(loadAdapter(`${folder}-adapter`))
      const base = await orThrow(openClassifier(goldenViT))
      assert.deepEqual(await orThrow(checkBase(again, base.checkpoint)), [])
      const bound = loadedFor(base, [again])
      const uses = [{ adapter: again as Adapter }]
      assert.ok(
        farthest(await logitsOf({ ...bound, weights: withAdapters(bound.weights, uses) }, batch), logits) < 1e-5,
      )

      const merged = await orThrow(openClassifier(`${folder}-merged`))
      assert.deepEqual(merged.checkpoint.config.labels, labels ?? base.checkpoint.config.labels)
      assert.ok(farthest(await logitsOf(merged, batch), logits) < 1e-5)
      for (const { checkpoint: open } of [base, merged]) await open.close()
    })

test('an adapter of a ViT is exported merged as it is saved merged, and for PEFT', async () => {
  const { classifier, batch, adapter, logits } = await trainedViT({ method: 'paca', rank: 2, seed: 0 }, ['cat', 'dog'])
  await classifier.checkpoint.close()
  const [from, out, peft] = ['exported', 'out', 'peft'].map(name => join(scratch, name)) as [string, string, string]
  await orThrow(saveAdapter(from, adapter))
  const { notes } = await exportAdapter({ model: goldenViT, adapter: [from], as: 'merged', out })
  assert.deepEqual(notes, [])
  const merged = await orThrow(openClassifier(out))
  assert.deepEqual(merged.checkpoint.config.labels, ['cat', 'dog'])
  assert.ok(farthest(await logitsOf(merged, batch), logits) < 1e-5)
  await merged.checkpoint.close()
  await exportAdapter({ model: goldenViT, adapter: [from], as: 'peft-lora', out: peft })
  const config = JSON.parse(await readFile(join(peft, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
  assert.deepEqual([config['task_type'], config['modules_to_save']], [null, ['classifier']])
})

test('a new head changes neither the hash of its base nor the other weights, and each seed gives another', async () => {
  const base = await orThrow(openClassifier(goldenViT))
  const own = await orThrow(hashOf(base.checkpoint))
  const heads: Float32Array[] = []
  for (const seed of [0, 1]) {
    const { checkpoint } = await orThrow(openClassifier(goldenViT, { labels: ['cat', 'dog'], seed }))
    assert.equal(await orThrow(hashOf(checkpoint)), own)
    for (const [name, entry] of checkpoint.tensors)
      if (!name.startsWith('classifier')) assert.deepEqual(entry.sizes, base.checkpoint.tensors.get(name)!.sizes)
    heads.push(await orThrow(checkpoint.tensors.get('classifier.weight')!.readF32()))
    await checkpoint.close()
  }
  assert.notDeepEqual(heads[0], heads[1])
  await base.checkpoint.close()
})

test('adapters with heads for different classes are not used together', async () => {
  const [two, three] = [
    await trainedViT(methods[0]![1], ['cat', 'dog']),
    await trainedViT(methods[0]![1], ['a', 'b', 'c']),
  ]
  const uses = [two, three].map(({ adapter }) => ({ adapter }))
  const base = await orThrow(openClassifier(goldenViT))
  assert.match(
    await message(saveMerged(join(scratch, 'both'), base.checkpoint, uses)),
    /the adapters have heads for different classes: 2 and 3 of them$/,
  )
  for (const { checkpoint } of [two.classifier, three.classifier, base]) await checkpoint.close()
})

test("an adapter that PEFT saved, with its classifier, has PEFT's logits", async () => {
  const adapter = await orThrow(loadAdapter(join(goldenViT, 'lora')))
  assert.deepEqual([...adapter.whole!.keys()].sort(), ['classifier', 'classifier.bias'])
  const base = await orThrow(openClassifier(goldenViT))
  assert.deepEqual(await orThrow(checkBase(adapter, base.checkpoint)), [])
  const weights = withAdapters(base.weights, [{ adapter }])
  const due = await readTensors(join(goldenViT, 'lora.safetensors'))
  const found = await logitsOf({ model: base.model, weights }, batchOf(base.model, tensors))
  assert.ok(farthest(found, due.get('logits')!.data) < 1e-5)
  assert.ok(farthest(found, tensors.get('logits')!.data) > 1e-2, 'it changes the logits')
  await base.checkpoint.close()
})

test('a new head that an adapter would not hold is refused', async () => {
  const classifier = await orThrow(openClassifier(goldenViT, { labels: ['cat', 'dog'] }))
  for (const targetModules of [['q_proj'], ['classifier']]) {
    const made = tuneClassifier(classifier, { method: 'paca', targetModules, rank: 2, seed: 0 })
    assert.match(E.isLeft(made) ? made.left.message : '', /^classifier is a new one .*: --modules-to-save classifier$/)
  }
  assert.ok(E.isRight(tuneClassifier(classifier, { method: 'full', targetModules: ['classifier'], seed: 0 })))
  await classifier.checkpoint.close()
})

test('what cannot be adapted is refused by name', async () => {
  const classifier = await orThrow(openClassifier(goldenViT))
  const said = (choice: MethodChoice): string => {
    const made = tuneClassifier(classifier, choice)
    return E.isLeft(made) ? made.left.message : 'accepted'
  }
  assert.match(
    said({ method: 'paca', rank: 49, seed: 0 }),
    /rank 49 is above the width of vit\.layers\.0\.attention\.q_proj, which has 48/,
  )
  assert.match(
    said({ method: 'paca', targetModules: ['query'], seed: 0 }),
    /no module is called "query": there are projection, q_proj, k_proj/,
  )
  assert.match(
    said({ method: 'lora', modulesToSave: ['head'], seed: 0 }),
    /modules_to_save: no module is called "head"/,
  )
  await classifier.checkpoint.close()
  const config = JSON.parse(await readFile(join(goldenViT, 'config.json'), 'utf8')) as { readonly model_type: string }
  assert.equal(config.model_type, 'vit')
  assert.match(await message(openClassifier(goldenViT, { labels: [] })), /there are no classes$/)
})
