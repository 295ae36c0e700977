import { inputsAxis, typed, u, type Dim, type InputsAxis, type Node, type Tensor } from '../../tensor/index.ts'
import { combine, zerosLike } from './leafwise.ts'
import type { Fn, Transform } from './transform.ts'

/** One number per column (input feature) of each leaf. */
export type ByColumn<G> =
  G extends Tensor<infer S>
    ? S[InputsAxis<G>] extends infer I extends Dim
      ? Tensor<readonly [I]>
      : G
    : G extends readonly (infer E)[]
      ? readonly ByColumn<E>[]
      : { readonly [K in keyof G as K extends symbol ? never : K]: ByColumn<G[K]> }

/** The state of {@link columnNorms}. */
export interface ColumnNormsState<G> {
  readonly squares: ByColumn<G>
}
export interface ColumnNorms extends Fn {
  readonly out: ColumnNormsState<this['in']>
}

/** Σ g² over every axis but that of the columns, which the leaf declares. */
const squaresOf = (g: Node, leaf: Node): Node => {
  const columns = inputsAxis(leaf)
  if (columns === undefined)
    throw new TypeError(`columnNorms: a leaf [${leaf.shape.join(', ')}] does not declare the axis of its inputs`)
  return u.sum(
    u.mul(g, g),
    g.shape.flatMap((_, axis) => (axis === columns ? [] : [axis])),
  )
}

/** A tree of one vector for each leaf. */
const byColumn = <G>(tree: G, params: G): ByColumn<G> =>
  // a leaf becomes a vector along its inputs, as the type says
  combine((g, leaf) => squaresOf(g, leaf!), tree, params) as ByColumn<G>

/**
 * Sums the squared norms of each column's gradient, Gᵢ ← Gᵢ + ‖gᵢ‖², and returns zero updates: selection by gradient
 * ranks columns by these sums (Woo et al., ICLR 2025). A leaf `[in, out]` has a state `[in]`.
 * @example trainStep(adapt(model, full({ targets: ['q_proj'] })), columnNorms())
 */
export const columnNorms = (): Transform<ColumnNorms> => ({
  init: params => ({ squares: zerosLike(byColumn(params, params)) }),
  update: (grad, { squares }, params) => [
    zerosLike(grad),
    { squares: combine((sum, square) => u.add(typed(sum), square!), squares, byColumn(grad, params)) },
  ],
})
