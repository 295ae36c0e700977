import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  combineAdapters,
  deltaOf,
  formOfModule,
  indexIn,
  loraOf,
  mergedWeight,
  restoredWeight,
  scaleOf,
  type Adapter,
  type AnyAdapter,
} from '../../src/io/adapter/index.ts'
import {
  isTensor,
  leafName,
  lensOf,
  mapTree,
  maskedLeaves,
  methodNames,
  placesAt,
  recordOf,
  type FirstValue,
  type MethodName,
} from '../../src/tune/index.ts'
import { interpret, placeholder, type Node, type Numbers, type Shape, type Value } from '../../src/tensor/index.ts'
import { sizeIn } from '../support/op-subjects.ts'
import { adapterOf, f32, i32, origin, random, type Size } from '../support/adapters.ts'
import { message, right } from '../support/tokenizers.ts'

const path = 'w'
const size: Size = { input: 5, output: 4, rank: 2 }
const base = random(50, 5, 4)
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-6): boolean =>
  a.length === b.length && Array.from(a).every((x, i) => Math.abs(x - b[i]!) <= tolerance * (1 + Math.abs(b[i]!)))
const plus = (a: ArrayLike<number>, b: ArrayLike<number>): readonly number[] => Array.from(a, (x, i) => x + b[i]!)

/** A weight of the form that a module was trained in: a matrix, or a vector that is trained whole. */
const baseFor = ({ method, modules }: AnyAdapter): Value<Shape> => {
  const module = modules.get(path)!
  const inPlace = recordOf(method).change === 'values' && indexIn(formOfModule(method, module)) === undefined
  return inPlace ? random(50, ...module['values']!.sizes) : base
}
const numbersOf = ({ sizes, data }: FirstValue): Numbers => ({ sizes, data: Float64Array.from(data) })

/**
 * The weight that the method itself says its tree stands for, in float64: the leaves are those that are saved, and what
 * a method adds besides has its first values.
 */
const meant = (adapter: Adapter, leafValue: Value<Shape>): Float64Array => {
  const { method, modules, shared = {}, rslora }: AnyAdapter = adapter
  const record = recordOf(method)
  const module = modules.get(path)!
  const index = indexIn(formOfModule(method, module))
  const chosen = index && (module[index.name] as Value<Shape, 'i32'>)
  const leaf = placeholder(['in', 'out'].slice(-leafValue.sizes.length), 'f32')
  const { params, mask, weight, additions } = record
    .make({
      targets: [path],
      rank: size.rank,
      alpha: 3,
      rslora: rslora === true,
      seed: 0,
      ...(chosen ? { selection: new Map([[path, chosen.data]]) } : {}),
      ...record.again?.(modules as never),
    })
    .apply({ [path]: leaf })
  const dims: Readonly<Record<string, number>> = {
    in: size.input,
    out: size.output,
    ...record.dims?.([{ path, rank: size.rank, in: size.input, out: size.output }]),
  }
  const sizeOf = sizeIn(dims)
  const first = new Map(
    additions.flatMap(addition => {
      const values = addition.make({ base: leafValue, size: sizeOf, chosen: () => chosen!.data })
      return addition.leaves.map((node, i) => [node, values[i]!] as const)
    }),
  )
  const feeds = new Map<Node, Numbers>()
  const trained = new Map<Node, Node>()
  for (const { path: at, leaf: node, mask: own } of maskedLeaves(params, mask)) {
    const saved = at === path || at === `${path}.weight` ? leafValue : (module[leafName(at)] ?? shared[at])
    feeds.set(node, numbersOf(saved ?? first.get(node)!))
    if (at !== path) continue
    // what is trained of the leaf itself is written into it
    const lens = lensOf(own, node)!
    const part = placeholder(lens.get(node).shape, 'f32')
    feeds.set(part, numbersOf(module['values']!))
    if ('index' in own) feeds.set(own.index, numbersOf(chosen!))
    trained.set(node, lens.put(node, part))
  }
  const tree = mapTree(params, isTensor, node => trained.get(node) ?? node)
  const root = (weight(tree) as Readonly<Record<string, Node>>)[path]!
  return interpret([root], feeds, sizeOf)[0]!.data as Float64Array
}

/** A saved adapter represents the weight that its method trained. */
const sameWeight = (merge: typeof mergedWeight, ...names: readonly MethodName[]) =>
  fc.property(
    fc.constantFrom(...(names.length > 0 ? names : methodNames)),
    fc.nat(1000),
    fc.boolean(),
    fc.nat(1),
    (method, seed, rslora, nth) => {
      const adapter = adapterOf(method, new Map([[path, size]]), seed, { alpha: 3, rslora }, nth)
      const leaf = baseFor(adapter)
      return close(merge([{ adapter }], path, leaf).data, meant(adapter, leaf))
    },
  )
