import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  model,
  adapt,
  compile,
  f32,
  full,
  quantized,
  nf4,
  paca,
  sgd,
  startingFrom,
  trainStep,
  type Method,
  type Node,
  type Opaque,
  type Shape,
  type Value,
} from '../../src/index.ts'
import {
  dequantizeNF4,
  focus,
  identity,
  isTensor,
  isValue,
  leaves,
  mapTree,
  quantizeNF4,
  tensorsOf,
  type Numbers,
} from '../../src/compiler.ts'
import { transposeMatrix } from '../../src/tensor/matrix.ts'
import { randomFrom } from '../support/op-subjects.ts'
import {
  adapterOf,
  batch,
  firstValues,
  meant,
  names,
  small,
  targets,
  tunedBy,
  valueOf,
  weights,
} from '../support/methods.ts'

/** The subjects of the laws: every method, on the plain base and, if it leaves something frozen, on a quantized one. */
const subjects: readonly (readonly [name: string, adapter: () => Method<Opaque>])[] = [
  ...names.map(name => [name, () => adapterOf(name)] as const),
  ['rslora', () => adapterOf('lora', { rslora: true })],
  ['ia3 of inputs', () => adapterOf('ia3', { feedforward: ['down'] })],
  ...names
    .filter(name => name !== 'full')
    .flatMap(name =>
      [true, false].map(
        double =>
          [
            `${name} on nf4${double ? ', double' : ''}`,
            () => quantized(nf4({ double }), { modules: targets })(adapterOf(name)),
          ] as const,
      ),
    ),
]
const near = (found: ArrayLike<number>, due: ArrayLike<number>, tolerance: number): void => {
  assert.equal(found.length, due.length)
  const off = Math.max(...Array.from(found, (x, i) => Math.abs(x - due[i]!)))
  assert.ok(off <= tolerance, `off by ${off}`)
}
const open = (adapter: Method<Opaque>, target: 'reference' | 'wasm' = 'reference') =>
  compile(trainStep(tunedBy(adapter), sgd({ lr: 0.05 })), { target, weights, threads: 1 })
const baseLogits = async (of: unknown = weights): Promise<ArrayLike<number>> => {
  await using session = await compile(trainStep(adapt(small, full({ targets: [] as readonly string[] })), identity), {
    target: 'reference',
    weights: of as typeof weights,
  })
  return (await session.predict(batch)).data
}
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'
/** A focus with other numbers in it, not so large that the laws drown in rounding. */
const shaken = (focus: unknown, seed: number): unknown => {
  const random = randomFrom(seed)
  return mapTree(focus, isFloats, value => ({
    ...value,
    data: value.data.map((x: number) => x + 0.2 * (random() - 0.5)),
  }))
}
test('targets that are names, paths, endings of paths and positions train what their types say', () => {
  const matrix = () => f32('in', 'out')
  const params = {
    enc: { w: matrix(), b: f32('out') },
    w: matrix(),
    layers: [{ up: matrix() }, { up: matrix() }],
    pair: [matrix(), matrix()] as const,
  }
  const trained = (of: { readonly params: unknown; readonly mask: unknown }): readonly string[] =>
    tensorsOf(focus(of.params, of.mask)).map(([path]) => path)
  const one = model({ params, batch: {}, forward: () => f32('in'), loss: () => ({ sum: f32(), count: f32() }) })
  const o = { rank: 2, seed: 0 }
  const path = adapt(one, paca({ targets: ['enc.w'], ...o }))
  const ending = adapt(one, paca({ targets: ['w', '1.up'], ...o }))
  const tuple = adapt(one, paca({ targets: ['pair.1'], ...o }))
  assert.deepEqual([path, ending, tuple].map(trained), [['enc.w'], ['enc.w', 'w', 'layers.1.up'], ['pair.1']])
  // as the types have them: a frozen leaf of a record is no key, one of an array is undefined
  const part = focus(tuple.params, tuple.mask)
  const [, second] = part.pair
  assert.deepEqual([part.pair[0], second.shape], [undefined, [2, 'out']])
  assert.deepEqual(
    focus(ending.params, ending.mask).layers.map(({ up }) => up?.shape),
    [undefined, [2, 'out']],
  )
  // @ts-expect-error what tsc refuses, the run refuses
  assert.throws(() => adapt(one, paca({ targets: ['enc.v'], ...o })), {
    name: 'UnknownTarget',
    message: 'no module is called enc.v: there are w, b, up, 0, 1',
  })
})

