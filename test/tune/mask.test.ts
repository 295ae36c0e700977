import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  f32,
  interpret,
  kernel,
  placeholder,
  scalar,
  u,
  type Kernel,
  type Node,
  type Numbers,
  type Shape,
  type Tensor,
} from '../../src/tensor/index.ts'
import {
  all,
  applyUpdates,
  columns,
  entries,
  focus,
  frozen,
  init,
  lensOf,
  maskedLeaves,
  putFocus,
  tensorsOf,
  type Columns,
  type Dynamic,
  type Focus,
  type Frozen,
  type Lens,
} from '../../src/tune/index.ts'
import type { Equal, Expect } from '../support/expect-type.ts'
import { size } from '../support/trajectories.ts'

type Kind = 'all' | 'columns' | 'entries'
/**
 * A leaf with its data, a lens on it, and two contents for its focus. Data is any float64: NaN, infinities and -0 too.
 */
interface Subject {
  readonly kind: Kind
  /** The axis of the leaf's inputs. */
  readonly axis: number
  readonly index: readonly number[]
  readonly leaf: Numbers
  readonly parts: readonly [Numbers, Numbers]
}

const count = (sizes: readonly number[]): number => sizes.reduce((n, s) => n * s, 1)
const doubles = (sizes: readonly number[]): fc.Arbitrary<Numbers> =>
  fc
    .array(fc.double(), { minLength: count(sizes), maxLength: count(sizes) })
    .map(data => ({ sizes, data: Float64Array.from(data) }))

const subject = (kind: Kind): fc.Arbitrary<Subject> =>
  fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }).chain(sizes => {
    return fc.nat({ max: sizes.length - 1 }).chain(axis => {
      const choices = kind === 'columns' ? sizes[axis]! : count(sizes)
      // an index names no slice twice, in any order
      return fc.shuffledSubarray([...Array(choices).keys()], { minLength: 1 }).chain(index => {
        const part = doubles({ all: sizes, columns: sizes.with(axis, index.length), entries: [index.length] }[kind])
        return fc.record({
          kind: fc.constant(kind),
          axis: fc.constant(axis),
          index: fc.constant(index),
          leaf: doubles(sizes),
          parts: fc.tuple(part, part),
        })
      })
    })
  })

interface Bench {
  readonly run: (root: (lens: Lens, leaf: Node, a: Node, b: Node) => Node) => Numbers
}
const bench = (
  { kind, axis, index, leaf, parts: [a, b] }: Subject,
  change: (lens: Lens) => Lens = lens => lens,
): Bench => {
  const mask = kind === 'all' ? all : kind === 'columns' ? columns(index.length) : entries(index.length)
  const leafNode = kernel(init.zeros(), axis, ...leaf.sizes)
  const lens = lensOf(mask, leafNode)!
  const [aNode, bNode] = [a, b].map(({ sizes }) => placeholder(sizes, 'f32')) as [Node, Node]
  const feeds = new Map([
    [leafNode, leaf],
    [aNode, a],
    [bNode, b],
    ...lens.index.map(i => [i, { sizes: [index.length], data: Float64Array.from(index) }] as const),
  ])
  return { run: root => interpret([root(change(lens), leafNode, aNode, bNode)], feeds, size)[0]! }
}
/** The same bits, as far as a program can tell: -0 is not 0, NaN is NaN. */
const same = (a: Numbers, b: Numbers): boolean =>
  a.sizes.join() === b.sizes.join() && a.data.every((x, i) => Object.is(x, b.data[i]))

/** Tests whether an element of the leaf is in the focus, without the lens. */
const inside = ({ kind, axis, index, leaf: { sizes } }: Subject, element: number): boolean =>
  kind === 'all' ||
  index.includes(kind === 'entries' ? element : Math.floor(element / count(sizes.slice(axis + 1))) % sizes[axis]!)

