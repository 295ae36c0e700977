import { isView } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { isSmooth, noDims } from '../facets.ts'
import { gather, offsetsOf, stridesOf } from '../numbers.ts'
import type { DType } from '../value.ts'
import {
  factors,
  product,
  reshape as reshapeRule,
  transpose as transposeRule,
  type Ok,
  type ReshapeError,
  type Shape,
  type Transpose,
  type TransposeError,
} from '../shape/index.ts'

const flat = (dims: Shape): string => {
  const joined = product(dims)
  return joined._tag === 'Right' ? factors(joined.right).join('*') : ''
}

/** The axis of `from` that a reshape maps unchanged to the given axis of `to`; -1 if it splits or merges that axis. */
export const sameAxis = (from: Shape, to: Shape, axis: number): number =>
  from.findIndex(
    (dim, i) =>
      dim === to[axis] &&
      flat(from.slice(0, i)) === flat(to.slice(0, axis)) &&
      flat(from.slice(i + 1)) === flat(to.slice(axis + 1)),
  )

// y = x, read with other dims                           dy, read with the old dims
export const reshapeOp: Op<{ readonly shape: Shape }> = {
  name: 'reshape',
  shape: ([x], { shape }) =>
    pipe(
      reshapeRule(x!.shape, shape),
      E.map(() => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x], _, { sizes }) => ({ sizes, data: x!.data }),
  vjp: ({ inputs: [x] }, dy) => [layouts.reshape(dy, x!.shape)],
  flops: () => 0,
  kind: 'movement',
  along: ({ inputs: [x], shape }, axis) => {
    const same = sameAxis(x!.shape, shape, axis)
    return same < 0 ? undefined : [same]
  },
  dims: ({ shape }) => shape,
  smooth: isSmooth,
  cheap: true,
  autograd: isView,
}

// y[i, j] = x[j, i]                                     dy, permuted back
export const transposeOp: Op<{ readonly permutation: readonly number[] }> = {
  name: 'transpose',
  shape: ([x], { permutation }) =>
    pipe(
      transposeRule(x!.shape, permutation),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x], { permutation }, { sizes }) => {
    const strides = stridesOf(x!.sizes)
    return gather(
      x!,
      offsetsOf(
        sizes,
        permutation.map(axis => strides[axis]!),
      ),
      sizes,
    )
  },
  vjp: ({ attributes: { permutation } }, dy) => [layouts.transpose(dy, inverse(permutation))],
  flops: () => 0,
  kind: 'movement',
  along: ({ attributes: { permutation } }, axis) => [permutation[axis]],
  dims: noDims,
  smooth: isSmooth,
  cheap: true,
  autograd: isView,
}

/** The inverse of a permutation. */
export const inverse = (permutation: readonly number[]): readonly number[] =>
  permutation.map((_, axis) => permutation.indexOf(axis))

/** The untyped verbs of other views. */
export const layouts = {
  /** The same data with another shape: the node itself if it has that shape, and one reshape instead of two. */
  reshape: (x: Node, shape: Shape): Node => {
    if (x.shape.length === shape.length && x.shape.every((dim, axis) => dim === shape[axis])) return x
    return node(reshapeOp, [x.op === reshapeOp ? x.inputs[0]! : x], { shape })
  },
  /** Permutes axes; the node itself if none moves. */
  transpose: (x: Node, permutation: readonly number[]): Node =>
    permutation.every((from, to) => from === to) ? x : node(transposeOp, [x], { permutation }),
}

/**
 * Other dims for the same data: neighbours are split and merged, and names keep their order.
 * @example reshape(x, ['batch', 'seq', 'heads', 'headDim'])
 */
export const reshape = <S extends Shape, D extends DType, const T extends Shape>(
  x: Tensor<S, D> & ReshapeError<S, T>,
  shape: T,
): Tensor<Readonly<T>, D> => typed(layouts.reshape(x, shape))

/** Permutes axes; of a matrix, swaps both. @example transpose(x, [0, 2, 1]) */
export function transpose<A extends string | number, B extends string | number, D extends DType>(
  x: Tensor<readonly [A, B], D>,
): Tensor<readonly [B, A], D>
export function transpose<S extends Shape, D extends DType, const P extends readonly number[]>(
  x: Tensor<S, D> & TransposeError<S, P>,
  permutation: P,
): Tensor<Ok<Transpose<S, P>, S>, D>
export function transpose(x: Node, permutation: readonly number[] = [1, 0]): never {
  return layouts.transpose(x, permutation) as never
}
