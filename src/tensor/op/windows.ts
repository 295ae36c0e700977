import { savesNothing } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { isSmooth } from '../facets.ts'
import { sized } from '../misfit.ts'
import { node, typed, ruled, type Along, type Bound, type Node, type Op, type Tensor } from '../node.ts'
import { around, numbers } from '../numbers.ts'
import {
  productText,
  stepsOf,
  windowsAlong,
  windowsOf,
  windowsOn,
  type Dim,
  type Fault,
  type Ok,
  type Shape,
  type WindowPadding,
  type Windows,
  type WindowsOf,
  type WindowSteps,
} from '../shape/index.ts'
import { layouts } from './reshape.ts'
import { positions } from './sum.ts'
import { typesFault } from './types.ts'

/** An axis, the places of a window, and how windows lie on it. */
export interface WindowAttributes extends WindowSteps {
  readonly axis: number
  /** The number of places of a window. */
  readonly size: Dim
  /** The number of windows of `windows`; the size of the axis on which they lie of `fold`. */
  readonly dim: Dim
}

/** A dim with its size, within a sentence. */
const within = (dim: Dim, size: Bound['size']): string => sized(dim, size) + (typeof dim === 'number' ? '' : ',')

/** The reason why windows do not fit the sizes of dims, if they do not. */
const windowsMisfit = (
  op: string,
  [n, k, count]: readonly [Dim, Dim, Dim],
  steps: WindowSteps,
  { size }: Bound,
): string | undefined => {
  const windows = windowsOn(size(n), size(k), steps).count
  return windows === 0
    ? `${op}: a window of ${within(k, size)} is larger than ${within(n, size)} with its padding`
    : windows === size(count)
      ? undefined
      : `${op}: there are ${windows} windows of ${within(k, size)} on ${sized(n, size)}, not ${sized(count, size)}`
}

/** The place on the axis of every place of every window; places in the padding are -1. */
const placesOf = (n: number, k: number, steps: WindowSteps): Int32Array => {
  const { count, before }: Windows = windowsOn(n, k, steps)
  return Int32Array.from({ length: count * k }, (_, i) => {
    const at = Math.floor(i / k) * steps.stride + (i % k) * steps.dilation - before
    return at < n ? Math.max(at, -1) : -1
  })
}

/**
 * The windows on an axis, which is replaced by two: the windows, and the places of a window. A place in the padding has
 * the number `value`.
 *
 * y[…, i, j, …] = x[…, i stride + j dilation - before, …]                     dx: dy summed over the windows at a place
 */
export const windowsOp: Op<WindowAttributes & { readonly value: number }> = {
  name: 'windows',
  shape: ([x], { axis, size, dim, ...steps }) =>
    E.pipe(
      typesFault('windows', [x!], ['f32']),
      E.flatMap(() => windowsAlong('windows', x!.shape[axis] ?? 1, size, steps, dim)),
      E.map(() => ({ shape: x!.shape.toSpliced(axis, 1, dim, size), dtype: x!.dtype })),
    ),
  misfit: (_, { axis, size, dim, ...steps }, bound) =>
    windowsMisfit('windows', [bound.inputs[0]!.shape[axis]!, size, dim], steps, bound),
  eval: ([x], { axis, size, value, ...steps }, bound) => {
    const [, n, inner] = around(x!.sizes, axis)
    const places = placesOf(n, bound.size(size), steps)
    return numbers(bound.sizes, i => {
      const row = Math.floor(i / inner)
      const at = places[row % places.length]!
      return at < 0 ? value : x!.data[(Math.floor(row / places.length) * n + at) * inner + (i % inner)]!
    })
  },
  vjp: ({ inputs: [x], attributes: { axis, size, stride, dilation, padding } }, dy) => [
    folds.fold(dy, { axis, size, dim: x!.shape[axis]!, stride, dilation, padding }),
  ],
  flops: () => 0,
  kind: 'other',
  along: ({ attributes }, axis): Along | undefined =>
    axis < attributes.axis ? [axis] : axis > attributes.axis + 1 ? [axis - 1] : undefined,
  dims: ({ size, dim }) => [dim, size],
  smooth: isSmooth,
  cheap: true,
  autograd: savesNothing,
}

/**
 * The transpose of {@link windowsOp}: every place of the axis is the sum of the windows at it       dx: the windows of
 * dy
 */