type Law = (subject: Subject, change?: (lens: Lens) => Lens) => boolean
const laws: Readonly<Record<string, Law>> = {
  'get ∘ put: what was put is got': (s, change) =>
    same(
      bench(s, change).run((lens, leaf, a) => lens.get(lens.put(leaf, a))),
      s.parts[0],
    ),
  'put ∘ get: putting back what is there changes nothing': (s, change) =>
    same(
      bench(s, change).run((lens, leaf) => lens.put(leaf, lens.get(leaf))),
      s.leaf,
    ),
  'put ∘ put: the last put counts': (s, change) => {
    const { run } = bench(s, change)
    return same(
      run((lens, leaf, a, b) => lens.put(lens.put(leaf, a), b)),
      run((lens, leaf, _, b) => lens.put(leaf, b)),
    )
  },
  'put leaves everything outside the focus bit-identical': (s, change) => {
    const after = bench(s, change).run((lens, leaf, a) => lens.put(leaf, a))
    return s.leaf.data.every((x, i) => inside(s, i) || Object.is(x, after.data[i]))
  },
}

for (const [law, holds] of Object.entries(laws)) {
  for (const kind of ['all', 'columns', 'entries'] as const) {
    test(`${kind}: ${law}`, () => {
      fc.assert(
        fc.property(subject(kind), s => holds(s)),
        { numRuns: 200 },
      )
    })
  }
}

/** Lenses that look right: each breaks the law next to it. */
const mutants: readonly (readonly [name: string, law: string, kind: Kind, change: (lens: Lens) => Lens])[] = [
  ['a put that does nothing', 'get ∘ put', 'columns', lens => ({ ...lens, put: leaf => leaf })],
  [
    'a get of the first columns',
    'get ∘ put',
    'columns',
    lens => ({ ...lens, get: leaf => u.slice(leaf, 0, { as: lens.index[0]!.shape[0]! }) }),
  ],
  [
    'a put that adds',
    'put ∘ put',
    'entries',
    lens => ({ ...lens, put: (leaf, part) => lens.put(leaf, u.add(lens.get(leaf), part)) }),
  ],
  [
    'a get that adds zero',
    'put ∘ get',
    'columns',
    lens => ({ ...lens, get: leaf => u.add(lens.get(leaf), scalar(0)) }),
  ],
  [
    'a put that touches the rest',
    'put leaves',
    'columns',
    lens => ({ ...lens, put: (leaf, part) => lens.put(u.add(leaf, scalar(1)), part) }),
  ],
  [
    'a put that rounds',
    'get ∘ put',
    'all',
    lens => ({ ...lens, put: (_, part) => u.add(u.add(part, scalar(1)), scalar(-1)) }),
  ],
]

for (const [name, law, kind, change] of mutants) {
  test(`refuted: ${name} (${law})`, () => {
    const holds = Object.entries(laws).find(([text]) => text.startsWith(law))![1]
    assert.ok(
      fc.check(
        fc.property(subject(kind), s => holds(s, change)),
        { numRuns: 1000, seed: 7 },
      ).failed,
    )
  })
}

test('refuted: an index that names a column twice is no lens', () => {
  const twice: Subject = {
    kind: 'columns',
    axis: 0,
    index: [0, 0],
    leaf: { sizes: [2], data: Float64Array.of(1, 2) },
    parts: [
      { sizes: [2], data: Float64Array.of(3, 4) },
      { sizes: [2], data: Float64Array.of(5, 6) },
    ],
  }
  assert.ok(!Object.values(laws)[0]!(twice))
})

const params = {
  up: f32('pixels', 'hidden'),
  down: f32('hidden', 'classes'),
  layers: [{ q: f32('in', 'out'), k: f32('in', 'out') }],
}
const mask = { up: columns(8), down: frozen, layers: [{ q: entries(5), k: all }] }
const part = focus(params, mask)

