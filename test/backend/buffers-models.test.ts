import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  adapt,
  add,
  alsoTraining,
  compile,
  dora,
  dropout,
  explain,
  f32,
  full,
  i32,
  init,
  lora,
  matmul,
  mean,
  model,
  mul,
  nf4,
  nn,
  paca,
  quantized,
  relu,
  scan,
  sgd,
  square,
  squaredError,
  sub,
  take,
  tensor,
  trainStep,
  type Method,
  type Node,
  type Opaque,
  type TargetName,
} from '../../src/index.ts'
import { explanationText, interpret, type Numbers } from '../../src/compiler.ts'
import { load, save } from '../../src/io.ts'
import { verify } from '../../src/verify.ts'
import { compiledGraph } from '../../src/backend/graph/compiled.ts'
import { headOf } from '../../src/verify/bound/index.ts'
import { noNode } from '../support/native-library.ts'
import { valuesFor } from '../support/small-models.ts'

/** Buffers in models: repeated layers, an average of weights, methods, files; and what is refused. */

const targets: readonly TargetName[] = ['reference', 'cpu', 'wasm', 'node', 'graph']
const missing = (target: TargetName): string | false =>
  (target === 'graph' || target === 'node') && noNode !== undefined ? noNode : false

const dims = { batch: 4, hidden: 3 }
const layer = () => ({ w: f32('hidden', 'hidden'), norm: nn.BatchNorm('hidden') })
/** Layers with batch norms, one after the other, and an average of the weights of the first. */
const stacked = model({
  params: { layers: [layer(), layer(), layer()] },
  buffers: {
    norms: [1, 2, 3].map(() => nn.RunningStatistics('hidden')),
    average: f32('hidden', 'hidden'),
    last: f32('hidden'),
  },
  batch: { x: f32('batch', 'hidden') },
  forward: (p, { x }, buffers) => {
    const steps = p.layers.map((of, i) => ({ of, statistics: buffers.norms[i]! }))
    const [y, norms] = scan(steps, x, (h, { of, statistics }) => {
      const { outputs, buffers: next } = nn.batchNorm(matmul(h, of.w), of.norm, statistics)
      return [add(h, relu(outputs)), next]
    })
    const average = add(mul(buffers.average, 0.75), mul(p.layers[0]!.w, 0.25))
    return { outputs: y, buffers: { norms, average, last: mean(dropout(x, 0.5), 0) } }
  },
  loss: y => square(sub(y, 1)),
})
const weights = valuesFor(stacked.params, dims)
const batchOf = (seed: number) => valuesFor(stacked.batch, dims, seed)
const opened = (method: Method<Opaque> | undefined, target: TargetName, lr = 0.1) => {
  const options = { target, threads: 1, weights, buffers: init.buffers(stacked, { dims }) }
  return method === undefined
    ? compile(trainStep(stacked, sgd({ lr }), { seed: 7 }), options)
    : compile(trainStep(adapt(stacked, method), sgd({ lr }), { seed: 7 }), options)
}
const isNear = (what: string, found: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number): void => {
  assert.equal(found.length, wanted.length)
  const off = Math.max(...Array.from(wanted, (x, i) => Math.abs(x - found[i]!)))
  assert.ok(off <= tolerance, `${what} is off by ${off}`)
}
/** The losses of three steps of two micro-batches each, and the numbers of all buffers after them. */
const trained = async (target: TargetName) => {
  await using run = await opened(undefined, target)
  const losses: number[] = []
  for (let k = 0; k < 3; k++) losses.push((await run.step([batchOf(2 * k), batchOf(2 * k + 1)])).loss)
  const { norms, average, last } = await run.buffers()
  const evaluated = (await run.evaluate(batchOf(9))).loss
  return { losses: [...losses, evaluated], average, last, norms: norms.flatMap(one => [one.mean, one.variance]) }
}
const expected = trained('reference')
for (const target of targets.slice(1))
  test(`buffers of repeated layers are those of reference on ${target}`, { skip: missing(target) }, async () => {
    const [found, wanted] = [await trained(target), await expected]
    isNear('the loss', found.losses, wanted.losses, 1e-4)
    isNear('the average', found.average.data, wanted.average.data, 1e-5)
    // what is dropped in a buffer alone is drawn like everything else
    isNear('the last mean', found.last.data, wanted.last.data, 1e-5)
    found.norms.forEach(({ data }, i) => {
      isNear(`buffer ${i}`, data, wanted.norms[i]!.data, 1e-4)
    })
    assert.equal(new Set(wanted.norms.map(({ data }) => data.join())).size, 6)
  })