export const foldOp: Op<WindowAttributes> = {
  name: 'fold',
  shape: ([x], { axis, size, dim, ...steps }) =>
    E.pipe(
      typesFault('fold', [x!], ['f32']),
      E.flatMap(() => windowsAlong('fold', dim, size, steps, x!.shape[axis])),
      E.flatMap(() =>
        x!.shape[axis + 1] === size
          ? E.right({ shape: x!.shape.toSpliced(axis, 2, dim), dtype: x!.dtype })
          : E.left(`fold: the windows have ${x!.shape[axis + 1]} places, not ${size}`),
      ),
    ),
  misfit: (_, { axis, size, dim, ...steps }, bound) =>
    windowsMisfit('fold', [dim, size, bound.inputs[0]!.shape[axis]!], steps, bound),
  eval: ([x], { axis, size, ...steps }, bound) => {
    const y = numbers(bound.sizes, () => 0)
    const [, n, inner] = around(bound.sizes, axis)
    const places = placesOf(n, bound.size(size), steps)
    x!.data.forEach((v, i) => {
      const row = Math.floor(i / inner)
      const at = places[row % places.length]!
      if (at >= 0) y.data[(Math.floor(row / places.length) * n + at) * inner + (i % inner)]! += v
    })
    return y
  },
  vjp: ({ inputs: [x], attributes }, dy) => [
    folds.windows(dy, { ...attributes, dim: x!.shape[attributes.axis]!, value: 0 }),
  ],
  flops: ([x]) => x!.reduce((n, size) => n * size, 1),
  kind: 'other',
  along: ({ attributes }, axis): Along | undefined =>
    axis < attributes.axis ? [axis] : axis > attributes.axis ? [axis + 1] : undefined,
  dims: ({ size, dim }) => [dim, size],
  smooth: isSmooth,
  autograd: savesNothing,
}

/** The untyped verbs of windows and of their transpose. */
export const folds = {
  windows: (x: Node, attributes: WindowAttributes & { readonly value: number }): Node =>
    node(windowsOp, [x], attributes),
  fold: (x: Node, attributes: WindowAttributes): Node => node(foldOp, [x], attributes),
}

/** Tests whether windows are nothing but parts of an axis, one after another, so that they are a reshape of it. */
export const arePieces = (
  n: Dim,
  { size, dim, stride, dilation, padding }: Omit<WindowAttributes, 'axis'>,
): boolean => {
  const none =
    padding === 'same' || padding === 'valid' || (typeof padding === 'number' ? [padding] : padding).every(p => p === 0)
  return none && stride === size && (dilation === 1 || size === 1) && productText([dim, size]) === productText([n])
}

/** The windows on an axis as parts of it if they are, and otherwise made. */
export const windowsPart = (x: Node, attributes: WindowAttributes & { readonly value: number }): Node => {
  const { axis, size, dim } = attributes
  return arePieces(x.shape[axis]!, attributes)
    ? layouts.reshape(x, x.shape.toSpliced(axis, 1, dim, size))
    : folds.windows(x, attributes)
}

/** Steps as a type. */
export interface Steps<N extends number, I extends number, P extends WindowPadding> {
  readonly stride: N
  readonly dilation: I
  readonly padding: P
}
/** The windows of {@link windows}: their size, their steps, and the name of their number. */
export interface WindowsPart<
  K extends Dim,
  As extends Dim | undefined,
  N extends number,
  I extends number,
  P extends WindowPadding,
> extends Partial<Steps<N, I, P>> {
  readonly size: K
  readonly as?: As
  /** The number at places in the padding (default: 0). */
  readonly value?: number
}

/**
 * The windows on an axis, for pooling, moving averages and convolutions of one's own: `[…, n, …]` becomes `[…, windows,
 * size, …]`. Their number is computed if the sizes are numbers; it is the dim itself if they keep it, and a part of it
 * if they divide it, as steps of 2 divide `2*half`. For all others, `as` names it, and is checked when dims are bound.
 * A place in the padding has the number `value` (default: 0).
 * @throws {ShapeMismatch} if a window is larger than the axis with its padding
 * @example mean(windows(x, 1, { size: 7, padding: 'same' }), 2) // a moving average over time
 */
export const windows = <
  S extends Shape,
  const A extends number,
  const K extends Dim,
  const N extends number = 1,
  const I extends number = 1,
  const P extends WindowPadding = 'valid',
  const As extends Dim | undefined = undefined,
>(
  x: Tensor<S> & Fault<WindowsOf<S, NoInfer<A>, NoInfer<K>, Steps<NoInfer<N>, NoInfer<I>, NoInfer<P>>, NoInfer<As>>, S>,
  axis: A,
  { size, as, value = 0, ...options }: WindowsPart<K, As, N, I, P>,
): Tensor<Ok<WindowsOf<S, A, K, Steps<N, I, P>, As>, S>> => {
  const steps = stepsOf(options)
  const shape = ruled(windowsOf(x.shape, axis, size, steps, as))
  const at = positions('windows', x.shape, axis)[0]!
  return typed(windowsPart(x, { axis: at, size, dim: shape[at]!, value, ...steps }))
}
