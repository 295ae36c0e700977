import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import {
  bind,
  composites,
  count,
  node,
  placeholder,
  primitives,
  result,
  u,
  windowsOn,
  type Contraction,
  type Dim,
  type DType,
  type Node,
  type Numbers,
  type Op,
  type Shape,
} from '../../src/tensor/index.ts'
import type { WindowPadding, WindowSteps } from '../../src/tensor/shape/index.ts'
import { randomFrom } from './seeded.ts'

/** Random instances of every op: the subjects of the laws, on every target. */

/**
 * Sizes for all names that the subjects use. Names with a plus are sums, as `concat` makes them; `few` is at most every
 * other size.
 */
export type Sizes = Readonly<Record<string, number>>
export const environments: fc.Arbitrary<Sizes> = fc
  .tuple(...(['a', 'b', 'c'] as const).map(() => fc.integer({ min: 2, max: 4 })), fc.integer({ min: 1, max: 2 }))
  .map(([a, b, c, few]) => ({ 'a': a!, 'b': b!, 'c': c!, 'few': few!, 'a+b': a! + b!, 'a+a': 2 * a! }))
/** The size of a dim. */
export const sizeIn =
  (sizes: Sizes) =>
  (dim: Dim): number =>
    E.getOrElse((message: string): number => {
      throw new Error(message)
    })(bind(sizes)(dim))

/**
 * The values that an input takes. All reals of an instance differ, by much more than the step of a difference quotient,
 * and none is near 0.
 */
type Domain = 'real' | 'positive' | 'unit' | 'large' | 'bit' | 'bool' | 'word' | { readonly below: Dim }
export interface Leaf {
  readonly shape: Shape
  readonly domain?: Domain
}
/** An expression over leaves, with the leaves in which it is differentiable (default: all reals). */
export interface Plan {
  readonly leaves: readonly Leaf[]
  readonly build: (inputs: readonly Node[]) => Node
  readonly differentiable?: readonly number[]
}
export type Subject = fc.Arbitrary<Plan>

/** An expression with data for its leaves. */
export interface Instance {
  readonly root: Node
  readonly leaves: readonly Node[]
  /** The leaves that the expression is differentiable in. */
  readonly differentiable: readonly Node[]
  /** The begin and the width of the range of a real leaf. */
  readonly ranges?: ReadonlyMap<Node, readonly [from: number, width: number]>
  readonly feeds: ReadonlyMap<Node, Numbers>
  readonly sizes: Sizes
  readonly size: (dim: Dim) => number
}

/** The domains of reals: their begin and their width. */
const ranges: Readonly<Record<string, readonly [from: number, width: number]>> = {
  real: [-2, 4],
  positive: [0.25, 2],
  unit: [-0.9, 1.8],
  large: [2.25, 2],
}
const rangeOf = ({ domain = 'real' }: Leaf): readonly [from: number, width: number] | undefined =>
  typeof domain === 'string' ? ranges[domain] : undefined
const isReal = (leaf: Leaf): boolean => rangeOf(leaf) !== undefined
const dtypeOf = (leaf: Leaf): DType => (isReal(leaf) ? 'f32' : leaf.domain === 'bool' ? 'bool' : 'i32')

/** A leaf as a node. */
export const declared = (leaf: Leaf): Node => placeholder(leaf.shape, dtypeOf(leaf))

export { randomFrom }
const shuffled = (n: number, random: () => number): readonly number[] => {
  const order = Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}

/** Data for leaves, from a seed. */
export const dataFor = (leaves: readonly Leaf[], size: (dim: Dim) => number, seed: number): readonly Numbers[] => {
  const random = randomFrom(seed)
  const counts = leaves.map(leaf => count(leaf.shape.map(size)))
  // an even number of points, so that none of them is 0
  const points = 2 * Math.ceil((counts.reduce((n, c) => n + c, 0) + 1) / 2)
  const order = shuffled(points, random)
  let next = 0
  return leaves.map(({ shape, domain = 'real' }, i) => {
    const n = counts[i]!
    const sizes = shape.map(size)
    if (domain === 'bit' || domain === 'bool')
      return { sizes, data: Float64Array.from({ length: n }, () => Number(random() < 0.5)) }
    if (domain === 'word')
      return { sizes, data: Float64Array.from({ length: n }, () => Math.floor(random() * 2 ** 32) | 0) }
    if (typeof domain === 'object') {
      // an index names no element twice if that can be avoided
      const places = size(domain.below)
      const index = shuffled(places, random)
      return { sizes, data: Float64Array.from({ length: n }, (_, k) => index[k % places]!) }
    }
    const [from, width] = ranges[domain]!
    return { sizes, data: Float64Array.from({ length: n }, () => from + (width * (order[next++]! + 0.5)) / points) }
  })
}

