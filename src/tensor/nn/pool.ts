import { ruled, ShapeMismatch, typed, type Node, type Tensor } from '../node.ts'
import { u } from '../op/untyped.ts'
import { windowsPart, type Steps } from '../op/windows.ts'
import {
  pairOf,
  windowsAlong,
  type Dim,
  type Fault,
  type Ok,
  type Pool1d,
  type Pool2d,
  type Shape,
} from '../shape/index.ts'
import type { Pair, WindowPadding, WindowSteps } from '../shape/index.ts'

/** The windows of a pooling of images: numbers for both axes, or one for each. */
export interface PairPooling<
  N extends number,
  M extends number,
  P extends WindowPadding,
  Q extends WindowPadding,
  A,
  B,
> {
  /** The distance from one window to the next (default: the size of a window). */
  readonly stride?: N | readonly [N, M]
  /**
   * The places around the image (default: `valid`), which count for nothing: so many on all sides, or what each axis
   * has.
   */
  readonly padding?: Exclude<P, readonly unknown[]> | readonly [P, Q]
  /** The names of the result's height and width, if they do not follow from the dims. */
  readonly as?: readonly [A, B]
}
/** The same for one axis. */
export interface Pooling<N extends number, P extends WindowPadding, A> {
  readonly stride?: N
  readonly padding?: P
  readonly as?: A
}

/** One number for each window along an axis. */
type Pool = (windows: Node, axis: number, steps: WindowSteps, dims: readonly [n: Dim, k: number, count: Dim]) => Node

interface Along {
  readonly axis: number
  readonly size: number
  readonly steps: WindowSteps
  readonly as: Dim | undefined
}
/** Pools along one axis after another: the windows of both at once are never made. */
const pooled = (op: string, x: Node, value: number, pool: Pool, along: readonly Along[]): Node =>
  along.reduce((y, { axis, size, steps, as }) => {
    const n = y.shape[axis]!
    const dim = ruled(windowsAlong(op, n, size, steps, as))
    const { padding } = steps
    const most = typeof padding === 'string' ? 0 : Math.max(...[padding].flat())
    if (most >= size) throw new ShapeMismatch(`${op}: a padding of ${most} leaves a window of ${size} without a place`)
    return pool(windowsPart(y, { axis, size, dim, value, ...steps }), axis + 1, steps, [n, size, dim])
  }, x)

const maximum: Pool = (windows, axis) => u.max(windows, [axis])
/** The mean over the places that exist. */
const average: Pool = (windows, axis, steps, [n, k, count]) => {
  const total = u.sum(windows, [axis])
  const ones = windowsPart(u.broadcastTo(u.constant(1), [n]), { axis: 0, size: k, dim: count, value: 0, ...steps })
  const { padding } = steps
  const isWhole = padding === 'valid' || (typeof padding !== 'string' && [padding].flat().every(p => p === 0))
  if (isWhole) return u.div(total, k)
  return u.div(total, u.reshape(u.sum(ones, [1]), [count, ...total.shape.slice(axis).map(() => 1)]))
}

interface Options {
  readonly stride?: Pair<number>
  readonly padding?: Pair<WindowPadding>
  readonly as?: readonly [Dim | undefined, Dim | undefined]
}
const over2d =
  (op: string, value: number, pool: Pool) =>
  (x: Node, size: number, options: Options): Node => {
    const { stride = size, padding = 'valid', as } = options
    const rank = x.shape.length
    if (rank < 3) throw new ShapeMismatch(`${op}: [${x.shape.join(', ')}] is not [..., height, width, channels]`)
    const along = pairOf({ stride, dilation: 1, padding }).map((steps, i): Along => ({
      axis: rank - 3 + i,
      size,
      steps,
      as: as?.[i],
    }))
    return pooled(op, x, value, pool, along)
  }