test('an average of weights moves towards the weights before each update', async () => {
  await using run = await opened(undefined, 'wasm')
  let average = Array.from({ length: 9 }, () => 0)
  for (let k = 0; k < 4; k++) {
    const now = (await run.params()).layers[0]!.w.data
    await run.step(batchOf(k))
    average = average.map((x, i) => 0.75 * x + 0.25 * now[i]!)
  }
  isNear('the average', (await run.buffers()).average.data, average, 1e-6)
  const byAverage = (await run.compute((_, b, buffers) => matmul(b.x, buffers.average), batchOf(1))).data
  const plain = (await run.compute((p, b) => matmul(b.x, p.layers[0]!.w), batchOf(1))).data
  assert.notDeepEqual(byAverage, plain)
})

/** A method whose types differ from the others'. */
const opaque = (of: unknown): Method<Opaque> => of as Method<Opaque>
const methods: Readonly<Record<string, Method<Opaque>>> = {
  'paca': opaque(paca({ targets: ['w'], rank: 2, seed: 0 })),
  'lora': opaque(lora({ targets: ['w'], rank: 2, seed: 0 })),
  'dora': opaque(dora({ targets: ['w'], rank: 2, seed: 0 })),
  'lora, and the norms': opaque(alsoTraining(['norm'])(lora({ targets: ['w'], rank: 2, seed: 0 }))),
}
for (const [name, method] of Object.entries(methods))
  test(`${name} leaves the buffers to the model`, async () => {
    const buffersAfter = async (of: Method<Opaque> | undefined) => {
      await using run = await opened(of, 'reference')
      await run.step(batchOf(1))
      return (await run.buffers()).norms
    }
    // before its first update, a method is the model itself
    const [found, wanted] = [await buffersAfter(method), await buffersAfter(undefined)]
    found.forEach(({ mean: m, variance: v }, i) => {
      isNear('a mean', m.data, wanted[i]!.mean.data, 1e-6)
      isNear('a variance', v.data, wanted[i]!.variance.data, 1e-6)
    })
  })
test('a quantized model with buffers trains, and its buffers move', async () => {
  const wide = model({
    params: { w: f32('hidden', 'hidden'), norm: nn.BatchNorm('hidden', { bias: false }) },
    buffers: nn.RunningStatistics('hidden'),
    batch: { x: f32('batch', 'hidden') },
    forward: (p, { x }, statistics) => nn.batchNorm(matmul(x, p.w), p.norm, statistics),
    loss: y => square(sub(y, 1)),
  })
  const step = trainStep(
    adapt(wide, quantized(nf4({ double: false }))(lora({ targets: ['w'], rank: 2, seed: 0 }))),
    sgd({ lr: 0.1 }),
  )
  const sizes = { batch: 4, hidden: 64 }
  await using run = await compile(step, {
    target: 'wasm',
    threads: 1,
    weights: valuesFor(wide.params, sizes),
    buffers: init.buffers(wide, { dims: sizes }),
  })
  await run.step(valuesFor(wide.batch, sizes, 3))
  const { mean: m, variance: v } = await run.buffers()
  assert.ok(m.data.every(x => x !== 0) && v.data.every(x => x !== 1))
})

