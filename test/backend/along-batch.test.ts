import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adamw,
  adapt,
  add,
  broadcastTo,
  chain,
  clipByGlobalNorm,
  compile,
  concat,
  f32,
  full,
  matmul,
  mul,
  paca,
  repeat,
  reshape,
  slice,
  tanh,
  trainStep,
  type Method,
  type Node,
  type Opaque,
  type TargetName,
  type Value,
} from '../../src/index.ts'
import { programsOf, sizing } from '../../src/compile/index.ts'
import { size } from '../../src/tensor/index.ts'
import { nodeTest } from '../support/native-library.ts'
import { smallModel, untyped, valuesFor, type Small } from '../support/small-models.ts'

/** Trained leaves that are repeated along a batch, whose size no update knows. */

const square = f32('hidden', 'hidden')
const bias = f32('hidden')
const x = f32('batch', 'hidden')
const cells = Array.from({ length: 3 }, () => ({ w: f32('hidden', 'hidden'), h0: f32('hidden') }))
const along = (leaf: Node): never => untyped(broadcastTo)(leaf, ['batch', 'hidden'])
const session = { hidden: 3, joined: 3, most: 7 }
const dims = { ...session, tokens: 2 }

const models: Readonly<Record<string, Small>> = {
  'a bias that is repeated before it is used': {
    params: { w: square, bias },
    batch: { x },
    forward: ({ w, bias: b }, { x: of }) => add(matmul(of!, w!), untyped(matmul)(tanh(along(b!)), w)),
  },
  'a class token': {
    params: { w: square, token: f32(1, 'hidden') },
    batch: { x: f32('batch', 'tokens', 'hidden') },
    forward: ({ w, token }, { x: of }) => {
      const all = untyped(concat)([untyped(broadcastTo)(token, ['batch', 1, 'hidden']), of], 1, 'joined')
      return untyped(reshape)(untyped(slice)(matmul(tanh(all), w!), 1, { as: 1 }), ['batch', 'hidden'])
    },
  },
  'positions that are learned': {
    params: { w: square, places: f32('most', 'hidden') },
    batch: { x: f32('batch', 'tokens', 'hidden') },
    forward: ({ w, places }, { x: of }) => {
      const placed = untyped(add)(of, tanh(untyped(slice)(places, 0, { as: 'tokens' })))
      return untyped(reshape)(untyped(slice)(untyped(matmul)(placed, w), 1, { as: 1, start: [1] }), ['batch', 'hidden'])
    },
  },
  'a first state': {
    params: { w: square, h0: bias },
    batch: { x },
    forward: ({ w, h0 }, { x: of }) => {
      const step = (h: never): never => tanh(add(matmul(h, w!), of!)) as never
      return step(step(along(h0!)))
    },
  },
  'a first state in layers that are repeated': {
    params: { cells: cells as never },
    batch: { x },
    forward: ({ cells: layers }, { x: of }) =>
      untyped(repeat)(layers, of, (h: never, { w, h0 }: { readonly w: never; readonly h0: never }) =>
        add(h, matmul(tanh(along(h0)), w)),
      ),
  },
  'a leaf that the size of the batch scales': {
    params: { w: square, bias },
    batch: { x },
    forward: ({ w, bias: b }, { x: of }) => add(matmul(of!, w!), untyped(tanh)(untyped(mul)(b, size('batch')))),
  },
}
/** Sizes that no leaf shows. */
const given = (of: Small) => (of === models['a class token'] ? { joined: session.joined } : {})
const everything: Method<Opaque> = full({ targets: ['all'] as readonly string[] })
const batches = (of: Small, ...sizes: readonly number[]) =>
  sizes.map((batch, i) => valuesFor(smallModel(of).batch, { ...dims, batch }, 3 + i))
/** Steps with batches of different sizes, some of them in parts; then gradients of two sizes, and the trained parts. */
const runOn = async (target: TargetName, of: Small, adapter: Method<Opaque>) => {
  const made = smallModel(of)
  const step = trainStep(adapt(made, adapter), chain(clipByGlobalNorm(1), adamw({ lr: 0.02 })))
  await using run = await compile(step, { target, dims: given(of), weights: valuesFor(made.params, dims) })
  const [a, b, c, d, e] = batches(of, 2, 4, 1, 3, 2)
  const steps: number[] = []
  for (const micro of [[a], [b], [c, d], [e], [b], [a]]) steps.push((await run.step(micro as never)).loss)
  const gradients = [await run.gradients(a!), await run.gradients(b!)]
  return [steps, ...gradients.map(tree => numbersOf(tree)), numbersOf((await run.read()).focus)]
}
const numbersOf = (tree: unknown): readonly number[] =>
  ArrayBuffer.isView((tree as Value).data)
    ? Array.from((tree as Value).data as Float32Array)
    : Object.values(tree as object).flatMap(numbersOf)
