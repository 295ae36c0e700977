import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adam,
  adapt,
  add,
  chain,
  clipByGlobalNorm,
  compile,
  crossEntropy,
  dora,
  f32,
  full,
  i32,
  lora,
  lorafa,
  masked,
  matmul,
  miss,
  model,
  moslora,
  nf4,
  paca,
  quantized,
  relu,
  SessionError,
  sgd,
  shira,
  size,
  square,
  sum,
  trainStep,
  transpose,
  uniform,
  vera,
  type Method,
  type Opaque,
  type Shape,
  type TargetName,
  type Value,
} from '../../src/index.ts'
import { AmbiguousTree, focus, leaves, isValue, tensorsOf } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'

const f = (shape: Shape, sizes: readonly number[], seed: number): Value<Shape> => ({
  shape,
  sizes,
  dtype: 'f32',
  data: uniform(
    seed,
    1,
    sizes.reduce((a, b) => a * b, 1),
  ),
})
const labels = { shape: ['batch'], sizes: [4], dtype: 'i32', data: Int32Array.of(0, 1, 2, 0) } as const
const targets = ['reference', 'wasm', 'graph'] as const
const onEach = (law: string, run: (target: TargetName) => Promise<void>): void => {
  for (const target of targets)
    test(`${law}, on ${target}`, { skip: target === 'graph' && noNode !== undefined ? noNode : false }, () =>
      run(target),
    )
}

/** A model whose parameters are named by one tree, and whose values are computed by another. */
onEach('parameters may have any names: data is found where the tree declares it', async target => {
  const odd = model({
    params: {
      'mask': f32('in', 'hidden'),
      'data': { sizes: f32('hidden', 'hidden'), data: f32('hidden', 'hidden') },
      'op': { op: f32('hidden', 'hidden'), inputs: [f32('hidden', 'hidden')] as const, shape: f32('hidden') },
      'a.b': f32('hidden', 'hidden'),
      ['__proto__']: { read: f32('hidden', 'hidden') },
      0: { '': f32('hidden', 'classes') },
    },
    batch: { data: f32('batch', 'in'), sizes: { dtype: i32('batch') } },
    forward: (p, b) => {
      const hidden = [p.data.sizes, p.data.data, p.op.op, p.op.inputs[0], p['a.b'], p['__proto__'].read].reduce(
        (x, w) => relu(matmul(x, w)),
        matmul(b.data, p.mask),
      )
      return matmul(add(hidden, p.op.shape), p[0][''])
    },
    loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.sizes.dtype)), count: size('batch') }),
  })
  const h = (seed: number) => f(['hidden', 'hidden'], [6, 6], seed)
  const values = [
    f(['in', 'hidden'], [3, 6], 1),
    h(2),
    h(3),
    h(4),
    h(5),
    f(['hidden'], [6], 6),
    h(7),
    h(8),
    f(['hidden', 'classes'], [6, 3], 9),
  ] as const
  const weights = {
    'mask': values[0],
    'data': { sizes: values[1], data: values[2] },
    'op': { op: values[3], inputs: [values[4]], shape: values[5] },
    'a.b': values[6],
    ['__proto__']: { read: values[7] },
    0: { '': values[8] },
  }
  const batch = { data: f(['batch', 'in'], [4, 3], 10), sizes: { dtype: labels } }
  const plain = model({
    params: {
      a: f32('in', 'hidden'),
      b: f32('hidden', 'hidden'),
      c: f32('hidden', 'hidden'),
      d: f32('hidden', 'hidden'),
      e: f32('hidden', 'hidden'),
      s: f32('hidden'),
      g: f32('hidden', 'hidden'),
      i: f32('hidden', 'hidden'),
      z: f32('hidden', 'classes'),
    },
    batch: { x: f32('batch', 'in'), y: i32('batch') },
    forward: (p, b) =>
      matmul(
        add(
          [p.b, p.c, p.d, p.e, p.g, p.i].reduce((x, w) => relu(matmul(x, w)), matmul(b.x, p.a)),
          p.s,
        ),
        p.z,
      ),
    loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
  })
  const [a, b, c, d, e, s, g, i, z] = values
  const names: readonly string[] = ['all']
  await using one = await compile(trainStep(adapt(odd, full({ targets: names })), adam({ lr: 0.01 })), {
    target,
    threads: 1,
    weights: weights as never,
  })
  await using two = await compile(trainStep(adapt(plain, full({ targets: names })), adam({ lr: 0.01 })), {
    target,
    threads: 1,
    weights: { a, b, c, d, e, s, g, i, z } as never,
  })
  for (let k = 0; k < 3; k++) {
    const [found, expected] = [
      await one.step([batch as never]),
      await two.step([{ x: batch.data, y: labels } as never]),
    ]
    // a norm is summed in the order of the tree
    assert.ok(found.loss === expected.loss || Math.abs(found.loss / expected.loss - 1) < 1e-5)
    assert.ok(Math.abs(found.gradNorm / expected.gradNorm - 1) < 1e-5)
  }
  const saved = await one.read()
  const numbers = (tree: unknown): readonly number[] =>
    leaves(tree, isValue)
      .flatMap(([, { data }]) => [...data])
      .sort((p, q) => p - q)
  const expected = numbers((await two.read()).focus)
  numbers(saved.focus).forEach((w, i) => assert.ok(Math.abs(w - expected[i]!) < 1e-5))
  await one.write(saved)
  assert.deepEqual(await one.read(), saved)
})

