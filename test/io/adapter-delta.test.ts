import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  combineAdapters,
  deltaOf,
  loraOf,
  mergedWeight,
  restoredWeight,
  scaleOf,
  type Adapter,
} from '../../src/io/adapter/index.ts'
import {
  methods,
  tensorsOf,
  type Method,
  type MethodArguments,
  type Opaque,
  type MethodName,
  methodNames,
} from '../../src/tune/index.ts'
import { interpret, placeholder, type Numbers, type Node, type Shape, type Value } from '../../src/tensor/index.ts'
import { adapterOf, f32, i32, origin, random, type Size } from '../support/adapters.ts'
import { message, right } from '../support/tokenizers.ts'

const path = 'w'
const size: Size = { input: 5, output: 4, rank: 2 }
const base = random(50, 5, 4)
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-6): boolean =>
  a.length === b.length && Array.from(a).every((x, i) => Math.abs(x - b[i]!) <= tolerance * (1 + Math.abs(b[i]!)))
const plus = (a: ArrayLike<number>, b: ArrayLike<number>): readonly number[] => Array.from(a, (x, i) => x + b[i]!)

/** The weight that the tree represents according to the method itself, in float64; the leaves are the saved ones. */
const meant = (adapter: Adapter): Float64Array => {
  const leaf = placeholder(['in', 'out'], 'f32')
  const dims: Readonly<Record<string, number>> = { in: size.input, out: size.output, vera_in: 5, vera_out: 4 }
  const { make: method }: { readonly make: (of: MethodArguments) => Method<Opaque> } = methods[adapter.method]
  const made = method({ targets: [path], rank: size.rank, alpha: 3, rslora: adapter.rslora === true, seed: 0 }).apply({
    [path]: leaf,
  })
  const saved = new Map<string, Value<Shape> | Value<Shape, 'i32'>>([
    ['w.weight', base],
    ...Object.entries(adapter.modules.get(path)!).map(([name, value]): [string, Value<Shape>] => [
      `w.${name}`,
      value as Value<Shape>,
    ]),
    ['w.miss_groups', i32(0, 1, 0, 1, 0)],
    ...(adapter.method === 'vera' ? (Object.entries(adapter.shared) as [string, Value<Shape>][]) : []),
  ])
  const feeds = tensorsOf(made.params).map(([at, node]): [Node, Numbers] => [
    node,
    { sizes: saved.get(at)!.sizes, data: Float64Array.from(saved.get(at)!.data) },
  ])
  const weight = made.weight(made.params)[path]!
  return interpret([weight], new Map(feeds), dim => (typeof dim === 'number' ? dim : dims[dim]!))[0]!
    .data as Float64Array
}

const reparametrised: readonly MethodName[] = ['lora', 'lorafa', 'dora', 'moslora', 'vera', 'miss']
/** A saved adapter represents the weight that its method trained. */
const sameWeight = (merge: typeof mergedWeight) =>
  fc.property(fc.constantFrom(...reparametrised), fc.nat(1000), fc.boolean(), (method, seed, rslora) => {
    const adapter = adapterOf(method, new Map([[path, size]]), seed, { alpha: 3, rslora })
    return close(merge([{ adapter }], path, base).data, meant(adapter))
  })
test('merged is what the method says that its tree stands for, of every method that adds leaves', () => {
  fc.assert(sameWeight(mergedWeight), { numRuns: 60 })
  // mutants: the scale is left out, the base is, one weight for another
  assert.throws(() =>
    fc.assert(
      sameWeight(([use], at, leaf) => {
        const { adapter } = use!
        const delta = deltaOf(adapter, at, leaf)!
        return {
          ...leaf,
          data: Float32Array.from(
            plus(
              leaf.data,
              delta.map(x => x / scaleOf(adapter, at)),
            ),
          ),
        }
      }),
    ),
  )
  assert.throws(() =>
    fc.assert(sameWeight((uses, at, leaf) => ({ ...leaf, data: deltaOf(uses[0]!.adapter, at, leaf)! }))),
  )
  assert.throws(() =>
    fc.assert(
      sameWeight((uses, at, leaf) =>
        mergedWeight(
          uses.map(use => ({ ...use, weight: 0.99 })),
          at,
          leaf,
        ),
      ),
    ),
  )
})

test("numbers of the weight are written bit for bit, and the base's own restore it", () => {
  for (const method of ['paca', 'shira'] as const) {
    const made = adapterOf(method, new Map([[path, size]]), 3)
    const module = made.modules.get(path)!
    // the adapter's copy of the base is a copy of the base
    const width = method === 'paca' ? size.output : 1
    const places = 'columns' in module ? module.columns.data : module.entries.data
    const own = Float32Array.from(places).length * width
    const copy = new Float32Array(own)
    places.forEach((place, i) => copy.set(base.data.subarray(place * width, (place + 1) * width), i * width))
    const values = module.values.data.map((x, i) => (i === 0 ? -0 : x))
    const adapter = {
      ...made,
      modules: new Map([
        [path, { ...module, values: { ...module.values, data: values }, base: { ...module.base, data: copy } }],
      ]),
    } as Adapter
    const merged = mergedWeight([{ adapter }], path, base)
    places.forEach((place, i) =>
      assert.deepEqual(merged.data.slice(place * width, (place + 1) * width), values.slice(i * width, (i + 1) * width)),
    )
    assert.equal(merged.data.filter((x, i) => !Object.is(x, base.data[i])).length, own)
    assert.deepEqual(restoredWeight(adapter, path, merged), base)
    assert.ok(close(plus(base.data, deltaOf(adapter, path, [5, 4])!), merged.data))
  }
  const full = adapterOf('full', new Map([[path, size]]), 3)
  assert.deepEqual(mergedWeight([{ adapter: full }], path, base).data, full.modules.get(path)!.values.data)
  assert.ok(close(plus(base.data, deltaOf(full, path, base)!), full.modules.get(path)!.values.data))
})