const agree = async (target: TargetName, of: Small, adapter: Method<Opaque>): Promise<void> => {
  const found = await runOn(target, of, adapter)
  const expected = await runOn('reference', of, adapter)
  found.forEach((numbers, i) => {
    assert.equal(numbers.length, expected[i]!.length)
    numbers.forEach((v, k) =>
      assert.ok(
        Math.abs(v - expected[i]![k]!) <= 1e-4 * Math.max(1, Math.abs(expected[i]![k]!)),
        `${i} ${k}: ${v} is not ${expected[i]![k]}`,
      ),
    )
  })
  assert.ok(new Set(expected[0]).size > 1)
}
for (const [name, of] of Object.entries(models)) {
  for (const target of ['cpu', 'wasm'] as const)
    test(`${name} trains on ${target} as on reference, with batches of any size`, () => agree(target, of, everything))
  test(`${name}: its gradient is the central difference of the loss`, async () => {
    const made = smallModel(of)
    const step = trainStep(adapt(made, everything), adamw({ lr: 0.01 }))
    const [batch] = batches(of, 3)
    await using run = await compile(step, {
      target: 'reference',
      dims: given(of),
      weights: valuesFor(made.params, dims),
    })
    const found = numbersOf(await run.gradients(batch!))
    const saved = await run.read()
    const values = numbersOf(saved.focus)
    const lossWith = async (at: number, h: number): Promise<number> => {
      let next = 0
      const shifted = (tree: unknown): unknown =>
        ArrayBuffer.isView((tree as Value).data)
          ? { ...(tree as Value), data: ((tree as Value).data as Float32Array).map(v => v + (next++ === at ? h : 0)) }
          : Array.isArray(tree)
            ? tree.map(shifted)
            : Object.fromEntries(Object.entries(tree as object).map(([key, child]) => [key, shifted(child)]))
      await run.write({ ...saved, focus: shifted(saved.focus) as never })
      const { sum, count } = await run.evaluate(batch!)
      return sum / count
    }
    for (const at of [0, Math.floor(values.length / 2), values.length - 1]) {
      const quotient = ((await lossWith(at, 2 ** -8)) - (await lossWith(at, -(2 ** -8)))) / 2 ** -7
      assert.ok(
        Math.abs(found[at]! - quotient) <= 1e-3 * Math.max(1, Math.abs(quotient)),
        `${at}: ${found[at]} is not ${quotient}`,
      )
    }
  })
}
test('what is trained and repeated along a batch is not prepared: nothing that an update replaces grows with the sizes seen', () => {
  for (const [name, of] of Object.entries(models)) {
    const step = trainStep(adapt(smallModel(of), everything), adamw({ lr: 0.01 }))
    const programs = programsOf(step, { layOut: true, runs: () => true, inPlace: new Map() })
    const stale = () => programs.prepared().filter(programs.isStale)
    const sizes = [2, 3, 4].map(batch => {
      programs.gradients(sizing({ ...dims, batch }))
      return stale().length
    })
    assert.deepEqual(sizes, [sizes[0], sizes[0], sizes[0]], name)
    assert.ok(stale().every(({ expression }) => !JSON.stringify(expression.shape).includes('batch')))
  }
})
nodeTest('and on node and graph', async () => {
  await agree('node', models['a first state in layers that are repeated']!, everything)
  const onGraph = [
    'a class token',
    'a first state in layers that are repeated',
    'a leaf that the size of the batch scales',
  ]
  for (const name of onGraph) await agree('graph', models[name]!, everything)
})
test('a frozen rest with a trained first state', async () => {
  const few = full({ targets: ['h0'] as readonly string[] })
  for (const name of ['a first state', 'a first state in layers that are repeated'])
    await agree('wasm', models[name]!, few)
  await agree('wasm', models['a first state']!, paca({ targets: ['w'] as readonly string[], rank: 2, seed: 0 }))
})