/** An expression as text, for counterexamples. */
export const printed = (root: Node): string => {
  const { block: _, ...attributes } = root.attributes as Readonly<Record<string, unknown>>
  return root.op === primitives.parameter
    ? `${root.dtype}[${root.shape.join()}]`
    : `${root.op.name} ${JSON.stringify(attributes)} (${root.inputs.map(printed).join(', ')})`
}

/** Instances of a subject. */
export const instances = (subject: Subject): fc.Arbitrary<Instance> =>
  fc.tuple(environments, fc.integer(), subject).map(([sizes, seed, { leaves, build, differentiable }]) => {
    const size = sizeIn(sizes)
    const data = dataFor(leaves, size, seed)
    const inputs = leaves.map(declared)
    const root = build(inputs)
    return {
      root,
      leaves: inputs,
      sizes,
      size,
      feeds: new Map(inputs.map((input, i) => [input, data[i]!])),
      ranges: new Map(
        inputs.flatMap((input, i) => {
          const range = rangeOf(leaves[i]!)
          return range ? [[input, range] as const] : []
        }),
      ),
      [fc.toStringMethod]: () => `${printed(root)} with ${JSON.stringify(sizes)}`,
      differentiable: inputs.filter((_, i) => isReal(leaves[i]!) && (differentiable ?? [i]).includes(i)),
    }
  })

export const dims: fc.Arbitrary<Dim> = fc.constantFrom('a', 'b', 'c', 1, 2, 'a*b')
/** Dims of at least the size of `few`. */
const wide: fc.Arbitrary<Dim> = fc.constantFrom('a', 'b', 'c', 2, 3)
export const shapes = (minLength = 0, maxLength = 3, element = dims): fc.Arbitrary<Shape> =>
  fc.array(element, { minLength, maxLength })
export const axisOf = (shape: Shape): fc.Arbitrary<number> => fc.integer({ min: 0, max: shape.length - 1 })
const withAxis = (shape: fc.Arbitrary<Shape>): fc.Arbitrary<readonly [Shape, number]> =>
  shape.chain(s => fc.tuple(fc.constant(s), axisOf(s)))
const at = (shape: Shape, axis: number, dim: Dim): Shape => shape.map((d, i) => (i === axis ? dim : d))

const plan = (leaves: readonly Leaf[], build: Plan['build'], differentiable?: readonly number[]): Plan => ({
  leaves,
  build,
  ...(differentiable && { differentiable }),
})
const applied =
  <A>(op: Op<A>, attributes: A): Plan['build'] =>
  inputs =>
    node(op, inputs, attributes)

/** Shapes that broadcast together: trailing parts of one shape, some of their dims 1. */
export const broadcastable = (n: number): fc.Arbitrary<readonly Shape[]> =>
  shapes().chain(shape =>
    fc.tuple(
      ...Array.from({ length: n }, () =>
        fc
          .tuple(
            fc.integer({ min: 0, max: shape.length }),
            fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }),
          )
          .map(([from, ones]) => shape.map((dim, i) => (ones[i] ? 1 : dim)).slice(from)),
      ),
    ),
  )

const elementwise = (op: Op<object>, domains: readonly Domain[]): Subject =>
  broadcastable(domains.length).map(of =>
    plan(
      of.map((shape, i) => ({ shape, domain: domains[i]! })),
      applied(op, {}),
    ),
  )
const unary = (op: Op<object>, domain: Domain = 'real'): Subject =>
  shapes().map(shape => plan([{ shape, domain }], applied(op, {})))
const rows = (op: Op<object>, operands: number): Subject =>
  shapes(1).map(shape =>
    plan(
      Array.from({ length: operands }, () => ({ shape })),
      applied(op, {}),
    ),
  )