test('a focus has the parts of the trained leaves, and no frozen leaf', () => {
  assert.deepEqual(
    tensorsOf(part).map(([path, { shape }]) => [path, shape]),
    [
      ['up', [8, 'hidden']],
      ['layers.0.q', [5]],
      ['layers.0.k', ['in', 'out']],
    ],
  )
  assert.deepEqual(
    maskedLeaves(params, mask).map(m => [m.path, m.mask.mask]),
    [
      ['up', 'columns'],
      ['down', 'frozen'],
      ['layers.0.q', 'entries'],
      ['layers.0.k', 'all'],
    ],
  )
})

test('a tree with its focus written back has the same structure, and the same frozen leaves', () => {
  const after = putFocus(params, mask, applyUpdates(part, part))
  assert.deepEqual(
    tensorsOf(after).map(([path, { shape }]) => [path, shape]),
    tensorsOf(params).map(([path, { shape }]) => [path, shape]),
  )
  assert.equal(after.down, params.down)
  assert.ok(Array.isArray(after.layers))
})

test('a mask that lacks a leaf, or has one too many, is refused by name', () => {
  assert.throws(
    () => focus({ up: params.up }, { up: all, typo: frozen }),
    /a leaf at typo, where there is no parameter/,
  )
  assert.throws(() => focus({ up: params.up }, { down: frozen }), /no leaf at up/)
})

type P = typeof params
type F = Focus<P, typeof mask>
type Block = { readonly w: Tensor<readonly ['in', 'out']>; readonly gain: Tensor<readonly ['out']> }
export type Laws = [
  Expect<Equal<F['up'], Tensor<readonly [8, 'hidden']>>>,
  Expect<Equal<F['layers'][number]['q'], Tensor<readonly [5]>>>,
  Expect<Equal<F['layers'][number]['k'], P['layers'][number]['k']>>,
  // frozen leaves are no keys
  Expect<Equal<Extract<keyof F, string>, 'up' | 'layers'>>,
  // for a convolution a column is an input channel, on the axis that the weight declares
  Expect<
    Equal<
      Focus<{ readonly w: Kernel<readonly [3, 3, 'channels', 'out'], 2> }, { readonly w: Columns<4> }>['w'],
      Tensor<readonly [3, 3, 4, 'out']>
    >
  >,
  // a count may have a name
  Expect<
    Equal<
      Focus<{ readonly w: Tensor<readonly ['in', 'out']> }, { readonly w: Columns<'rank'> }>['w'],
      Tensor<readonly ['rank', 'out']>
    >
  >,
  // arrays stay arrays
  Expect<
    Equal<
      Focus<readonly Block[], readonly { readonly w: Columns<2>; readonly gain: Frozen }[]>[number],
      { readonly w: Tensor<readonly [2, 'out']> }
    >
  >,
  Expect<Equal<Focus<readonly Tensor<readonly ['in']>[], readonly Columns<3>[]>[number], Tensor<readonly [3]>>>,
  // targets that are known at run time only: accepted, and the focus is opaque
  Expect<Equal<Extract<keyof Focus<P, Dynamic>, string>, never>>,
]

test('what is no focus of a mask is refused by the type checker', () => {
  const wants = (f: F): F => f
  wants(part)
  // @ts-expect-error a full gradient is no focus: the brand is missing
  wants(params)
  // @ts-expect-error nor is a tree that looks like one
  wants({ up: f32(8, 'hidden'), layers: [{ q: f32(5), k: f32('in', 'out') }] })
  // @ts-expect-error nor the focus of a mask with other columns
  wants(focus(params, { ...mask, up: columns(16) }))
  // @ts-expect-error a frozen leaf is not in it
  assert.equal(part.down, undefined)
  // @ts-expect-error a tensor of another shape cannot be written back
  assert.throws(() => putFocus(params, mask, { ...part, up: f32(16, 'hidden') }))
  const shape: Shape = part.up.shape
  assert.deepEqual(shape, [8, 'hidden'])
})