for (const [name, make] of subjects) {
  test(`${name}: at first the output is that of the base, as it is kept`, async () => {
    const adapter = make()
    const tuned = tunedBy(adapter)
    const values = await firstValues(tuned)
    const base = mapTree(weights, isFloats, (leaf, path) =>
      name.includes('nf4') && path.startsWith('layers') && leaf.sizes.length === 2
        ? rounded(leaf, path, tuned, values)
        : leaf,
    )
    await using session = await open(adapter)
    near((await session.predict(batch)).data, await baseLogits(base), 1e-6)
    if (name.includes('nf4')) assert.notDeepEqual(Array.from(await baseLogits(base)), Array.from(await baseLogits()))
  })

  test(`${name}: the program is x · weight(q), for any focus; going back restores the base bit for bit`, async () => {
    const adapter = make()
    const tuned = tunedBy(adapter)
    const values = new Map(await firstValues(tuned))
    await using session = await open(adapter)
    const first = await session.read()
    const before = await session.predict(batch)
    const focus = shaken(first.focus, 5)
    await session.write({ ...first, focus: focus as typeof first.focus })
    const after = await session.predict(batch)
    const merged = mergedWeights(tuned, values, focus)
    near(after.data, await baseLogits(merged), 2e-6)
    assert.notDeepEqual(after.data, before.data)
    const { sum, count } = await session.evaluate(batch)
    const { loss } = await session.step([batch])
    assert.ok(Math.abs(sum / count - loss) < 1e-6, 'in evaluation as in training')
    await session.write(first)
    assert.deepEqual((await session.predict(batch)).data, before.data)
  })

  test(`${name}: a step trains what the mask says, on wasm as on reference, and the loss falls`, async () => {
    const adapter = make()
    const curves: number[][] = []
    for (const target of ['reference', 'wasm'] as const) {
      await using session = await open(adapter, target)
      const losses: number[] = []
      for (let i = 0; i < 4; i++) losses.push((await session.step([batch])).loss)
      curves.push(losses)
    }
    near(curves[1]!, curves[0]!, 1e-4)
    assert.ok(curves[0]![3]! < curves[0]![0]!, curves[0]!.join())
  })
}

/** A leaf rounded to 4 bits, except for its trained part, which stays unchanged. */
const rounded = (
  leaf: Value<Shape>,
  path: string,
  tuned: ReturnType<typeof tunedBy>,
  values: ReadonlyMap<Node, Numbers>,
): Value<Shape> => {
  const [rows, columns] = leaf.sizes as readonly [number, number]
  const double = tensorsOf(tuned.params).some(([at]) => at.endsWith('absmax_codes'))
  const packed = quantizeNF4(transposeMatrix(leaf.data, rows, columns), { double })
  const data = transposeMatrix(dequantizeNF4(packed, rows * columns), columns, rows)
  const choice = tuned.selections.find(of => of.path === path)
  const width = choice?.among === 'columns' ? columns : 1
  values
    .get(choice?.index ?? leafless)
    ?.data.forEach(at => data.set(leaf.data.subarray(at * width, (at + 1) * width), at * width))
  return { ...leaf, data }
}
const leafless = f32()

test('what begins elsewhere is found out: a B that is not 0, an alpha that is not the one that is merged', async () => {
  const lora = adapterOf('lora')
  const tuned = tunedBy(lora)
  const path = 'layers.0.up.lora_B'
  const [, B] = tensorsOf(tuned.params).find(([of]) => of === path)!
  await using other = await open(startingFrom(new Map([[path, valueOf(B.shape, 3)]]))(lora))
  assert.throws(() => near([1], [1 + 2e-6], 1e-6))
  const base = await baseLogits()
  const found = (await other.predict(batch)).data
  assert.throws(() => near(found, base, 1e-3))
  const { focus } = await other.read()
  const wrong = tunedBy(adapterOf('lora', { alpha: 6 }))
  const right = await baseLogits(mergedWeights(tuned, await firstValues(tuned), focus))
  const merged = await baseLogits(mergedWeights(wrong, await firstValues(wrong), focus))
  near(found, right, 2e-6)
  assert.throws(() => near(found, merged, 1e-3))
})

/** The tree of the model that a focus represents: the meaning of `weight`. */
const mergedWeights = (
  tuned: ReturnType<typeof tunedBy>,
  values: ReadonlyMap<Node, Numbers>,
  focus: unknown,
): unknown => {
  const parts = new Map(leaves(focus, isFloats))
  const current = new Map(values)
  for (const [path, leaf] of tensorsOf(tuned.params)) {
    const part = parts.get(path)
    const own = values.get(leaf)
    if (part === undefined || own === undefined) continue
    const chosen = tuned.selections.find(choice => choice.path === path)
    const index = chosen && current.get(chosen.index)
    const data = own.data.slice()
    const width = chosen?.among === 'columns' ? own.sizes[1]! : 1
    if (index)
      index.data.forEach((at, i) =>
        part.data.subarray(i * width, (i + 1) * width).forEach((x: number, j: number) => {
          data[at * width + j] = x
        }),
      )
    else data.set(part.data)
    current.set(leaf, { sizes: own.sizes, data })
  }
  return mapTree(tuned.weight(tuned.params), isTensor, root => {
    const { sizes: of, data } = meant(root, current)
    return { shape: root.shape, sizes: of, dtype: 'f32', data: Float32Array.from(data) }
  })
}
