import fc from 'fast-check'
import * as R from 'fp-ts/lib/Record.js'
import {
  add,
  div,
  gradients,
  hvp,
  interpret,
  model,
  placeholder,
  scalar,
  typed,
  whole,
  u,
  type DType,
  type Node,
  type Numbers,
  type Shape,
  type Tensor,
  sumAndCount,
} from '../src/tensor/index.ts'
import { inputsOf, layouts, leavesOf, type Layout } from './layout.ts'
import { valueOf, type Datum, type Term } from './losses.ts'
import { flat, mapped, matrix, type Curvature } from './matrices.ts'

/** f(W) = (Σ of terms) / count, and a point. Plain data: a counterexample is printed as it is. */
export interface Problem extends Layout {
  readonly at: Numbers
  readonly terms: readonly Term[]
  readonly count: number
}

/** Problems of terms that are drawn for a layout. */
export const problems = (
  terms: (layout: Layout) => fc.Arbitrary<readonly Term[]>,
  of: fc.Arbitrary<Layout> = layouts(),
): fc.Arbitrary<Problem> =>
  of.chain(layout =>
    fc
      .tuple(matrix(inputsOf(layout), layout.outputs), terms(layout), fc.integer({ min: 1, max: 4 }))
      .map(([at, drawn, count]) => ({ ...layout, at, terms: drawn, count })),
  )

/** Bounds on the curvature of f: the sum of those of its terms, over the count. */
export const curvature = ({ terms, count }: Problem): Curvature =>
  mapped(
    terms.reduce<Curvature>(
      (sum, { whole: w, part, above, outside }) => ({
        whole: sum.whole + w,
        part: sum.part + part,
        above: sum.above + above,
        outside: sum.outside + outside,
      }),
      flat,
    ),
    bound => bound / count,
  )

/**
 * The same as a model of the library's: leaves of a tree, a batch of data, a loss that is a sum and a count; its
 * "logits" are W itself.
 */
export const modelOf = ({ leaves, outputs, terms, count }: Problem) =>
  model({
    params: {
      layers: leaves.map(({ rows }) => ({
        w: typed<readonly ['in', 'out'], 'f32'>(placeholder([rows, outputs], 'f32')),
      })),
    },
    batch: {
      terms: terms.map(({ data }) => R.map(({ sizes, dtype = 'f32' }: Datum) => placeholder(sizes, dtype))(data)),
    },
    forward: ({ layers }): Tensor<readonly ['in', 'out']> => {
      const parts: readonly Node[] = layers.map(({ w }) => w)
      return typed(parts.length === 1 ? parts[0]! : u.concat(parts, 0, inputsOf({ leaves, outputs })))
    },
    loss: (w, { terms: data }) => ({
      sum: terms.map((term, i) => valueOf(term, w, data[i]!)).reduce((a, b) => add(a, b)),
      count: scalar(count),
    }),
  })

const size = (dim: number | string): number => Number(dim)
/** The leaves of a tree above each other, as one W. */
export const stacked = (leaves: readonly Numbers[]): Numbers => {
  const data = Float64Array.from(leaves.flatMap(leaf => [...leaf.data]))
  const outputs = leaves[0]!.sizes[1]!
  return { sizes: [data.length / outputs, outputs], data }
}
/** ∇f(W), and H(W) v, in float64. */
export const gradientAt = (problem: Problem, w: Numbers): Numbers =>
  evaluated(problem, w, (f, leaves) => gradients([f(leaves)], [scalar(1)], leaves.map(whole)).gradients)
export const hessianProduct = (problem: Problem, w: Numbers, v: Numbers): Numbers =>
  evaluated(problem, w, (f, leaves) => {
    const constant = ({ sizes, data }: Numbers): Tensor<Shape> =>
      typed(u.reshape(u.constant([...data], [data.length]), sizes))
    const tangents = leavesOf(problem, v).map(constant)
    return hvp((...layers) => f(layers), leaves, tangents)
  })
type Leaves = readonly Tensor<Shape>[]
const evaluated = (
  problem: Problem,
  w: Numbers,
  of: (f: (leaves: Leaves) => Tensor<readonly []>, leaves: Leaves) => readonly Node[],
): Numbers => {
  const { params, batch, forward, loss } = modelOf(problem)
  const f = (leaves: Leaves): Tensor<readonly []> => {
    const given = { layers: leaves.map(leaf => ({ w: typed<readonly ['in', 'out'], 'f32'>(leaf) })) }
    const { sum, count } = sumAndCount('the loss', loss!(forward(given, batch), batch, given))
    return div(sum, count)
  }
  const leaves: Leaves = params.layers.map(({ w: leaf }) => typed<Shape, 'f32'>(leaf))
  const feeds = new Map<Node, Numbers>([
    ...leavesOf(problem, w).map((leaf, i) => [leaves[i]!, leaf] as const),
    ...problem.terms.flatMap(({ data }, i) =>
      Object.entries(data).map(([name, datum]) => [batch.terms[i]![name]!, datum] as const),
    ),
  ])
  return stacked(interpret(of(f, leaves), feeds, size))
}

/** Data as a value of the library's. A shape of numbers is of a type that only the run knows. */
export const valueFrom = ({ sizes, data }: Numbers, dtype: DType = 'f32') => ({
  shape: sizes as Shape,
  sizes,
  dtype,
  data: dtype === 'i32' ? Int32Array.from(data) : Float32Array.from(data),
})