test('weights and buffers are saved and loaded by their trees', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'partensor-buffers-'))
  try {
    const file = join(folder, 'model.safetensors')
    await using run = await opened(undefined, 'wasm')
    await run.step(batchOf(1))
    await save(file, { params: await run.params(), buffers: await run.buffers() })
    const { params, buffers } = await load(file, { params: stacked.params, buffers: stacked.buffers })
    await using again = await compile(stacked, { target: 'wasm', threads: 1, weights: params, buffers })
    assert.deepEqual(await again.predict(batchOf(5)), await run.predict(batchOf(5)))
    assert.deepEqual(await again.buffers(), buffers)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a state may go on from batch to batch, of one size', async () => {
  const going = model({
    params: { w: f32() },
    buffers: f32('batch'),
    batch: { x: f32('batch') },
    forward: (p, { x }, state) => {
      const next = add(mul(state, 0.5), mul(x, p.w))
      return { outputs: next, buffers: next }
    },
    loss: y => square(y),
  })
  const x = (...data: readonly number[]) => ({ x: tensor(data, ['batch']) })
  await using run = await compile(trainStep(going, sgd({ lr: 0 })), {
    target: 'wasm',
    threads: 1,
    weights: { w: tensor(2) },
    buffers: tensor([0, 8], ['batch']),
  })
  await run.step([x(1, 2), x(3, 4)])
  assert.deepEqual([...(await run.buffers()).data], [7, 12])
  await assert.rejects(run.step(x(1, 2, 3)), /batch/)
  const given = await run.buffers()
  given.data.fill(9)
  assert.deepEqual([...(await run.buffers()).data], [7, 12])
})

const decoded = { input_ids: i32('batch', 'seq'), position: i32() }
const calls = f32('batch', 'capacity')
/** A table of the next letter, with an average of what was read added to it. */
const writing = model({
  params: { table: f32('vocab', 'vocab') },
  buffers: { bias: f32('vocab') },
  batch: { input_ids: i32('batch', 'seq') },
  dims: { vocab: 3 },
  forward: (p, { input_ids }, { bias }) => {
    const logits = add(take(p.table, input_ids, 0), bias)
    return { outputs: logits, buffers: { bias: add(bias, mean(logits, ['batch', 'seq'])) } }
  },
  loss: logits => square(logits),
  decode: {
    cache: { calls },
    batch: decoded,
    step: (p, { bias }) => ({
      logits: add(take(p.table, decoded.input_ids, 0), bias),
      cache: { calls: add(calls, 1) },
    }),
  },
})
for (const target of targets)
  test(`a decoder reads the buffers and never writes them on ${target}`, { skip: missing(target) }, async () => {
    await using run = await compile(trainStep(writing, sgd({ lr: 0 })), {
      target,
      threads: 1,
      weights: {
        table: tensor(
          [
            [1, 2, 3],
            [4, 5, 6],
            [7, 8, 9],
          ],
          ['vocab', 'vocab'],
        ),
      },
      buffers: { bias: tensor([0.5, 0, 0], ['vocab']) },
    })
    const ids = tensor([[2, 0]], ['batch', 'seq'], { dtype: 'i32' })
    const read = async (): Promise<readonly number[]> => {
      using decoder = run.decoder({ batch: 1, capacity: 4 })
      await decoder.next(ids as never)
      return [...(await decoder.next(ids as never)).data]
    }
    assert.deepEqual(await read(), [7.5, 8, 9, 1.5, 2, 3])
    assert.deepEqual([...(await run.buffers()).bias.data], [0.5, 0, 0])
    await run.step({ input_ids: ids })
    assert.deepEqual([...(await run.buffers()).bias.data], [5, 5, 6])
    assert.deepEqual(await read(), [12, 13, 15, 6, 7, 9])
  })

const bare = (forward: (buffers: { readonly s: ReturnType<typeof f32> }) => unknown) =>
  model({
    params: { w: f32() },
    buffers: { s: f32() },
    batch: { x: f32('batch') },
    forward: (p, { x }, { s }) => forward({ s: add(s, mean(mul(x, p.w))) } as never) as never,
    loss: y => square(y as never),
  })