test('merged is what the method says that its tree stands for, of every method', () => {
  fc.assert(sameWeight(mergedWeight), { numRuns: 120 })
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

test('of every method, a hundredth too little of its change is told from it', () => {
  const less: typeof mergedWeight = (uses, at, leaf) =>
    mergedWeight(
      uses.map(use => ({ ...use, weight: 0.99 })),
      at,
      leaf,
    )
  for (const method of methodNames) assert.throws(() => fc.assert(sameWeight(less, method)), method)
})

const bias = random(51, 4)
test('IA³ changes the bias of a module whose outputs it scales, and of no other', () => {
  const [outputs, inputs] = [0, 1].map(nth => adapterOf('ia3', new Map([[path, size]]), 5, {}, nth))
  assert.ok(
    close(
      deltaOf(outputs!, 'w.bias', bias)!,
      bias.data.map((x, i) => x * (factors(outputs!).data[i]! - 1)),
    ),
  )
  assert.deepEqual([...deltaOf(inputs!, 'w.bias', bias)!], [0, 0, 0, 0])
  assert.equal(deltaOf(adapterOf('lora', new Map([[path, size]]), 5), 'w.bias', bias), undefined)
})
const factors = ({ modules }: Adapter<'ia3'>): Value<Shape> => {
  const module = modules.get(path)!
  return 'ia3_out' in module ? module.ia3_out : module.ia3_in
}

test("numbers of the weight are written bit for bit, and the base's own restore it", () => {
  const indexed = methodNames.filter(method => recordOf(method).tensors.some(form => indexIn(form) !== undefined))
  assert.ok(indexed.length >= 2)
  for (const method of indexed) {
    const made: AnyAdapter = adapterOf(method, new Map([[path, size]]), 3)
    const module = made.modules.get(path)!
    const index = indexIn(formOfModule(method, module))!
    const places = placesAt(index.among, module[index.name]!.data as Int32Array, [5, 4])
    // the adapter's copy of the base is a copy of the base
    const copy = Float32Array.from(places, place => base.data[place]!)
    const values = (module['values']!.data as Float32Array).map((x, i) => (i === 0 ? -0 : x))
    const adapter = {
      ...made,
      modules: new Map([
        [path, { ...module, values: { ...module['values'], data: values }, base: { ...module['base'], data: copy } }],
      ]),
    } as unknown as Adapter
    const merged = mergedWeight([{ adapter }], path, base)
    places.forEach((place, i) => assert.ok(Object.is(merged.data[place], values[i])))
    assert.equal(merged.data.filter((x, i) => !Object.is(x, base.data[i])).length, places.length)
    assert.deepEqual(restoredWeight(adapter, path, merged), base)
    assert.ok(close(plus(base.data, deltaOf(adapter, path, [5, 4])!), merged.data))
  }
  const full = adapterOf('full', new Map([[path, size]]), 3)
  assert.deepEqual(mergedWeight([{ adapter: full }], path, base).data, full.modules.get(path)!.values.data)
  assert.ok(close(plus(base.data, deltaOf(full, path, base)!), full.modules.get(path)!.values.data))
})

/** Methods whose first form is one of a matrix. */
const isOfMatrix = (method: MethodName): boolean =>
  baseFor(adapterOf(method, new Map([[path, size]]), 1)).sizes.length === 2

test('several adapters are added to the base with their weights, of any methods; what nobody changes stays the same value', () => {
  // of methods that change a matrix
  const uses = methodNames.filter(isOfMatrix).map((method, i) => ({
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
  const dora = adapterOf('dora', new Map([[path, size]]), 1)
  assert.throws(() => deltaOf(dora, path, [5, 4]), /what dora changes depends on the weight of the base/)
})

const lowRank = methodNames.filter(method => 'factors' in recordOf(method).lora)
test('a LoRA stands for the same change as the adapter that it was made from', () => {
  fc.assert(
    fc.property(fc.constantFrom(...lowRank), fc.nat(1000), fc.boolean(), (method, seed, rslora) => {
      const adapter = adapterOf(
        method,
        new Map([
          [path, size],
          ['other', { ...size, rank: recordOf(method).takes.includes('ranks') ? 1 : 2 }],
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
  for (const method of methodNames.filter(name => !lowRank.includes(name)))
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
