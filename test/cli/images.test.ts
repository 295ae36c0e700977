import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  classify,
  compare,
  evaluate,
  explainModel,
  exportAdapter,
  finetune,
  verifyModel,
  type FinetuneEvent,
  type FinetuneOptions,
} from '../../src/program/commands.ts'
import type { EvaluateImagesResult } from '../../src/program/evaluate.ts'
import { loadAdapter } from '../../src/io.ts'
import { orThrow } from '../../src/index.ts'
import { drawClasses, preparedViT, withProcessor } from '../support/class-folders.ts'
import { savedLite } from '../support/tuned-lite.ts'
import { goldenViT } from '../support/images.ts'
import { jsonLines, partensor, temporary, tiny } from '../support/command-line.ts'

const directory = await temporary()
const at = (name: string): string => join(directory, name)
const model = await preparedViT(at('vit'))
const train = await drawClasses(at('train'), 10)
const test_ = await drawClasses(at('test'), 5)
const convolutional = await withProcessor(await savedLite(directory))
/** The same images, of which one is cut off in the middle. */
const broken = at('broken')
await cp(train, broken, { recursive: true })
await writeFile(join(broken, 'green/3.png'), (await readFile(join(train, 'green/3.png'))).subarray(0, 500))

const on = { target: 'wasm', threads: 1 } as const
const recipe: FinetuneOptions = {
  ...on,
  model,
  data: train,
  eval: test_,
  out: at('unset'),
  method: 'paca',
  rank: 4,
  steps: 12,
  batch: 8,
  accumulate: 1,
  shuffle: true,
  seed: 0,
  lr: 3e-3,
  schedule: 'constant',
  warmup: 0,
  clip: 1,
}
const run = async (options: Partial<FinetuneOptions>): Promise<readonly FinetuneEvent[]> => {
  const events: FinetuneEvent[] = []
  for await (const event of finetune({ ...recipe, ...options })) events.push(event)
  return events
}
const lossesOf = (events: readonly FinetuneEvent[]): readonly number[] =>
  events.flatMap(event => (event.event === 'step' ? [event.loss] : []))
const doneOf = (events: readonly FinetuneEvent[]) => events.find(event => event.event === 'done')!
const report = async (options: object): Promise<EvaluateImagesResult> => {
  const result = await evaluate({ ...on, model, data: test_, batch: 4, ...options })
  assert.ok('classes' in result)
  return result
}
const all = async <T>(events: AsyncIterable<T>): Promise<readonly T[]> => {
  const out: T[] = []
  for await (const event of events) out.push(event)
  return out
}

const paca = at('paca')
const first = await run({ out: paca })

test('a classifier learns other classes: its head is a new one, which is said, and its accuracy is told', () => {
  assert.ok(
    first.some(
      event =>
        event.event === 'warning' &&
        event.message === `${model}: classifier is a new one, for 3 classes instead of 10 others`,
    ),
  )
  const done = doneOf(first)
  assert.ok(done.evalLossAfter! < 0.2 && done.evalLossAfter! < done.evalLossBefore!)
  assert.equal(done.evalMetricsAfter!['top1'], 1)
  assert.deepEqual(
    first.flatMap(event => (event.event === 'step' && 'images' in event ? [event.images] : [])),
    [8, 8, 8, 6, 8, 8, 8, 6, 8, 8, 8, 6],
  )
})

test('evaluate says of an adapter what its training said of it, per class too, whatever the batch and the target', async () => {
  const done = doneOf(first)
  for (const options of [{ batch: 4 }, { batch: 15 }, { target: 'reference' }]) {
    const { loss, top1, images, classes, confusions } = await report({ adapter: [paca], ...options })
    assert.ok(Math.abs(loss - done.evalLossAfter!) < 1e-5)
    assert.deepEqual([top1, images, confusions], [1, 15, []])
    assert.deepEqual(
      classes.map(({ name, accuracy }) => [name, accuracy]),
      [
        ['blue', 1],
        ['green', 1],
        ['red', 1],
      ],
    )
  }
})

test('a report is written with the picture of its confusion matrix', async () => {
  const { out } = await report({ adapter: [paca], out: at('report') })
  const json = JSON.parse(await readFile(join(out!, 'report.json'), 'utf8')) as EvaluateImagesResult
  assert.equal(json.top1, 1)
  assert.match(await readFile(join(out!, 'confusion.svg'), 'utf8'), /^<svg [^]*predicted[^]*<\/svg>\n$/)
})