test('leaves that have one path are refused, and so is a leaf that is none', async () => {
  const w = f32('n', 'm')
  const open = (params: object, batch: object = { x: f32('batch', 'n') }) => {
    const odd = model({
      params,
      batch,
      forward: () => f32(),
      loss: logits => ({ sum: sum(logits), count: size('batch') }),
    })
    return compile(trainStep(adapt(odd, full({ targets: ['all'] as readonly string[] })), sgd({ lr: 1 })), {
      target: 'reference',
      weights: {} as never,
    })
  }
  const refused =
    (text: RegExp) =>
    (error: unknown): boolean =>
      error instanceof AmbiguousTree && text.test(error.message)
  await assert.rejects(
    async () => open({ 'a.b': f32('n'), 'a': { b: f32('n') } }),
    refused(/^two of the parameters are called a\.b: a key with a dot/),
  )
  await assert.rejects(
    async () => open({ w }, { 'a.b': f32('n'), 'a': { b: f32('n') } }),
    refused(/^two of the leaves of the batch are called a\.b/),
  )
  await assert.rejects(
    async () => open({ w, turned: transpose(w, [1, 0]) }),
    refused(/^turned is an expression: a leaf is declared/),
  )
  await assert.rejects(async () => open({ w }, { x: w }), refused(/^x of the batch is the parameter w/))
})

/** A tied model: one matrix reads and writes; and the same with two matrices, whose gradients are to be summed. */
const tied = f32('vocab', 'hidden')
const batchDeclared = () => ({ x: f32('batch', 'vocab'), y: i32('batch') })
const loss = (logits: ReturnType<typeof f32<readonly ['batch', 'vocab']>>, b: ReturnType<typeof batchDeclared>) => ({
  sum: sum(crossEntropy(logits, b.y)),
  count: size('batch'),
})
const tiedModel = model({
  params: { embed: tied, mid: f32('hidden', 'hidden'), head: tied },
  batch: batchDeclared(),
  forward: (p, b) => matmul(relu(matmul(matmul(b.x, p.embed), p.mid)), transpose(p.head, [1, 0])),
  loss,
})
const single = model({
  params: { embed: f32('vocab', 'hidden'), mid: f32('hidden', 'hidden') },
  batch: batchDeclared(),
  forward: (p, b) => matmul(relu(matmul(matmul(b.x, p.embed), p.mid)), transpose(p.embed, [1, 0])),
  loss,
})
const embed = f(['vocab', 'hidden'], [8, 8], 1)
const mid = f(['hidden', 'hidden'], [8, 8], 2)
const x = f(['batch', 'vocab'], [4, 8], 3)
const tiedBatch = { x, y: labels }
type MethodOf = (targets: readonly string[]) => Method<Opaque>
const methods: Readonly<Record<string, MethodOf>> = {
  full: names => full({ targets: names }) as never,
  paca: names =>
    paca({
      targets: names,
      rank: 3,
      seed: 0,
      selection: new Map([
        ['embed', Int32Array.of(1, 4, 6)],
        ['head', Int32Array.of(1, 4, 6)],
      ]),
    }) as never,
  lora: names => lora({ targets: names, rank: 2, seed: 0 }) as never,
  lorafa: names => lorafa({ targets: names, rank: 2, seed: 0 }) as never,
  dora: names => dora({ targets: names, rank: 2, seed: 0 }) as never,
  moslora: names => moslora({ targets: names, rank: 2, seed: 0 }) as never,
  vera: names => vera({ targets: names, rank: 2, seed: 0 }) as never,
  shira: names => shira({ targets: names, rank: 1, seed: 0 }) as never,
  miss: names => miss({ targets: names, rank: 2 }) as never,
  qlora: names => quantized(nf4({ double: false }))(lora({ targets: names, rank: 2, seed: 0 })) as never,
}
const tx = () => chain(clipByGlobalNorm(0.1), adam({ lr: 0.01 }))
for (const [name, method] of Object.entries(methods)) {
  test(`one leaf at two places is one parameter: ${name} trains it as a model that has it once, whichever place is named`, async () => {
    const curve = async (names: readonly string[], one: boolean): Promise<unknown> => {
      await using run = one
        ? await compile(trainStep(adapt(single, method(names)), tx()), {
            target: 'wasm',
            threads: 1,
            weights: { embed, mid } as never,
          })
        : ((await compile(trainStep(adapt(tiedModel, method(names)), tx()), {
            target: 'wasm',
            threads: 1,
            weights: { embed, mid, head: embed } as never,
          })) as never)
      const found = []
      for (let k = 0; k < 3; k++) found.push(await run.step([tiedBatch as never]))
      const saved = await run.read()
      await run.write(saved)
      return [
        found,
        await run.evaluate(tiedBatch as never),
        leaves(saved.focus, isValue).length,
        leaves(saved.state, isValue).length,
      ]
    }
    const expected = await curve(['embed'], true)
    assert.deepEqual(await curve(['embed'], false), expected)
    // both places are one target
    assert.deepEqual(await curve(['embed', 'head'], false), expected)
    // first values depend on the path of the named leaf
    if (name === 'full' || name === 'paca') assert.deepEqual(await curve(['head'], false), expected)
  })
}