const over1d =
  (op: string, value: number, pool: Pool) =>
  (
    x: Node,
    size: number,
    { stride = size, padding = 'valid', as }: { stride?: number; padding?: WindowPadding; as?: Dim | undefined },
  ): Node => {
    const rank = x.shape.length
    if (rank < 2) throw new ShapeMismatch(`${op}: [${x.shape.join(', ')}] is not [..., time, channels]`)
    return pooled(op, x, value, pool, [{ axis: rank - 2, size, steps: { stride, dilation: 1, padding }, as }])
  }

/** A pooling of images `[…, height, width, channels]`. */
export type Pooling2d<Op extends string> = <
  S extends Shape,
  const K extends number,
  const N extends number = K,
  const M extends number = N,
  const P extends WindowPadding = 'valid',
  const Q extends WindowPadding = P,
  const A extends Dim | undefined = undefined,
  const B extends Dim | undefined = undefined,
>(
  x: Tensor<S> &
    Fault<
      Pool2d<
        Op,
        S,
        readonly [NoInfer<K>, NoInfer<K>],
        Steps<NoInfer<N>, 1, NoInfer<P>>,
        Steps<NoInfer<M>, 1, NoInfer<Q>>,
        NoInfer<A>,
        NoInfer<B>
      >,
      S
    >,
  size: K,
  options?: PairPooling<N, M, P, Q, A, B>,
) => Tensor<Ok<Pool2d<Op, S, readonly [K, K], Steps<N, 1, P>, Steps<M, 1, Q>, A, B>, S>>

/** A pooling of sequences `[…, time, channels]`. */
export type Pooling1d<Op extends string> = <
  S extends Shape,
  const K extends number,
  const N extends number = K,
  const P extends WindowPadding = 'valid',
  const A extends Dim | undefined = undefined,
>(
  x: Tensor<S> & Fault<Pool1d<Op, S, readonly [NoInfer<K>], Steps<NoInfer<N>, 1, NoInfer<P>>, NoInfer<A>>, S>,
  size: K,
  options?: Pooling<N, P, A>,
) => Tensor<Ok<Pool1d<Op, S, readonly [K], Steps<N, 1, P>, A>, S>>

const max2d = over2d('maxPool2d', -Infinity, maximum)
const average2d = over2d('averagePool2d', 0, average)
const max1d = over1d('maxPool1d', -Infinity, maximum)
const average1d = over1d('averagePool1d', 0, average)

/**
 * The largest number of each window of an image, channel by channel: `[…, height, width, channels]` becomes `[…, rows
 * of windows, columns of windows, channels]`. Windows do not overlap unless a stride is specified. The gradient goes to
 * the largest number of a window; equal ones share it.
 * @throws {ShapeMismatch} if a window is larger than the padded image
 * @example nn.maxPool2d(x, 3, { stride: 2, padding: 1, as: ['half', 'halfWidth'] })
 */
export const maxPool2d: Pooling2d<'maxPool2d'> = (x, size, options = {}) => typed(max2d(x, size, options))
/**
 * The mean of each window of an image, channel by channel, over the places that exist: those in the padding do not
 * count, as in TensorFlow.
 * @throws {ShapeMismatch} if a window is larger than the padded image
 * @example nn.averagePool2d(x, 2)
 */
export const averagePool2d: Pooling2d<'averagePool2d'> = (x, size, options = {}) => typed(average2d(x, size, options))
/**
 * The largest number of each window of a sequence `[…, time, channels]`, channel by channel.
 * @throws {ShapeMismatch} if a window is larger than the padded sequence
 * @example nn.maxPool1d(x, 2)
 */
export const maxPool1d: Pooling1d<'maxPool1d'> = (x, size, options = {}) => typed(max1d(x, size, options))
/**
 * The mean of each window of a sequence `[…, time, channels]`, channel by channel, over the places that exist.
 * @throws {ShapeMismatch} if a window is larger than the padded sequence
 * @example nn.averagePool1d(x, 2)
 */
export const averagePool1d: Pooling1d<'averagePool1d'> = (x, size, options = {}) => typed(average1d(x, size, options))