const batchNormed = model({
  params: { norm: nn.BatchNorm('channels') },
  buffers: nn.RunningStatistics('channels'),
  batch: { x: f32('batch', 'channels') },
  forward: (p, { x }, statistics) => nn.batchNorm(x, p.norm, statistics),
  loss: y => square(sub(y, 1)),
})
test('a batch of one example has no variance, and its step is refused', async () => {
  await using run = await compile(trainStep(batchNormed, sgd({ lr: 0.1 })), {
    target: 'reference',
    weights: init.params(batchNormed, { seed: 0, dims: { channels: 2 } }),
    buffers: init.buffers(batchNormed, { dims: { channels: 2 } }),
  })
  const x = tensor([[1, 2]], ['batch', 'channels'])
  await assert.rejects(run.step({ x }), /^SessionError: buffers\.variance has become NaN: nothing was updated$/)
  assert.deepEqual([...(await run.buffers()).variance.data], [1, 1])
  assert.deepEqual([...(await run.predict({ x })).data].map(Math.round), [1, 2])
})
test('buffers are given where they are declared, and nowhere else', async () => {
  const options = {
    target: 'reference',
    weights: init.params(batchNormed, { seed: 0, dims: { channels: 2 } }),
  } as const
  const buffers = init.buffers(batchNormed, { dims: { channels: 2 } })
  // @ts-expect-error: JavaScript may leave them out
  await assert.rejects(compile(batchNormed, options), /^SessionError: the model has buffers: give compile their values/)
  const some = { ...options, buffers: { mean: buffers.mean } } as never
  await assert.rejects(compile(batchNormed, some), /^SessionError: the buffers have no variance$/)
  const wide = { ...options, buffers: init.buffers(batchNormed, { dims: { channels: 3 } }) }
  await assert.rejects(compile(batchNormed, wide), /channels/)
  const plain = model({ params: { w: f32() }, batch: { x: f32('batch') }, forward: (p, { x }) => mul(x, p.w) })
  const given = { target: 'reference', weights: { w: tensor(1) }, buffers } as never
  await assert.rejects(compile(plain, given), /^SessionError: the model declares no buffers, and is given some$/)
  assert.throws(() => init.buffers(plain), /^RangeError: init: the model declares no buffers$/)
  assert.throws(() => init.buffers(batchNormed), /^RangeError: init: channels, of mean, has no size/)
})
test('buffers that are read on demand are read when a session opens', async () => {
  const first = { ...init.buffers(batchNormed, { dims: { channels: 2 } }), mean: tensor([3, 4], ['channels']) }
  await using run = await compile(trainStep(batchNormed, sgd({ lr: 0.1 })), {
    target: 'reference',
    weights: init.params(batchNormed, { seed: 0, dims: { channels: 2 } }),
    buffers: { ...first, mean: { read: async () => first.mean } },
  })
  assert.deepEqual([...(await run.buffers()).mean.data], [3, 4])
})
test('of several equal sizes the last is that of the channels', () => {
  const x = f32(2, 2)
  const statistics = nn.RunningStatistics(2)
  const { buffers } = nn.batchNorm(x, nn.BatchNorm(2), statistics, { momentum: 1 })
  const meansOf = (...data: readonly number[]): readonly number[] => {
    const values = new Map<Node, Numbers>([
      [x, { sizes: [2, 2], data: Float64Array.from(data) }],
      [statistics.mean, { sizes: [2], data: new Float64Array(2) }],
    ])
    return [...interpret([buffers.mean], values, Number)[0]!.data]
  }
  assert.deepEqual(meansOf(1, 3, 5, 9), [3, 6])
  assert.notDeepEqual(meansOf(1, 5, 3, 9), [3, 6], 'a mean over the last axis (mutant)')
})
test('channels are one dim of the tensor, with examples beside it', () => {
  const statistics = nn.RunningStatistics('channels')
  const norm = nn.BatchNorm('channels')
  assert.throws(
    // @ts-expect-error: it has no dim channels
    () => nn.batchNorm(f32('batch', 'width'), norm, statistics),
    /batchNorm: \[batch, width\] does not have exactly one dim channels$/,
  )
  assert.throws(
    () => nn.batchNorm(f32('channels', 'channels'), norm, statistics),
    /batchNorm: \[channels, channels\] does not have exactly one dim channels$/,
  )
  assert.throws(
    () => nn.batchNorm(f32('channels'), norm, statistics),
    /batchNorm: \[channels\] has channels, and no examples$/,
  )
  const other = nn.RunningStatistics('width') as never
  assert.throws(
    () => nn.batchNorm(f32('batch', 'channels'), norm, other),
    /batchNorm: the mean is \[width\], not \[channels\]$/,
  )
})
test('what is about one fixed loss refuses buffers and what training computes otherwise', async () => {
  const reason = (found: ReturnType<typeof headOf>): string | undefined =>
    found._tag === 'Left' ? found.left.message : undefined
  assert.equal(
    reason(headOf(adapt(stacked, full({ targets: ['all'] })))),
    'no bound of the curvature is known: the model has buffers, which change from step to step',
  )
  const about = { model: 'normed', targets: ['norm'], rank: null, seq: null }
  const tuned = adapt(batchNormed, full({ targets: ['all'] }))
  const weights = init.params(batchNormed, { seed: 0, dims: { channels: 2 } })
  const x = tensor(
    [
      [1, 2],
      [3, 5],
    ],
    ['batch', 'channels'],
  )
  await assert.rejects(verify({ tuned, weights, batches: [{ x }], steps: 1, target: 'reference', about }), {
    name: 'VerifyError',
    message:
      'the model has buffers, which change from step to step: the theorem is about the descent of one fixed function',
  })
  const choosing = model({
    params: { w: f32('hidden', 1) },
    batch: { x: f32('batch', 'hidden'), y: f32('batch', 1) },
    forward: (p, { x }) => matmul(nn.whenTraining(x, mul(x, 2)), p.w),
    loss: (out, { y }) => squaredError(out, y),
  })
  assert.equal(
    reason(headOf(adapt(choosing, full({ targets: ['all'] })))),
    'no bound of the curvature is known: the model computes something else in training: nn.whenTraining',
  )
})
test('an explanation names the buffers, and 16 bits hold no averages of matrices', () => {
  const step = trainStep(stacked, sgd({ lr: 0.1 }))
  const text = explanationText(explain(step, { dims }))
  assert.match(text, /^buffers \d+ B: buffers\.norms\.0\.mean, .*buffers\.average, buffers\.last$/m)
  assert.throws(
    () => compiledGraph(step, { precision: 'bf16', xla: true }),
    /^SessionError: buffers\.average is a buffer with several axes, which bf16 would round: use precision f32$/,
  )
})
const one = { target: 'reference', weights: { w: tensor(1) }, buffers: { s: tensor(0) } } as const
test('a model that returns other buffers than it declares is refused in words', async () => {
  for (const [forward, text] of [
    [() => f32('batch'), /^ShapeMismatch: the forward of a model with buffers returns \{ outputs, buffers \}$/],
    [() => ({ outputs: f32(), buffers: {} }), /^ShapeMismatch: the forward returns no buffers\.s$/],
    [
      () => ({ outputs: f32(), buffers: { s: f32('batch') } }),
      /^ShapeMismatch: the forward returns buffers\.s as f32 \[batch\], and it is f32 \[\]$/,
    ],
    [() => ({ outputs: f32(), buffers: { s: i32() } }), /^ShapeMismatch: the forward returns buffers\.s as i32 \[\]/],
    [
      () => ({ outputs: f32(), buffers: { s: f32(), t: f32() } }),
      /^ShapeMismatch: the forward returns buffers\.t, which the model does not declare$/,
    ],
  ] as const)
    await assert.rejects(compile(trainStep(bare(forward), sgd({ lr: 0 })), one), text)
})