test('several adapters are added to the base with their weights, of any methods; what nobody changes stays the same value', () => {
  const uses = methodNames.map((method, i) => ({
    adapter: adapterOf(method, new Map([[path, size]]), 7 * i, { alpha: 3 }),
    weight: 0.1 * i - 0.3,
  }))
  const due = uses.reduce<readonly number[]>(
    (sum, { adapter, weight }) =>
      plus(
        sum,
        deltaOf(adapter, path, base)!.map(x => weight * x),
      ),
    Array.from(base.data),
  )
  assert.ok(close(mergedWeight(uses, path, base).data, due))
  assert.equal(mergedWeight(uses, 'other', base), base)
  assert.equal(
    mergedWeight(
      uses.map(use => ({ ...use, weight: 0 })),
      path,
      base,
    ),
    base,
  )
  assert.equal(deltaOf(uses[0]!.adapter, 'other', base), undefined)
  const beside: Adapter = { ...uses[1]!.adapter, whole: new Map([['head', random(8, 2, 3)]]) }
  assert.deepEqual(mergedWeight([{ adapter: beside }], 'head', random(9, 2, 3)).data, random(8, 2, 3).data)
  assert.throws(() => deltaOf(uses[2]!.adapter, path, [5, 4]), /what dora changes depends on the weight of the base/)
})

const lowRank: readonly MethodName[] = ['paca', 'lora', 'lorafa', 'moslora', 'vera', 'miss']
test('a LoRA stands for the same change as the adapter that it was made from', () => {
  fc.assert(
    fc.property(fc.constantFrom(...lowRank), fc.nat(1000), fc.boolean(), (method, seed, rslora) => {
      const adapter = adapterOf(
        method,
        new Map([
          [path, size],
          ['other', { ...size, rank: method === 'vera' ? 2 : 1 }],
        ]),
        seed,
        { alpha: 3, rslora },
      )
      const lora = right(loraOf(adapter, () => 5))
      return ['w', 'other'].every(at => close(deltaOf(lora, at, [5, 4])!, deltaOf(adapter, at, base)!))
    }),
    { numRuns: 60 },
  )
  assert.match(
    message(loraOf(adapterOf('dora', new Map([[path, size]]), 1), () => 5)),
    /^DoRA scales .*: export it merged$/,
  )
  for (const method of ['shira', 'full'] as const)
    assert.match(message(loraOf(adapterOf(method, new Map([[path, size]]), 1), () => 5)), /export it merged$/)
})
test('PaCA leaves as a LoRA with one-hot A, B = values - base, and a scale of 1', () => {
  const module = { columns: i32(1, 4), values: f32([2, 2], 5, 6, 7, 8), base: f32([2, 2], 1, 1, 2, 2) }
  const lora = right(loraOf({ ...origin, method: 'paca', rank: 2, modules: new Map([[path, module]]) }, () => 5))
  assert.deepEqual(lora.modules.get(path), {
    lora_A: f32([5, 2], 0, 0, 1, 0, 0, 0, 0, 0, 0, 1),
    lora_B: f32([2, 2], 4, 5, 5, 6),
  })
  assert.equal(scaleOf(lora, path), 1)
})

test('combined adapters are the weighted sum exactly, their ranks added up', () => {
  const sizes = new Map([
    [path, size],
    ['other', { ...size, rank: 1 }],
  ])
  const a = adapterOf('paca', sizes, 1)
  const b = adapterOf('lora', new Map([[path, size]]), 2, { alpha: 6 })
  const c = adapterOf('paca', new Map([[path, { ...size, rank: 3 }]]), 9)
  const combined = right(
    combineAdapters([{ adapter: a, weight: 0.5 }, { adapter: b, weight: -2 }, { adapter: c }], () => 5),
  )
  const delta = (adapter: Adapter, at: string) => deltaOf(adapter, at, base)!
  assert.ok(
    close(
      delta(combined, path),
      plus(
        plus(
          delta(a, path).map(x => 0.5 * x),
          delta(b, path).map(x => -2 * x),
        ),
        delta(c, path),
      ),
    ),
  )
  assert.ok(
    close(
      delta(combined, 'other'),
      delta(a, 'other').map(x => 0.5 * x),
    ),
  )
  assert.deepEqual(
    [
      combined.rank,
      combined.rankPattern,
      combined.modules.get(path)!.lora_A.sizes,
      combined.modules.get('other')!.lora_B.sizes,
    ],
    [7, { other: 1 }, [5, 7], [1, 4]],
  )
  assert.match(
    message(combineAdapters([{ adapter: a }, { adapter: adapterOf('dora', sizes, 1) }], () => 5)),
    /export it merged$/,
  )
  assert.match(
    message(combineAdapters([{ adapter: a }, { adapter: { ...b, baseModelHash: 'cd'.repeat(32) } }], () => 5)),
    /belong to different bases/,
  )
  assert.match(message(combineAdapters([], () => 5)), /no adapter/)
  assert.match(
    message(combineAdapters([{ adapter: { ...b, whole: new Map([['n', f32([1], 1)]]) } }], () => 5)),
    /modules_to_save/,
  )
})