onEach('a tied leaf has one gradient, the sum of both uses; two values for it are refused', async target => {
  const step = trainStep(adapt(tiedModel, full({ targets: ['all'] })), sgd({ lr: 0.1 }))
  const untied = model({
    params: { embed: f32('vocab', 'hidden'), mid: f32('hidden', 'hidden'), head: f32('vocab', 'hidden') },
    batch: batchDeclared(),
    forward: (p, b) => matmul(relu(matmul(matmul(b.x, p.embed), p.mid)), transpose(p.head, [1, 0])),
    loss,
  })
  await using run = await compile(step, {
    target,
    threads: 1,
    weights: { embed, mid, head: { ...embed, data: embed.data.slice() } } as never,
  })
  await using apart = await compile(trainStep(adapt(untied, full({ targets: ['all'] })), sgd({ lr: 0.1 })), {
    target,
    threads: 1,
    weights: { embed, mid, head: embed } as never,
  })
  const both = await run.gradients(tiedBatch as never)
  const each = await apart.gradients(tiedBatch as never)
  assert.deepEqual(
    tensorsOf(focus(tiedModel.params, step.tuned.mask)).map(([path]) => path),
    ['embed', 'mid'],
  )
  assert.deepEqual(Object.keys(both), ['embed', 'mid'])
  both.embed.data.forEach((g, i) => assert.ok(Math.abs(g - (each.embed.data[i]! + each.head.data[i]!)) < 1e-5))
  await assert.rejects(
    compile(step, { target, threads: 1, weights: { embed, mid, head: f(['vocab', 'hidden'], [8, 8], 9) } as never }),
    /^SessionError: embed and head are one parameter, and are given different values$/,
  )
})

test('a leaf of a batch may stand at two places, and is then given once or twice the same', async () => {
  const leaf = f32('batch', 'n')
  const twice = model({
    params: { w: f32('n', 'n') },
    batch: { x: leaf, again: leaf },
    forward: (p, b) => add(matmul(b.x, p.w), b.again),
    loss: logits => ({ sum: sum(square(logits)), count: size('batch') }),
  })
  const step = trainStep(adapt(twice, full({ targets: ['w'] })), sgd({ lr: 0.1 }))
  const one = f(['batch', 'n'], [2, 3], 1)
  await using run = await compile(step, {
    target: 'wasm',
    threads: 1,
    weights: { w: f(['n', 'n'], [3, 3], 2) } as never,
  })
  await run.step([{ x: one, again: one } as never])
  const bytes = run.bytes()
  await run.step([{ x: one, again: { ...one, data: one.data.slice() } } as never])
  assert.equal(run.bytes(), bytes)
  await assert.rejects(run.step([{ x: one, again: f(['batch', 'n'], [2, 3], 3) } as never]), SessionError)
})

test('masked selects by the keys of a tree, dots in them or not, and refuses to select nothing', () => {
  const params = { 'a.b': f32('n'), 'a': { c: f32('n') } }
  const part = (tree: object) =>
    tensorsOf(masked(adam({ lr: 1 }), { by: 'tree', tree: tree as never }).init(params)).map(([path]) => path)
  assert.deepEqual(part({ 'a.b': true }), ['0.mu.a.b', '0.nu.a.b', '0.count'])
  assert.deepEqual(part({ a: true }), ['0.mu.a.c', '0.nu.a.c', '0.count'])
  assert.throws(
    () => part({ embed: true, a: { d: true } }),
    /^RangeError: masked selects nothing: what is trained is a\.b, a\.c$/,
  )
  assert.deepEqual(part({ a: false }), ['0.count'])
})