const reduction = (op: typeof primitives.sum): Subject =>
  shapes().chain(shape =>
    fc
      .tuple(fc.subarray(shape.map((_, axis) => axis)), fc.boolean())
      .map(([axes, keepDims]) => plan([{ shape }], applied(op, { axes, keepDims }))),
  )

const cumulation = (op: typeof primitives.cumsum): Subject =>
  fc
    .tuple(withAxis(shapes(1)), fc.boolean(), fc.boolean())
    .map(([[shape, axis], exclusive, reverse]) => plan([{ shape }], applied(op, { axis, exclusive, reverse })))
const placeOf = (op: typeof composites.argmax): Subject =>
  fc
    .tuple(withAxis(shapes(1)), fc.boolean())
    .map(([[shape, axis], keepDims]) => plan([{ shape }], applied(op, { axis, keepDims })))
/** A shape, and that of an index along one of its axes. */
const withIndex = fc
  .tuple(withAxis(shapes(1)), dims)
  .map(([[shape, axis], dim]) => ({ shape, index: at(shape, axis, dim), axis }))

/** Two shapes of the same data: neighbours of a shape merged. */
export const merged: fc.Arbitrary<readonly [Shape, Shape]> = shapes(0, 4, fc.constantFrom('a', 'b', 'c', 1)).chain(
  shape =>
    fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }).map(
      joins =>
        [
          shape,
          shape.reduce<Shape>((done, dim, i) => {
            const last = done.at(-1)
            if (last === undefined || !joins[i]) return [...done, dim]
            return [...done.slice(0, -1), last === 1 ? dim : dim === 1 ? last : `${last}*${dim}`]
          }, []),
        ] as const,
    ),
)
const reshapes = fc
  .tuple(merged, fc.boolean())
  .map(([[from, to], back]) => (back ? ([to, from] as const) : ([from, to] as const)))

export interface Product {
  readonly letters: Contraction
  readonly a: Shape
  readonly b: Shape
}
/**
 * Contractions over random letter sets: up to `most` letters that both operands and the result have, as many that only
 * one operand has, and that are summed.
 */
export const products = (most = 1): fc.Arbitrary<Product> =>
  fc
    .tuple(...['xyz', 'mno', 'pqr', 'klj'].map(of => fc.integer({ min: 0, max: most }).map(n => of.slice(0, n))))
    .chain(([batch = '', left = '', right = '', inner = '']) => {
      const order = (letters: string) =>
        fc.shuffledSubarray([...letters], { minLength: letters.length }).map(all => all.join(''))
      const all = batch + left + right + inner
      return fc
        .tuple(
          order(batch + left + inner),
          order(batch + right + inner),
          order(batch + left + right),
          fc.array(dims, { minLength: all.length, maxLength: all.length }),
        )
        .map(([a, b, out, of]): Product => ({
          letters: { a, b, out },
          a: [...a].map(letter => of[all.indexOf(letter)]!),
          b: [...b].map(letter => of[all.indexOf(letter)]!),
        }))
    })

const sliceCases = fc.constantFrom<{ whole: Dim; start: Shape; dim: Dim }>(
  { whole: 'a+b', start: [], dim: 'a' },
  { whole: 'a+b', start: ['a'], dim: 'b' },
  { whole: 3, start: [1], dim: 2 },
  { whole: 'a', start: [], dim: 'a' },
)
const joins = fc.constantFrom<{ parts: Shape; dim: Dim }>(
  { parts: ['a', 'b'], dim: 'a+b' },
  { parts: ['a', 'a'], dim: 'a+a' },
  { parts: [2, 1], dim: 3 },
  { parts: ['c'], dim: 'c' },
  { parts: [1, 2, 3], dim: 6 },
)

