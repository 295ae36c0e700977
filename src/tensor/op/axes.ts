import { ruled, typed, type Node, type Tensor } from '../node.ts'
import {
  expandDims as expandDimsRule,
  repeatAlong as repeatAlongRule,
  squeeze as squeezeRule,
  stack as stackRule,
  tile as tileRule,
  type Dim,
  type ExpandDims,
  type Fault,
  type Ok,
  type RepeatAlong,
  type Shape,
  type Squeeze,
  type Stack,
  type Tile,
} from '../shape/index.ts'
import type { DType } from '../value.ts'
import { layouts } from './reshape.ts'
import { parts, type DTypesFault } from './slice.ts'
import { positions, sums } from './sum.ts'
import { typesFault } from './types.ts'

// Axes of size 1, new axes and repeated ones: views of data, without kernels of their own.

/**
 * A new axis of size 1; a negative axis counts from the end of the result.
 * @throws {ShapeMismatch} if there is no such axis
 * @example expandDims(x, -1)
 */
export const expandDims = <S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D> & Fault<ExpandDims<S, NoInfer<A>>>,
  axis: A,
): Tensor<Ok<ExpandDims<S, A>>, D> => typed(layouts.reshape(x, ruled(expandDimsRule(x.shape, axis))))

/**
 * The tensor without an axis of size 1, or without all of them.
 * @throws {ShapeMismatch} if the axis does not have size 1
 * @example squeeze(expandDims(x, 0), 0)
 */
export const squeeze = <S extends Shape, D extends DType, const A extends number | undefined = undefined>(
  x: Tensor<S, D> & Fault<Squeeze<S, NoInfer<A>>, S>,
  axis?: A,
): Tensor<Ok<Squeeze<S, A>, S>, D> => typed(layouts.reshape(x, ruled(squeezeRule(x.shape, axis))))

/**
 * Tensors of one shape and dtype, stacked along a new axis. Its dim is their number, or `as` if that names it.
 * @throws {ShapeMismatch} if the shapes differ
 * @example stack([real, imaginary], -1)
 */
export const stack = <
  const T extends readonly Node[],
  const A extends number,
  const As extends Dim | undefined = undefined,
>(
  all: T &
    Fault<Stack<{ readonly [K in keyof T]: T[K]['shape'] }, NoInfer<A>, NoInfer<As>>, T> &
    DTypesFault<T, 'stack'>,
  axis: A,
  as?: As,
): Tensor<
  Ok<Stack<{ readonly [K in keyof T]: T[K]['shape'] }, A, As>, T>,
  T[number] extends { readonly dtype: infer D extends DType } ? D : never
> => {
  const inputs: readonly Node[] = all
  const shape = ruled(
    stackRule(
      inputs.map(x => x.shape),
      axis,
      as,
    ),
  )
  ruled(typesFault('stack', inputs, ['f32', 'i32', 'bool']))
  const at = axis < 0 ? axis + shape.length : axis
  const widened = inputs.map(x => layouts.reshape(x, shape.with(at, 1)))
  const [one] = widened
  return typed(widened.length === 1 && shape[at] === 1 ? one! : parts.concat(widened, at, shape[at]!))
}

const at = (op: string, shape: Shape, axis: number): number => positions(op, shape, axis)[0]!

/**
 * The whole of an axis, so many times one after another: n becomes times·n, as in `np.tile`.
 * @throws {ShapeMismatch} if there is no such axis
 * @example tile(x, 0, 3)
 */
export const tile = <S extends Shape, D extends DType, const A extends number, const N extends Dim>(
  x: Tensor<S, D> & Fault<Tile<S, NoInfer<A>, NoInfer<N>>, S>,
  axis: A,
  times: N,
): Tensor<Ok<Tile<S, A, N>, S>, D> => {
  const shape = ruled(tileRule(x.shape, axis, times))
  const place = at('tile', x.shape, axis)
  const one = layouts.reshape(x, x.shape.toSpliced(place, 0, 1))
  return typed(layouts.reshape(sums.broadcastTo(one, x.shape.toSpliced(place, 0, times)), shape))
}

/**
 * Every element of an axis, so many times: n becomes n·times, as in `np.repeat`.
 * @throws {ShapeMismatch} if there is no such axis
 * @example repeatAlong(keys, 1, 'group')
 */
export const repeatAlong = <S extends Shape, D extends DType, const A extends number, const N extends Dim>(
  x: Tensor<S, D> & Fault<RepeatAlong<S, NoInfer<A>, NoInfer<N>>, S>,
  axis: A,
  times: N,
): Tensor<Ok<RepeatAlong<S, A, N>, S>, D> => {
  const shape = ruled(repeatAlongRule(x.shape, axis, times))
  const after = at('repeatAlong', x.shape, axis) + 1
  const one = layouts.reshape(x, x.shape.toSpliced(after, 0, 1))
  return typed(layouts.reshape(sums.broadcastTo(one, x.shape.toSpliced(after, 0, times)), shape))
}
