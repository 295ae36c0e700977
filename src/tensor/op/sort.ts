import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { hasCorner } from '../facets.ts'
import { partsBeyond } from '../misfit.ts'
import { around } from '../numbers.ts'
import {
  topK as topKRule,
  type AlongAxisError,
  type AxisOrName,
  type Dim,
  type Ok,
  type Shape,
  type TopK,
  type TopKError,
} from '../shape/index.ts'
import { count } from '../value.ts'
import { alongs } from './along.ts'
import { positions } from './sum.ts'
import { typesFault } from './types.ts'

/** The axis along which elements are ordered, the direction, and the number of places that are wanted. */
export interface Ordering {
  readonly axis: number
  readonly descending: boolean
  readonly dim: Dim
}

/** The order of reals in which NaN is larger than every other number, and −0 is 0. */
const compared = (a: number, b: number): number => {
  const isMore = (x: number, y: number): boolean => x > y || (Number.isNaN(x) && !Number.isNaN(y))
  return isMore(a, b) ? 1 : isMore(b, a) ? -1 : 0
}

/** The places of the elements of x along one axis, in their order, or the first of these; equal ones keep theirs. */
export const argsortOp: Op<Ordering> = {
  name: 'argsort',
  shape: ([x], { axis, dim }) =>
    pipe(
      typesFault('argsort', [x!], ['f32', 'i32']),
      E.flatMap(() => topKRule(x!.shape, dim, axis)),
      E.map(shape => ({ shape, dtype: 'i32' })),
    ),
  misfit: (_, { axis, dim }, { size, inputs: [x] }) => partsBeyond('topK', [dim], x!.shape[axis]!, size),
  eval: ([x], { axis, descending }, { sizes }) => {
    const [, n, inner] = around(x!.sizes, axis)
    const [outer, wanted] = around(sizes, axis)
    const data = new Float64Array(count(sizes))
    for (let row = 0; row < outer * inner; row++) {
      const at = (place: number, of: number): number => (Math.floor(row / inner) * of + place) * inner + (row % inner)
      const order = Array.from({ length: n }, (_, i) => i).sort((i, k) => {
        const difference = compared(x!.data[at(i, n)]!, x!.data[at(k, n)]!)
        return descending ? -difference : difference
      })
      for (let k = 0; k < wanted; k++) data[at(k, wanted)] = order[k]!
    }
    return { sizes, data }
  },
  vjp: () => [],
  flops: ([x], { axis }) => count(x!) * Math.ceil(Math.log2(x![axis]! + 1)),
  kind: 'other',
  along: ({ attributes }, axis) => (axis === attributes.axis ? undefined : [axis]),
  dims: ({ dim }) => [dim],
  smooth: hasCorner,
}

/** The untyped verb of the order of elements. */
export const orders = {
  argsort: (
    x: Node,
    axis: number,
    { descending = false, dim = x.shape[axis]! }: Partial<Omit<Ordering, 'axis'>> = {},
  ): Node => node(argsortOp, [x], { axis, descending, dim }),
}

/** The element types that have an order. */
export type Sortable = 'f32' | 'i32'
/** The direction of an order. */
export interface SortOptions {
  readonly descending?: boolean
}

/**
 * The places of the elements along an axis, by default the last, in ascending order. Equal elements keep their order,
 * in either direction; NaN is larger than every number.
 * @example take(names, argsort(scores, 0, { descending: true }), 0)
 */
export const argsort = <S extends Shape, D extends Sortable, const A extends AxisOrName = -1>(
  x: Tensor<S, D> & AlongAxisError<'sort', S, NoInfer<A>>,
  axis?: A,
  { descending = false }: SortOptions = {},
): Tensor<S, 'i32'> => typed(orders.argsort(x, positions('sort', x.shape, axis ?? -1)[0]!, { descending }))

/**
 * The elements along an axis, by default the last, in ascending order, which is that of {@link argsort}. The gradient
 * of an element goes to the place that it comes from.
 * @example sort(distances, -1)
 */
export const sort = <S extends Shape, D extends Sortable, const A extends AxisOrName = -1>(
  x: Tensor<S, D> & AlongAxisError<'sort', S, NoInfer<A>>,
  axis?: A,
  { descending = false }: SortOptions = {},
): Tensor<S, D> => {
  const at = positions('sort', x.shape, axis ?? -1)[0]!
  return typed(alongs.takeAlong(x, orders.argsort(x, at, { descending }), at))
}

/**
 * The k largest elements of each row, the last axis, in descending order, and their places. Of equal elements the first
 * comes first; NaN is larger than every number. The gradient of a value goes to the place that it comes from.
 * @example const { values, indices } = topK(logits, 5)
 */
export const topK = <S extends Shape, D extends Sortable, const K extends number>(
  x: Tensor<S, D> & TopKError<S, K>,
  k: K,
): { readonly values: Tensor<Ok<TopK<S, K>, S>, D>; readonly indices: Tensor<Ok<TopK<S, K>, S>, 'i32'> } => {
  const axis = positions('topK', x.shape, -1)[0]!
  const indices = orders.argsort(x, axis, { descending: true, dim: k })
  return { values: typed(alongs.takeAlong(x, indices, axis)), indices: typed(indices) }
}