const continued = fc.constantFrom<{ whole: Dim; start: Shape; dim: Dim }>(
  { whole: 'a+b', start: ['a'], dim: 'b' },
  { whole: 'a*b', start: [], dim: 'b' },
  { whole: 7, start: [3], dim: 2 },
  { whole: 4, start: [2], dim: 1 },
)
const strides = fc.constantFrom<{ whole: Dim; start: Shape; dim: Dim; step: number }>(
  { whole: '2*a', start: [], dim: 'a', step: 2 },
  { whole: '2*a', start: [1], dim: 'a', step: 2 },
  { whole: 'a+b', start: ['a'], dim: 'few', step: 1 },
  { whole: 5, start: [1], dim: 2, step: 3 },
)
/** An axis, windows on it, and how they lie. */
interface Windowed extends WindowSteps {
  readonly whole: Dim
  readonly size: Dim
  readonly dim: Dim
}
/** Windows on axes of named sizes, and on those of numbers. */
const windowed = (dilations: readonly number[]): fc.Arbitrary<Windowed> =>
  fc.oneof(
    fc.constantFrom<Windowed>(
      { whole: 'a', size: 3, dim: 'a', stride: 1, dilation: 1, padding: 'same' },
      { whole: 'a', size: 'b', dim: 'a', stride: 1, dilation: 1, padding: 'same' },
      { whole: '2*b', size: 2, dim: 'b', stride: 2, dilation: 1, padding: 'same' },
      { whole: 'a', size: 3, dim: 'a', stride: 1, dilation: 1, padding: 1 },
      { whole: '2*a', size: 3, dim: 'a', stride: 2, dilation: 1, padding: [0, 1] },
    ),
    fc
      .record({
        whole: fc.integer({ min: 1, max: 6 }),
        size: fc.integer({ min: 1, max: 3 }),
        stride: fc.integer({ min: 1, max: 3 }),
        dilation: fc.constantFrom(...dilations),
        padding: fc.constantFrom<WindowPadding>('same', 'valid', 1, [0, 2], [2, 1]),
      })
      .map(of => ({ ...of, dim: windowsOn(of.whole, of.size, of).count }))
      .filter(({ dim }) => dim > 0),
  )
const onAxis = fc.tuple(withAxis(shapes(1)), windowed([1, 2]))

/** Images, a kernel and results of a convolution, with its attributes but for the dims. */
const convolved = fc
  .tuple(windowed([1]), windowed([1]), fc.boolean(), fc.constantFrom<Dim>('a', 'b', 1))
  .map(([rows, columns, depthwise, out]) => ({
    x: ['few', rows.whole, columns.whole, 'c'],
    w: [rows.size, columns.size, 'c', ...(depthwise ? [] : [out])],
    y: ['few', rows.dim, columns.dim, depthwise ? 'c' : out],
    attributes: {
      stride: [rows.stride, columns.stride],
      padding: [rows.padding, columns.padding],
      depthwise,
    } as const,
  }))

/** The first place of a part: sometimes too far from the start. */
const place: Leaf = { shape: [], domain: { below: 6 } }

/** A call of a block with two results: the joint meaning of `call` and `result`. */
const calls: Subject = fc.tuple(shapes(), fc.integer({ min: 0, max: 1 })).map(([shape, index]) =>
  plan([{ shape }, { shape }], inputs => {
    const p = placeholder(shape, 'f32')
    const q = placeholder(shape, 'f32')
    const block = {
      name: 'block',
      parameters: [p, q],
      outputs: [u.mul(p, q), u.tanh(u.mul(p, q))],
    }
    return result(node(primitives.call, inputs, { block }), index)
  }),
)

/** A loop with a parameter of each kind, that keeps its last value and those of every turn. */
const loops: Subject = fc
  .tuple(shapes(0, 2), fc.boolean(), fc.integer({ min: 0, max: 1 }))
  .map(([shape, reverse, index]) =>
    plan([{ shape }, { shape: ['a', ...shape] }, { shape }], inputs => {
      const [state, element, weight] = inputs.map(() => placeholder(shape, 'f32')) as [Node, Node, Node]
      const next = u.tanh(u.add(u.mul(state, weight), element))
      const block = { name: 'block', parameters: [state, element, weight], outputs: [next, u.mul(next, element)] }
      const feeds = [{ kind: 'carried', output: 0 }, { kind: 'layered' }, { kind: 'shared' }] as const
      return result(node(primitives.loop, inputs, { block, count: 'a', feeds, reverse }), index)
    }),
  )

const causal = fc
  .tuple(shapes(0, 1), wide, wide)
  .map(([lead, queries, keys]) => ({ shape: [...lead, queries, keys], keys }))