test('classify names the likeliest classes of each image, with probabilities that are those of the merged model', async () => {
  const merged = at('merged')
  await exportAdapter({ model, adapter: [paca], as: 'merged', out: merged })
  const [found, again] = await Promise.all(
    [{ adapter: [paca] }, { model: merged, batch: 2 }].map(options =>
      all(classify({ ...on, model, image: test_, top: 3, batch: 8, ...options })),
    ),
  )
  assert.equal(found!.length, 15)
  for (const [i, { file, classes }] of found!.entries()) {
    assert.ok(file.includes(classes[0]!.name))
    assert.ok(Math.abs(classes.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6)
    assert.deepEqual(
      classes.map(({ name, probability }) => [name, probability.toFixed(4)]),
      again![i]!.classes.map(({ name, probability }) => [name, probability.toFixed(4)]),
    )
  }
})

test('a run that goes on from an adapter has its classes and its weights', async () => {
  const events = await run({ adapter: paca, method: undefined, rank: undefined, out: at('more'), steps: 2 })
  assert.ok(Math.abs(doneOf(events).evalLossBefore! - doneOf(first).evalLossAfter!) < 1e-5)
  const others = await drawClasses(at('others'), 2, { red: [200, 40, 40], white: [240, 240, 240] })
  await assert.rejects(
    run({ adapter: paca, method: undefined, rank: undefined, data: others, out: at('x') }),
    /white.* is outside the 3 classes of the head: "blue", "green", "red"/,
  )
})

test('a head whose classes are those of the data is kept', async () => {
  const merged = at('merged-2')
  await exportAdapter({ model, adapter: [paca], as: 'merged', out: merged })
  const events = await run({ model: merged, out: at('kept'), steps: 1 })
  assert.ok(events.every(({ event }) => event !== 'warning'))
  assert.ok(Math.abs(doneOf(events).evalLossBefore! - doneOf(first).evalLossAfter!) < 1e-5)
})

test('steps are the same with and without the other half of the data ahead, and differ by augmentation', async () => {
  const [same, changed, twice] = await Promise.all([
    run({ out: at('same') }),
    run({ out: at('changed'), augment: { crop: 0.5, flip: 0.5, jitter: 0.5 } }),
    run({ out: at('twice'), augment: { crop: 0.5, flip: 0.5, jitter: 0.5 } }),
  ])
  assert.deepEqual(lossesOf(same), lossesOf(first))
  assert.notDeepEqual(lossesOf(changed), lossesOf(first))
  assert.deepEqual(lossesOf(changed), lossesOf(twice))
})

test('a broken image ends a run by its name, after what was learned is saved', async () => {
  const name = join(broken, 'green/3.png')
  // in the order of the data it is the 14th
  const options = { data: broken, shuffle: false, eval: undefined, batch: 4 } as const
  await assert.rejects(run({ ...options, out: at('cut') }), (error: Error) => {
    assert.ok(error.message.startsWith(`${name}: the image is broken`))
    assert.ok(error.message.endsWith(`; the adapter is saved in ${at('cut')}`))
    return true
  })
  assert.ok((await report({ adapter: [at('cut')] })).images === 15)
  await assert.rejects(run({ ...options, batch: 16, out: at('none') }), new RegExp(`^.*${name}: the image is broken`))
})

test('broken images are left out where that is asked for, and each is named once', async () => {
  const warnings: string[] = []
  const onWarning = (message: string): void => {
    warnings.push(message)
  }
  const events = await run({ data: broken, skipBroken: true, onWarning, out: at('skipped'), eval: undefined })
  assert.equal(lossesOf(events).length, 12)
  assert.deepEqual(warnings.length, 1, warnings.join('\n'))
  assert.match(warnings[0]!, /green\/3\.png: the image is broken.*: left out$/)
  assert.equal((await report({ data: broken, adapter: [paca], skipBroken: true })).broken, 1)
  const found = await all(
    classify({ ...on, model, adapter: [paca], image: broken, top: 1, batch: 8, skipBroken: true }),
  )
  assert.ok(found.length === 29 && found.every(({ file, classes }) => file.includes(classes[0]!.name)))
})

test('selection by weight and by gradient choose columns for images too', async () => {
  for (const select of ['weight', 'gradient'] as const) {
    const options = { select, selectSteps: select === 'gradient' ? 3 : undefined, steps: 2 }
    const events = await run({ ...options, out: at(select), eval: undefined })
    assert.ok(events.some(({ event }) => event === 'selected'))
  }
})

test('explain, verify and compare know images', async () => {
  const { saved } = await explainModel({ model, method: 'paca', rank: 4, seed: 0, batch: 8 })
  const whole = await explainModel({ model, method: 'full', seed: 0, batch: 8 })
  assert.ok(saved < whole.saved)
  const certificate = await verifyModel(
    {
      ...on,
      model,
      data: train,
      rows: 6,
      batch: 3,
      steps: 2,
      method: 'paca',
      rank: 4,
      seed: 0,
      optimizer: 'sgd',
      clip: 1,
      proof: 'never',
      iterations: 6,
    },
    () => undefined,
  )
  assert.deepEqual([certificate.subject.rows, certificate.subject.seq, certificate.summary.violations], [6, null, 0])
  const { method: _, out: __, seed: ___, eval: held, ...options } = recipe
  const events = await all(
    compare({ ...options, eval: held!, methods: ['paca', 'full'], steps: 2, seeds: [0, 1] }, args =>
      partensor(...args),
    ),
  )
  const done = events.find(event => event.event === 'done')
  assert.ok(done?.event === 'done')
  const [one, other] = done.rows
  assert.ok(one!.savedBytesPerImage! < other!.savedBytesPerImage! && one!.savedBytesPerToken === undefined)
  assert.ok(one!.metrics!['top1']!.deviation! >= 0)
})

test('a run of a network with batch norms keeps its running statistics: evaluated, merged, and gone on from', async () => {
  const [lite, merged] = [at('lite'), at('lite-merged')]
  const options = { model: convolutional, steps: 2, rank: 2 } as const
  const done = doneOf(await run({ ...options, out: lite }))
  const adapter = await orThrow(loadAdapter(lite))
  assert.ok(adapter.buffers!.size > 0)
  await exportAdapter({ model: convolutional, adapter: [lite], as: 'merged', out: merged })
  await withProcessor(merged)
  const near = (loss: number): void => {
    assert.ok(Math.abs(loss - done.evalLossAfter!) < 1e-4 * done.evalLossAfter!, `${loss}, ${done.evalLossAfter}`)
  }
  near((await report({ model: convolutional, adapter: [lite] })).loss)
  near((await report({ model: merged })).loss)
  const more = { ...options, method: undefined, rank: undefined, adapter: lite, out: at('lite-more') }
  near(doneOf(await run(more)).evalLossBefore!)
})

test('frozen statistics are in no adapter, and are refused where there are none', async () => {
  const options = { model: convolutional, steps: 2, rank: 2, frozenStatistics: true } as const
  await run({ ...options, out: at('frozen') })
  assert.equal((await orThrow(loadAdapter(at('frozen')))).buffers, undefined)
  await assert.rejects(run({ frozenStatistics: true, out: at('x') }), /no running statistics to freeze/)
})

test('the command line prints accuracy, classes and lines of JSON', async () => {
  const target = ['--target', 'wasm', '--threads', '1']
  const [text, json] = await Promise.all([
    partensor('evaluate', '--model', model, '--adapter', paca, '--data', test_, ...target),
    partensor(
      'classify',
      '--model',
      model,
      '--adapter',
      paca,
      '--image',
      join(test_, 'red/0.png'),
      '--top',
      '1',
      '--json',
      ...target,
    ),
  ])
  assert.match(text.stdout, /^blue {3}100\.00 % {2}\(5 of 5\)$/m)
  assert.match(text.stdout, /^top-1 100\.00 %, top-5 100\.00 %, loss 0\.\d{4}, 15 images$/m)
  assert.match(String((jsonLines(json.stdout)[0]!['classes'] as { name: string }[])[0]!.name), /red/)
})

const refusals: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  ['tokens of images', () => run({ seq: 8, out: at('x') }), /^--seq is of texts, and this model classifies images$/],
  [
    '--skip-broken of texts',
    () => evaluate({ ...on, model: tiny, data: 'x', batch: 1, skipBroken: true }),
    /^--skip-broken is of images/,
  ],
  [
    'a report on texts',
    () => evaluate({ ...on, model: tiny, data: 'x', batch: 1, out: at('x') }),
    /^--out is of images/,
  ],
  ['one class', () => run({ data: at('train/red'), out: at('x') }), /there are no images: expected folders/],
  ['labels of another head', () => report({}), /the label "blue" is outside the 10 classes of the head/],
  ['no image', () => all(classify({ ...on, model, image: at('empty'), top: 1, batch: 1 })), /there are no images/],
  [
    'a language model that classifies',
    () => all(classify({ ...on, model: tiny, image: train, top: 1, batch: 1 })),
    /expected a model that classifies images/,
  ],
  [
    'a head that is new and not trained',
    () => run({ method: 'full', rank: undefined, targetModules: ['q_proj'], out: at('x') }),
    /has to be trained whole: name classifier in --target-modules/,
  ],
  [
    'a rank above the width',
    () => run({ rank: 100, out: at('x') }),
    /^rank 100 is above the width of .*, which has 48 columns$/,
  ],
  [
    'images of another size',
    async () => run({ model: await preparedViT(at('large'), { size: { height: 64, width: 64 } }), out: at('x') }),
    /prepared as 64 × 64, and the model reads 32 × 32/,
  ],
  ['no preparation', () => run({ model: goldenViT, out: at('x') }), /preprocessor_config\.json: there is no such file/],
]
await mkdir(at('empty'))
for (const [name, asked, sentence] of refusals)
  test(`refused in one sentence: ${name}`, async () => {
    await assert.rejects(asked, (error: Error) => {
      assert.match(error.message, sentence)
      assert.ok(!error.message.includes('\n'))
      return true
    })
    await rm(at('x'), { recursive: true, force: true })
  })
