import { typed, u, type Dim, type Node, type Shape, type Tensor } from '../../tensor/index.ts'
import { isTensor, mapTree } from '../tree.ts'
import { combine, zerosLike } from './leafwise.ts'
import type { Fn, Transform } from './transform.ts'

/** One number per column (input feature) of each leaf `[in, ...]`. */
export type ByColumn<G> =
  G extends Tensor<infer S>
    ? S extends readonly [infer I extends Dim, ...Shape]
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

/** Σ g² over every axis but the first, the axis of the columns. */
const squaresOf = (g: Node): Node =>
  u.sum(
    u.mul(g, g),
    g.shape.slice(1).map((_, axis) => axis + 1),
  )

/** A tree of one vector for each leaf. */
const byColumn = <G>(tree: G): ByColumn<G> =>
  // a leaf [in, ...] becomes [in], as the type says
  mapTree(tree, isTensor, squaresOf) as ByColumn<G>

/**
 * Sums the squared norms of each column's gradient, Gᵢ ← Gᵢ + ‖gᵢ‖², and returns zero updates: selection by gradient
 * ranks columns by these sums (Woo et al., ICLR 2025). A leaf `[in, out]` has a state `[in]`.
 * @example trainStep(adapt(model, full({ targets: ['q_proj'] })), columnNorms())
 */
export const columnNorms = (): Transform<ColumnNorms> => ({
  init: params => ({ squares: zerosLike(byColumn(params)) }),
  update: (grad, { squares }) => [
    zerosLike(grad),
    { squares: combine((sum, square) => u.add(typed(sum), square!), squares, byColumn(grad)) },
  ],
})
