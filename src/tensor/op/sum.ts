import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, typed, ruled, type Node, type NodeOf, type Op, type Tensor } from '../node.ts'
import { broadcasting, hasCorner, isSmooth, noDims } from '../facets.ts'
import { broadcastStrides, gather, offsetsOf } from '../numbers.ts'
import {
  axesOf,
  broadcastTo as broadcastToRule,
  reduce,
  type AxisList,
  type BroadcastToError,
  type Ok,
  type Reduce,
  type ReducedFrom,
  type ReduceError,
  type Shape,
} from '../shape/index.ts'
import { count, type DType } from '../value.ts'
import { wrapped } from './integer.ts'
import { inF32, isView, savesBoth, savesNothing } from '../autograd.ts'
import { layouts } from './reshape.ts'
import { typesFault } from './types.ts'

export interface Axes {
  readonly axes: readonly number[]
  readonly keepDims: boolean
}

/** The facets in which reductions differ. */
export type ReductionFacets = Pick<Op<Axes>, 'smooth' | 'summedAlong' | 'autograd'> & {
  /** The step for integers, if it differs; the result is wrapped. */
  readonly integers?: (a: number, b: number) => number
}

/** A reduction of reals or integers; axes are counted from the front, and each occurs once. */
export const reduction = (
  name: string,
  initial: number,
  f: (a: number, b: number) => number,
  vjp: (node: NodeOf<Axes>, dy: Node) => Node,
  { integers = f, ...ofSum }: ReductionFacets = { smooth: hasCorner, autograd: savesBoth },
): Op<Axes> => ({
  name,
  shape: ([x], { axes, keepDims }) =>
    pipe(
      typesFault(name, [x!], ['f32', 'i32']),
      E.flatMap(() => reduce(x!.shape, axes, keepDims)),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x], { axes }, { sizes, inputs: [declared] }) => {
    const kept = x!.sizes.map((n, axis) => (axes.includes(axis) ? 1 : n))
    const to = offsetsOf(x!.sizes, broadcastStrides(kept, x!.sizes))
    const data = new Float64Array(count(kept)).fill(initial)
    const step = declared!.dtype === 'i32' ? (a: number, b: number): number => wrapped(integers(a, b)) : f
    x!.data.forEach((v, i) => {
      data[to[i]!] = step(data[to[i]!]!, v)
    })
    return { sizes, data }
  },
  vjp: (y, dy) => [vjp(y, dy)],
  flops: ([x]) => count(x!),
  kind: 'reduction',
  along: ({ inputs: [x], attributes: { axes, keepDims } }, axis) => {
    const kept = x!.shape.flatMap((_, i) => (!keepDims && axes.includes(i) ? [] : [i]))
    return axes.includes(kept[axis]!) ? undefined : [kept[axis]!]
  },
  dims: noDims,
  ...ofSum,
})

/** A reduced tensor, or its cotangent, repeated to the shape of the input. */
export const spread = (y: NodeOf<Axes>, reduced: Node): Node => {
  const { shape } = y.inputs[0]!
  return sums.broadcastTo(
    layouts.reshape(
      reduced,
      shape.map((dim, axis) => (y.attributes.axes.includes(axis) ? 1 : dim)),
    ),
    shape,
  )
}

// y = Σ x                                               dy, repeated
// integers wrap around at 32 bits
export const sumOp: Op<Axes> = reduction('sum', 0, (a, b) => a + b, spread, {
  smooth: isSmooth,
  summedAlong: ({ attributes: { axes } }, _, axis) => (axes.includes(axis) ? [axis] : undefined),
  autograd: inF32(savesNothing),
})

/** Repeats a tensor along new leading axes and along axes of size 1. Sum and broadcast are each other's vjp. */
export const broadcastToOp: Op<{ readonly shape: Shape }> = {
  name: 'broadcastTo',
  shape: ([x], { shape }) =>
    pipe(
      broadcastToRule(x!.shape, shape),
      E.map(() => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x], _, { sizes }) => gather(x!, offsetsOf(sizes, broadcastStrides(x!.sizes, sizes)), sizes),
  vjp: ({ inputs: [x] }, dy) => [sumTo(dy, x!.shape)],
  flops: () => 0,
  kind: 'movement',
  along: broadcasting,
  dims: ({ shape }) => shape,
  smooth: isSmooth,
  cheap: true,
  autograd: isView,
}

const same = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, axis) => dim === b[axis])

/** The untyped verbs of a sum and of its transpose. */
export const sums = {
  sum: (x: Node, axes: readonly number[], keepDims = false): Node => node(sumOp, [x], { axes, keepDims }),
  /** Repeats a tensor; the node itself if it has the shape. */
  broadcastTo: (x: Node, shape: Shape): Node => (same(x.shape, shape) ? x : node(broadcastToOp, [x], { shape })),
}

/** Sums over the axes that broadcasting from `shape` repeated: the transpose of a broadcast. */
export const sumTo = (x: Node, shape: Shape): Node => {
  const lead = x.shape.length - shape.length
  const axes = x.shape.flatMap((dim, axis) => (axis < lead || (shape[axis - lead] === 1 && dim !== 1) ? [axis] : []))
  return axes.length === 0 ? x : layouts.reshape(sums.sum(x, axes), shape)
}

/**
 * Reduces over axes, each by its number, which counts from the end if it is negative, or by the name of a dim that
 * occurs once; without axes, over all. Reduced dims are dropped, or kept as 1. `T` are the dtypes that it accepts.
 */
export interface Reduction<T extends DType = 'f32'> {
  <S extends Shape, D extends T, const A extends AxisList | undefined = undefined, K extends boolean = false>(
    x: Tensor<S, D> & ReduceError<S, A, K>,
    axes?: A,
    keepDims?: K,
  ): Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>, D>
}

/** The positions that axes name in a shape, or {@link ShapeMismatch}. */
export const positions = (op: string, shape: Shape, axes: AxisList | undefined): readonly number[] => {
  return ruled(
    axesOf(op, shape, axes === undefined ? shape.map((_, axis) => axis) : typeof axes === 'object' ? axes : [axes]),
  )
}

export const reducer =
  <T extends DType = 'f32'>(f: (x: Node, axes: readonly number[], keepDims: boolean) => Node): Reduction<T> =>
  (x: Node, axes?: AxisList, keepDims?: boolean): never =>
    f(x, positions('reduce', x.shape, axes), keepDims ?? false) as never

/** The sum over axes, or of everything; integers wrap around at 32 bits. @example sum(x, 'batch') */
export const sum = reducer<'f32' | 'i32'>(sums.sum)
/** Repeats along new leading axes and along dims of 1. @example broadcastTo(bias, ['batch', 'hidden']) */
export const broadcastTo = <S extends Shape, const T extends Shape>(
  x: Tensor<S> & BroadcastToError<S, T>,
  shape: T,
): Tensor<Readonly<T>> => typed(sums.broadcastTo(x, shape))
