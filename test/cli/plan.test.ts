import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  compare,
  explainModel,
  openFollowing,
  planModel,
  type ModelPlan,
  type PlanModelOptions,
} from '../../src/program/index.ts'
import { publishedNames } from '../../src/model/index.ts'
import { methodNames } from '../../src/tune/index.ts'
import { jsonLines, partensor, temporary, tiny } from '../support/command-line.ts'

const planned = async (options: Partial<PlanModelOptions>): Promise<ModelPlan> => {
  const result = await planModel({ model: tiny, method: 'paca', rank: 4, seed: 0, batch: 2, seq: 24, ...options })
  return 'rows' in result ? assert.fail('one method was asked for') : result
}
/** The sentence of a refusal. */
const refused = async (options: Partial<PlanModelOptions>): Promise<string> => {
  const error: unknown = await planned(options).then(
    () => assert.fail('nothing was refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Error && !error.message.includes('\n'), String(error))
  return error.message
}

test('plan prints what it needs and what fits, as JSON too', async () => {
  const options = ['--model', tiny, '--method', 'paca', '--rank', '4', '--batch', '2', '--seq', '24', '--device', '2MB']
  const [text, json] = await Promise.all([partensor('plan', ...options), partensor('plan', ...options, '--json')])
  assert.equal(text.code, 0, text.stderr)
  for (const line of [
    /^paca on wasm in f32, 2 × 24 tokens$/m,
    /^trained: [\d,]+ of [\d,]+ parameters$/m,
    /^weights +[\d.]+ KB$/m,
    /^saved in model\.layers\.0, 1 layer: [\d.]+ KB each$/m,
    /^largest: .*[KM]B of /m,
    /^2MB holds 2\.00 MB:$/m,
    /longest rows in a batch of 2: \d+ tokens$/m,
  ])
    assert.match(text.stdout, line)
  const [plan] = jsonLines(json.stdout)
  assert.equal(plan?.['event'], 'done')
  const { weights, state, saved, passing, total } = plan as unknown as ModelPlan
  assert.equal(weights + state + saved + passing, total)
})

test('with checkpointing a plan saves less from forward to backward, and computes more', async () => {
  for (const target of ['wasm', 'graph'] as const) {
    const [plain, again] = [await planned({ target }), await planned({ target, checkpointing: true })]
    assert.ok(again.saved < plain.saved && again.flops.backward > plain.flops.backward, target)
    assert.equal(again.flops.forward, plain.flops.forward, target)
  }
})

test('the largest batch and the longest rows fit the device, and one more does not', async () => {
  const device = '3MB'
  const { maxBatch, maxSeq } = await planned({ device })
  assert.ok(maxBatch !== undefined && maxSeq !== undefined && maxBatch > 2 && maxSeq > 24)
  for (const [sizes, fits] of [
    [{ batch: maxBatch }, true],
    [{ batch: maxBatch + 1 }, false],
    [{ seq: maxSeq }, true],
    [{ seq: maxSeq + 1 }, false],
  ] as const)
    assert.equal((await planned(sizes)).total <= 3e6, fits, JSON.stringify(sizes))
})

test('models of 8 and 70 billion parameters are planned from their shapes, on both kinds of targets', async () => {
  const large = { rank: 8, batch: 1, seq: 512 } as const
  const eight = await planned({ model: 'llama3-8b', ...large })
  // 11,010,048 = 32 layers × 8 columns × (3 · 4096 + 2 · 1024 + 2 · 14336) outputs
  assert.equal(eight.trainable, 32 * 8 * (3 * 4096 + 2 * 1024 + 2 * 14336))
  assert.equal(eight.parameters, 8_030_261_248)
  const half = await planned({ model: 'llama3-8b', ...large, precision: 'bf16' })
  assert.equal(half.target, 'graph')
  assert.ok(Math.abs(half.weights / eight.weights - 0.5) < 0.01)
  const seventy = await planned({ model: 'llama3.1-70b', ...large, method: 'lora', precision: 'bf16' })
  assert.equal(seventy.parameters, 70_553_706_496)
  // the products of all weights but the embedding, twice for multiply and add, and attention beside them
  const products = 2 * 512 * (70_553_706_496 - 128256 * 8192)
  assert.ok(seventy.flops.forward > products && seventy.flops.forward < 1.1 * products)
})

test('within a budget the plan recomputes as little as the budget allows, and is refused if none fits', async () => {
  const at = { method: 'lora', seq: 96 } as const
  const plain = await planned(at)
  const least = await planned({ ...at, checkpointing: true })
  assert.ok(plain.instead === undefined && least.instead !== undefined && least.total < plain.total)
  const memory = Math.round((least.total + plain.total) / 2)
  const within = await planned({ ...at, memory, device: '1GB' })
  assert.ok(within.total <= memory && within.saved < plain.saved)
  assert.ok(within.flops.backward > plain.flops.backward && within.flops.forward === plain.flops.forward)
  assert.ok(within.instead!.total > memory && within.instead!.flops <= within.flops.forward + within.flops.backward)
  // sizes fit a device within a budget if some plan does
  assert.ok((await planned({ ...at, seq: within.maxSeq!, memory })).total <= memory)
  assert.match(
    await refused({ ...at, seq: within.maxSeq! + 1, memory }),
    /^memory [\d.]+ [KM]B is below the smallest plan of a step, which holds [\d.]+ [KM]B: /,
  )
  for (const target of ['wasm', 'graph'] as const)
    assert.match(
      await refused({ memory: 1e5, target }),
      /^memory 100 KB is below the weights with the optimizer's state, which take \d+ KB$/,
    )
})

test('a plan says where a run may hold more than it states', async () => {
  assert.equal((await planned({})).caveat, undefined)
  assert.match((await planned({ target: 'graph' })).caveat ?? '', /TensorFlow may hold more/)
})

test('every method is planned beside the others, or says why not', async () => {
  const result = await planModel({ model: tiny, methods: methodNames, rank: 4, seed: 0, batch: 2, seq: 24 })
  assert.ok('rows' in result)
  assert.deepEqual(
    result.rows.map(({ method }) => method),
    methodNames,
  )
  const refusals = result.rows.flatMap(row => ('refused' in row ? [`${row.method}: ${row.refused}`] : []))
  assert.deepEqual(refusals, ['biases: --method biases trains bias vectors, and this model has none'])
  const trained = (name: string) =>
    result.rows.flatMap(row => ('trainable' in row && row.method === name ? [row.saved] : []))[0]!
  assert.ok(trained('paca') < trained('lora'))
})

test('a sweep is a curve of plans that grows', async () => {
  const { sweep = [] } = await planned({ sweep: 'batch', device: '3MB' })
  assert.ok(sweep.length > 2)
  assert.deepEqual(
    sweep.map(({ fits }) => fits),
    sweep.map((_, i) => i < sweep.length - 1),
  )
  for (const [i, { size, total }] of sweep.entries()) {
    assert.equal(size, 2 ** i)
    assert.ok(i === 0 || total > sweep[i - 1]!.total)
    assert.equal(total, (await planned({ batch: size })).total)
  }
})

test('the optimizer, micro-batches and packed weights are in the plan', async () => {
  const plain = await planned({})
  assert.ok((await planned({ optimizer: 'sgd' })).state < plain.state)
  const full = { method: 'full', rank: undefined, seq: 96 } as const
  assert.ok((await planned({ ...full, accumulate: 4 })).total > (await planned(full)).total)
  assert.ok((await planned({ quantize: 'nf4' })).weights < plain.weights)
  const dropped = await planned({ method: 'lora', dropout: 0.1 })
  assert.ok(dropped.flops.forward > (await planned({ method: 'lora' })).flops.forward)
})

test('what cannot be planned is refused in one sentence that lists what there is', async () => {
  const directory = await temporary()
  assert.match(await refused({ model: 'llama4' }), new RegExp(`there are ${publishedNames.join(', ')}$`))
  assert.equal(
    await refused({ device: 'b200' }),
    '--device b200: there is no such device: there are a100-80gb, h100, h200, this, or a number of bytes such as 24GB or 24GiB',
  )
  for (const device of ['', '0', '-1GB', '1e400', '12 apples'])
    assert.match(await refused({ device }), /no such device/)
  assert.match(
    await refused({ model: 'llama3-8b', device: '1GB' }),
    /^--device 1GB holds 1\.00 GB, and the weights with the optimizer's state take 32\.2 GB$/,
  )
  assert.match(
    await refused({ model: 'llama3-8b', batch: 2 ** 30, seq: 2 ** 30 }),
    /^--batch 1073741824 --seq 1073741824: the step holds more bytes than can be counted$/,
  )
  assert.match(await refused({ model: 'vit-b16', seq: 512 }), /--seq is of texts/)
  assert.match(await refused({ model: 'vit-b16', seq: undefined, sweep: 'seq' }), /--sweep seq is of texts/)
  assert.match(await refused({ precision: 'bf16', target: 'wasm' }), /bf16 needs --target graph/)
  assert.match(await refused({ memory: 1e9, sweep: 'seq' }), /^--sweep .* goes without --memory$/)
  for (const memory of [0, -1, Number.NaN]) assert.match(await refused({ memory }), /give a number of bytes above 0$/)
  const lacking = join(directory, 'config.json')
  await writeFile(lacking, '{"model_type":"llama"}')
  assert.match(await refused({ model: lacking }), /config\.json: \w+ is missing/)
})

test('a page that cannot be written is refused before anything is planned or run', async () => {
  const directory = await temporary()
  const file = join(directory, 'a-file')
  await writeFile(file, '')
  const common = { model: 'llama3-8b', method: 'paca', rank: 8, seed: 0, batch: 1 } as const
  const run = { ...common, model: tiny, data: 'rows.jsonl', eval: 'rows.jsonl', accumulate: 1, shuffle: false }
  const trained = {
    ...run,
    schedule: 'constant',
    warmup: 0,
    clip: 1,
    out: join(directory, 'out'),
    target: 'wasm',
  } as const
  const compared = { ...trained, methods: ['paca'], seeds: [0] } as const
  const writers: Readonly<Record<string, (html: string) => Promise<unknown>>> = {
    explain: html => explainModel({ ...common, html }),
    plan: html => planModel({ ...common, html }),
    compare: html => compare({ ...compared, html }, () => assert.fail('something was run')).next(),
    finetune: html => openFollowing({ logs: [], page: { path: html, subject: 'a run' } }, () => undefined),
  }
  for (const [name, write] of Object.entries(writers)) {
    await assert.rejects(
      write(directory),
      { message: `${directory}: it is a directory, where a file is expected` },
      name,
    )
    await assert.rejects(
      write(join(file, 'page.html')),
      /page\.html: what is there in the place of its folder is a file$/,
      name,
    )
    await assert.rejects(write(''), { message: 'the name of the file is empty' }, name)
  }
})

test('wrong words on the command line are refused with those that there are', async () => {
  const outcomes = await Promise.all([
    partensor('plan', '--model', tiny, '--methods', 'paca,adapters'),
    partensor('plan', '--model', tiny, '--sweep', 'rank'),
    partensor('plan', '--model', 'llama4'),
    partensor('plan', '--model', tiny, '--memory', 'much'),
  ])
  for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(
      stderr.trim(),
      [
        /all, or some of paca, .*lora/,
        /choices are seq, batch/,
        /llama2-7b, .*llama3-8b/,
        /a number of bytes above 0, as 900MB/,
      ][i]!,
    )
    assert.equal(stderr.trim().split('\n').length, 1)
  }
})