const normed = withAxis(shapes(1, 3)).map(([shape]) => ({ shape, last: shape.at(-1)! }))
/**
 * Rows of different numbers: a row of one number has no variance. Few numbers may be almost equal, and ε bounds the factor
 * by which their differences are enlarged.
 */
const standardized = fc.tuple(shapes(0, 2), wide).map(([lead, last]): Shape => [...lead, last])
const labelled = shapes(1, 3, wide).map(shape => ({ shape, rows: shape.slice(0, -1), classes: shape.at(-1)! }))
/** Far above what central differences step over: rows of numbers near 0 would be a corner to them. */
const epsilon = 0.1

/** Matrices with their packed form: whole blocks, and an incomplete last one. */
const packed = fc.constantFrom<{ shape: Shape; blocks: Dim; words: Dim }>(
  { shape: ['a', 64], blocks: 'a', words: 'a*8' },
  { shape: [2, 'b', 32], blocks: 'b', words: 'b*8' },
  { shape: [3, 50], blocks: 3, words: 24 },
  { shape: [5], blocks: 1, words: 8 },
)
/** A key and a stream. */
const draw: readonly Leaf[] = [
  { shape: [3], domain: { below: 1000 } },
  { shape: [1], domain: { below: 1000 } },
]
const drops = fc.record({ shape: shapes(), rate: fc.constantFrom(0, 0.1, 0.5, 0.75) })

