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
  type Contraction,
  type Dim,
  type DType,
  type Node,
  type Numbers,
  type Op,
  type Shape,
} from '../../src/tensor/index.ts'

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
type Domain = 'real' | 'positive' | 'bit' | 'bool' | 'word' | { readonly below: Dim }
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
  readonly feeds: ReadonlyMap<Node, Numbers>
  readonly sizes: Sizes
  readonly size: (dim: Dim) => number
}

const isReal = ({ domain = 'real' }: Leaf): boolean => domain === 'real' || domain === 'positive'
const dtypeOf = (leaf: Leaf): DType => (isReal(leaf) ? 'f32' : leaf.domain === 'bool' ? 'bool' : 'i32')

/** A generator of pseudo-random numbers in [0, 1) (mulberry32). */
export const randomFrom = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
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
    const [from, width] = domain === 'real' ? [-2, 4] : [0.25, 2]
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
    const inputs = leaves.map(leaf => placeholder(leaf.shape, dtypeOf(leaf)))
    const root = build(inputs)
    return {
      root,
      leaves: inputs,
      sizes,
      size,
      feeds: new Map(inputs.map((input, i) => [input, data[i]!])),
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

const causal = fc
  .tuple(shapes(0, 1), wide, wide)
  .map(([lead, queries, keys]) => ({ shape: [...lead, queries, keys], keys }))
const normed = withAxis(shapes(1, 3)).map(([shape]) => ({ shape, last: shape.at(-1)! }))
const labelled = shapes(1, 3, wide).map(shape => ({ shape, rows: shape.slice(0, -1), classes: shape.at(-1)! }))
const epsilon = 1e-5

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
  less: elementwise(primitives.less, ['real', 'real']),
  lessEqual: elementwise(primitives.lessEqual, ['bit', 'bit']),
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
  // by design, it is not the derivative of its value
  stopGradient: shapes().map(shape => plan([{ shape }], applied(primitives.stopGradient, {}), [])),
  cast: fc
    .tuple(shapes(), fc.constantFrom<DType>('f32', 'i32', 'bool'), fc.constantFrom<Domain>('real', 'bit', 'bool'))
    .map(([shape, dtype, domain]) => plan([{ shape, domain }], applied(primitives.cast, { dtype }))),
  sum: reduction(primitives.sum),
  max: reduction(primitives.max),
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
  randomBits: shapes().map(shape => plan(draw, applied(primitives.randomBits, { shape }))),
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
  result: calls,

  softmax: rows(composites.softmax, 1),
  sumOfSquares: reduction(composites.sumOfSquares),
  softmaxGrad: rows(composites.softmaxGrad, 2),
  causalSoftmax: causal.map(({ shape, keys }) =>
    plan([{ shape }, { shape: [], domain: { below: keys } }], applied(composites.causalSoftmax, {})),
  ),
  rmsNorm: normed.map(({ shape, last }) =>
    plan([{ shape }, { shape: [last] }], applied(composites.rmsNorm, { epsilon })),
  ),
  rmsNormGrad: normed.map(({ shape, last }) =>
    plan([{ shape }, { shape }, { shape: [last] }], applied(composites.rmsNormGrad, { epsilon })),
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
}

/** Every op with its subject. */
export const registry: readonly (readonly [name: string, subject: Subject])[] = Object.entries(subjects)