/** One generator for every op: an op without one does not compile. */
export const subjects: { readonly [K in keyof typeof primitives | keyof typeof composites]: Subject } = {
  parameter: shapes().map(shape => plan([{ shape }], ([x]) => x!)),
  constant: fc.oneof(
    fc.constant(plan([], applied(primitives.constant, { value: [1, -2.5, 3], shape: [3], dtype: 'f32' }))),
    shapes().map(shape => plan([], applied(primitives.constant, { value: 0.5, shape, dtype: 'f32' }))),
  ),
  size: shapes().map(of => plan([], applied(primitives.size, { dims: of }))),
  iota: fc
    .tuple(dims, fc.constantFrom<DType>('f32', 'i32'))
    .map(([dim, dtype]) => plan([], applied(primitives.iota, { dim, dtype }))),
  add: elementwise(primitives.add, ['real', 'real']),
  sub: elementwise(primitives.sub, ['real', 'real']),
  mul: elementwise(primitives.mul, ['real', 'real']),
  div: elementwise(primitives.div, ['real', 'positive']),
  pow: elementwise(primitives.pow, ['positive', 'real']),
  maximum: elementwise(primitives.maximum, ['real', 'real']),
  minimum: elementwise(primitives.minimum, ['real', 'real']),
  equal: elementwise(primitives.equal, ['bit', 'bit']),
  notEqual: elementwise(primitives.notEqual, ['bit', 'bit']),
  less: elementwise(primitives.less, ['real', 'real']),
  lessEqual: elementwise(primitives.lessEqual, ['bit', 'bit']),
  greater: elementwise(primitives.greater, ['real', 'real']),
  greaterEqual: elementwise(primitives.greaterEqual, ['bit', 'bit']),
  and: elementwise(primitives.and, ['bool', 'bool']),
  or: elementwise(primitives.or, ['bool', 'bool']),
  not: unary(primitives.not, 'bool'),
  select: elementwise(primitives.select, ['bool', 'real', 'real']),
  neg: unary(primitives.neg),
  exp: unary(primitives.exp),
  log: unary(primitives.log, 'positive'),
  sqrt: unary(primitives.sqrt, 'positive'),
  rsqrt: unary(primitives.rsqrt, 'positive'),
  tanh: unary(primitives.tanh),
  sigmoid: unary(primitives.sigmoid),
  abs: unary(primitives.abs),
  sign: unary(primitives.sign),
  sin: unary(primitives.sin),
  cos: unary(primitives.cos),
  erf: unary(primitives.erf),
  // it jumps at whole numbers
  floor: shapes().map(shape => plan([{ shape }], applied(primitives.floor, {}), [])),
  round: shapes().map(shape => plan([{ shape }], applied(primitives.round, {}), [])),
  tan: unary(primitives.tan, 'unit'),
  asin: unary(primitives.asin, 'unit'),
  acos: unary(primitives.acos, 'unit'),
  atan: unary(primitives.atan),
  sinh: unary(primitives.sinh),
  cosh: unary(primitives.cosh),
  asinh: unary(primitives.asinh),
  acosh: unary(primitives.acosh, 'large'),
  atanh: unary(primitives.atanh, 'unit'),
  log1p: unary(primitives.log1p, 'unit'),
  expm1: unary(primitives.expm1),
  atan2: elementwise(primitives.atan2, ['real', 'positive']),
  // the quotient jumps at 0 only
  remainder: elementwise(primitives.remainder, ['real', 'large']),
  // by design, it is not the derivative of its value
  stopGradient: shapes().map(shape => plan([{ shape }], applied(primitives.stopGradient, {}), [])),
  cast: fc
    .tuple(shapes(), fc.constantFrom<DType>('f32', 'i32', 'bool'), fc.constantFrom<Domain>('real', 'bit', 'bool'))
    .map(([shape, dtype, domain]) => plan([{ shape, domain }], applied(primitives.cast, { dtype }))),
  sum: reduction(primitives.sum),
  max: reduction(primitives.max),
  min: reduction(primitives.min),
  prod: fc
    .tuple(withAxis(shapes(1)), fc.boolean())
    .map(([[shape, axis], keepDims]) => plan([{ shape }], applied(primitives.prod, { axes: [axis], keepDims }))),
  cumsum: cumulation(primitives.cumsum),
  cumprod: cumulation(primitives.cumprod),
  broadcastTo: broadcastable(1).chain(([shape = []]) =>
    shapes(0, 1).map(lead =>
      plan(
        [{ shape }],
        applied(primitives.broadcastTo, { shape: [...lead, ...shape.map(dim => (dim === 1 ? 'c' : dim))] }),
      ),
    ),
  ),
  reshape: reshapes.map(([from, shape]) => plan([{ shape: from }], applied(primitives.reshape, { shape }))),
  transpose: shapes(0, 4).chain(shape =>
    fc
      .shuffledSubarray(
        shape.map((_, axis) => axis),
        { minLength: shape.length },
      )
      .map(permutation => plan([{ shape }], applied(primitives.transpose, { permutation }))),
  ),
  contract: products(2).map(({ letters, a, b }) =>
    plan([{ shape: a }, { shape: b }], applied(primitives.contract, letters)),
  ),
  take: fc
    .tuple(withAxis(shapes(1)), dims)
    .map(([[shape, axis], dim]) =>
      plan([{ shape }, { shape: [dim], domain: { below: shape[axis]! } }], applied(primitives.take, { axis })),
    ),
  scatterAdd: fc
    .tuple(withAxis(shapes(1)), dims)
    .map(([[shape, axis], dim]) =>
      plan(
        [{ shape: [shape[axis]!], domain: { below: dim } }, { shape }],
        applied(primitives.scatterAdd, { axis, dim }),
      ),
    ),
  put: withAxis(shapes(1, 3, wide)).map(([shape, axis]) =>
    plan(
      [{ shape }, { shape: ['few'], domain: { below: shape[axis]! } }, { shape: at(shape, axis, 'few') }],
      applied(primitives.put, { axis }),
    ),
  ),
  takeAlong: withIndex.map(({ shape, index, axis }) =>
    plan([{ shape }, { shape: index, domain: { below: shape[axis]! } }], applied(primitives.takeAlong, { axis })),
  ),
  scatterAlong: withIndex.map(({ shape, index, axis }) =>
    plan(
      [{ shape: index, domain: { below: shape[axis]! } }, { shape: index }],
      applied(primitives.scatterAlong, { axis, dim: shape[axis]! }),
    ),
  ),
  argsort: fc
    .tuple(withAxis(shapes(1)), fc.boolean(), fc.boolean())
    .map(([[shape, axis], descending, first]) =>
      plan([{ shape }], applied(primitives.argsort, { axis, descending, dim: first ? 1 : shape[axis]! })),
    ),
  pick: labelled.map(({ shape, rows: index, classes }) =>
    plan([{ shape }, { shape: index, domain: { below: classes } }], applied(primitives.pick, {})),
  ),
  oneHot: fc
    .tuple(shapes(0, 2), dims)
    .map(([shape, dim]) => plan([{ shape, domain: { below: dim } }], applied(primitives.oneHot, { dim }))),
  nonzero: fc
    .tuple(dims, dims)
    .map(([dim, capacity]) => plan([{ shape: [dim], domain: 'bit' }], applied(primitives.nonzero, { capacity }))),
  slice: fc
    .tuple(withAxis(shapes(1)), sliceCases)
    .map(([[shape, axis], { whole, start, dim }]) =>
      plan([{ shape: at(shape, axis, whole) }], applied(primitives.slice, { axis, start, dim })),
    ),
  pad: fc
    .tuple(withAxis(shapes(1)), sliceCases)
    .map(([[shape, axis], { whole, start, dim }]) =>
      plan([{ shape: at(shape, axis, dim) }], applied(primitives.pad, { axis, start, dim: whole })),
    ),
  concat: fc.tuple(withAxis(shapes(1)), joins).map(([[shape, axis], { parts, dim }]) =>
    plan(
      parts.map(part => ({ shape: at(shape, axis, part) })),
      applied(primitives.concat, { axis, dim }),
    ),
  ),
  windows: fc
    .tuple(onAxis, fc.constantFrom(0, -1.5))
    .map(([[[shape, axis], { whole, ...of }], value]) =>
      plan([{ shape: at(shape, axis, whole) }], applied(primitives.windows, { axis, value, ...of })),
    ),
  fold: onAxis.map(([[shape, axis], { whole, dim, size, ...steps }]) =>
    plan(
      [{ shape: shape.toSpliced(axis, 1, dim, size) }],
      applied(primitives.fold, { axis, size, dim: whole, ...steps }),
    ),
  ),
  randomBits: shapes().map(shape => plan(draw, applied(primitives.randomBits, { shape }))),
  randomUniform: shapes().map(shape => plan(draw, applied(primitives.randomUniform, { shape }))),
  dequantize: fc
    .tuple(packed, fc.boolean())
    .map(([{ shape, blocks, words }, double]) =>
      plan(
        [
          { shape: [words], domain: 'word' },
          ...(double
            ? [{ shape: [1], domain: 'word' as const }, { shape: [1] }, { shape: [1] }]
            : [{ shape: [blocks] }]),
        ],
        applied(primitives.dequantize, { scheme: 'nf4', double, shape }),
        [],
      ),
    ),
  call: calls,
  loop: loops,
  result: calls,

  softmax: rows(composites.softmax, 1),
  sumOfSquares: reduction(composites.sumOfSquares),
  logSumExp: shapes().chain(shape =>
    fc.subarray(shape.map((_, axis) => axis)).map(axes => plan([{ shape }], applied(composites.logSumExp, { axes }))),
  ),
  argmax: placeOf(composites.argmax),
  argmin: placeOf(composites.argmin),
  softmaxGrad: rows(composites.softmaxGrad, 2),
  logSoftmax: rows(composites.logSoftmax, 1),
  causalSoftmax: causal.map(({ shape, keys }) =>
    plan([{ shape }, { shape: [], domain: { below: keys } }], applied(composites.causalSoftmax, {})),
  ),
  rmsNorm: normed.map(({ shape, last }) =>
    plan([{ shape }, { shape: [last] }], applied(composites.rmsNorm, { epsilon })),
  ),
  rmsNormGrad: normed.map(({ shape, last }) =>
    plan([{ shape }, { shape }, { shape: [last] }], applied(composites.rmsNormGrad, { epsilon })),
  ),
  visibleSoftmax: rows(composites.visibleSoftmax, 1),
  standardize: standardized.map(shape => plan([{ shape }], applied(composites.standardize, { epsilon }))),
  standardizeGrad: standardized.map(shape =>
    plan([{ shape }, { shape }], applied(composites.standardizeGrad, { epsilon })),
  ),
  rope: fc.tuple(shapes(0, 2), dims, fc.boolean()).map(([lead, positions, inverse]) =>
    // the tables are data
    plan(
      [
        [...lead, positions, 'a+a'],
        [positions, 'a'],
        [positions, 'a'],
      ].map(shape => ({ shape })),
      applied(composites.rope, { inverse }),
      [0],
    ),
  ),
  silu: unary(composites.silu),
  siluGrad: shapes().map(shape => plan([{ shape }, { shape }], applied(composites.siluGrad, {}))),
  gelu: unary(composites.gelu),
  geluGrad: shapes().map(shape => plan([{ shape }, { shape }], applied(composites.geluGrad, {}))),
  softplus: unary(composites.softplus),
  crossEntropy: labelled.map(({ shape, rows: labels, classes }) =>
    plan([{ shape }, { shape: labels, domain: { below: classes } }], applied(composites.crossEntropy, {})),
  ),
  crossEntropyGrad: labelled.map(({ shape, rows: labels, classes }) =>
    plan(
      [{ shape }, { shape: labels, domain: { below: classes } }, { shape: labels }],
      applied(composites.crossEntropyGrad, {}),
    ),
  ),
  squaredError: elementwise(composites.squaredError, ['real', 'real']),
  sigmoidBinaryCrossEntropy: elementwise(composites.sigmoidBinaryCrossEntropy, ['real', 'real']),
  dropout: drops.map(({ shape, rate }) => plan([{ shape }, ...draw], applied(composites.dropout, { rate }))),
  inputDropout: drops.map(({ shape, rate }) => plan([{ shape }, ...draw], applied(composites.inputDropout, { rate }))),
  flip: withAxis(shapes(1)).map(([shape, axis]) => plan([{ shape }], applied(composites.flip, { axis }))),
  roll: fc
    .tuple(withAxis(shapes(1)), fc.integer({ min: -5, max: 5 }))
    .map(([[shape, axis], shift]) => plan([{ shape }], applied(composites.roll, { axis, shift }))),
  split: fc
    .tuple(withAxis(shapes(1)), joins)
    .chain(([[shape, axis], { parts, dim }]) =>
      axisOf(parts).map(index =>
        plan([{ shape: at(shape, axis, dim) }], applied(composites.split, { axis, sizes: parts, index })),
      ),
    ),
  extend: fc
    .tuple(withAxis(shapes(1)), continued, fc.constantFrom('edge', 'reflect', 'wrap'))
    .map(([[shape, axis], { whole, start, dim }, mode]) =>
      plan([{ shape: at(shape, axis, dim) }], applied(composites.extend, { axis, start, dim: whole, mode })),
    ),
  stride: fc
    .tuple(withAxis(shapes(1)), strides)
    .map(([[shape, axis], { whole, ...part }]) =>
      plan([{ shape: at(shape, axis, whole) }], applied(composites.stride, { axis, ...part })),
    ),
  dynamicSlice: withAxis(shapes(1, 3, wide)).map(([shape, axis]) =>
    plan([{ shape }, place], applied(composites.dynamicSlice, { axis, dim: 'few' })),
  ),
  dynamicUpdate: withAxis(shapes(1, 3, wide)).map(([shape, axis]) =>
    plan([{ shape }, { shape: at(shape, axis, 'few') }, place], applied(composites.dynamicUpdate, { axis })),
  ),
  conv: convolved.map(({ x, w, y: [, h, v], attributes }) =>
    plan([{ shape: x }, { shape: w }], applied(composites.conv, { ...attributes, dims: [h!, v!] })),
  ),
  convInput: convolved.map(({ x: [, h, v], w, y, attributes }) =>
    plan([{ shape: y }, { shape: w }], applied(composites.convInput, { ...attributes, dims: [h!, v!] })),
  ),
  convFilter: convolved.map(({ x, w: [h, v], y, attributes }) =>
    plan([{ shape: x }, { shape: y }], applied(composites.convFilter, { ...attributes, dims: [h!, v!] })),
  ),
  trainingDropout: drops.map(({ shape, rate }) =>
    plan([{ shape }, ...draw], applied(composites.trainingDropout, { rate })),
  ),
  whenTraining: shapes().map(shape => plan([{ shape }, { shape }], applied(composites.whenTraining, {}))),
}

/** Every op with its subject. */
export const registry: readonly (readonly [name: string, subject: Subject])[] = Object.entries(subjects)
