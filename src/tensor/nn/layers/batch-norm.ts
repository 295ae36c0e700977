import * as E from '../../../either/index.ts'
import { ones, zeros } from '../../init/index.ts'
import { node, ShapeMismatch, typed, type Node, type Tensor } from '../../node.ts'
import { leaf } from '../../op/placeholder.ts'
import { u } from '../../op/untyped.ts'
import {
  axisOf,
  show,
  type Dim,
  type NamedAxis,
  type Same,
  type Shape,
  type ShapeError,
  type Show,
} from '../../shape/index.ts'
import { whenTrainingOp } from '../training.ts'
import { LayerNorm, usualEpsilon, type NormOptions, type NormParameters } from './norms.ts'

/** The running statistics of a batch norm: a mean and a variance for each channel. */
export interface Statistics<C extends Dim> {
  readonly mean: Tensor<readonly [C]>
  readonly variance: Tensor<readonly [C]>
}

/**
 * Declares the parameters of a batch norm: a weight `[channels]`, first 1, and, unless `bias` is false, a bias
 * `[channels]`, first 0. Its buffers are {@link RunningStatistics}.
 * @example const params = { norm: nn.BatchNorm('channels') }
 */
export const BatchNorm: typeof LayerNorm = LayerNorm

/**
 * Declares the buffers of a batch norm: a running mean `[channels]`, first 0, and a running variance `[channels]`,
 * first 1.
 * @example const buffers = { norm: nn.RunningStatistics('channels') }
 */
export const RunningStatistics = <const C extends Dim>(channels: C): Statistics<C> => ({
  mean: leaf(zeros(), channels),
  variance: leaf(ones(), channels),
})

/**
 * The part of a batch that running statistics take up, if any, and the number that is added to a variance.
 */
export interface BatchNormOptions extends NormOptions {
  /** Default: 0.1, as in PyTorch. */
  readonly momentum?: number
  /** True if training steps normalise by the running statistics too, and leave them as they are (default: false). */
  readonly frozen?: boolean
}

/** A normalised tensor, and the running statistics after a training step. */
export interface BatchNormResult<S extends Shape, C extends Dim> {
  readonly outputs: Tensor<S>
  readonly buffers: Statistics<C>
}

const notOne = <S extends string, C extends Dim>(shape: S, channels: C) =>
  `batchNorm: ${shape} does not have exactly one dim ${channels}` as const
/** `unknown`, or the reason why S has no single dim of channels C. The last dim is decided in generic functions too. */
export type ChannelsError<S extends Shape, C extends Dim> = { readonly s: S } extends {
  readonly s: readonly [...infer _ extends Shape, infer D extends Dim]
}
  ? Same<C, D> extends true
    ? unknown
    : C extends string
      ? NamedAxis<'batchNorm', S, C> extends infer A
        ? A extends number
          ? unknown
          : ShapeError<ReturnType<typeof notOne<Show<S>, C>>>
        : never
      : unknown
  : ShapeError<'batchNorm: a scalar has no channels'>

/** The axis of the channels, and those of the examples. */
const axesOf = (shape: Shape, channels: Dim): { readonly at: number; readonly others: readonly number[] } => {
  const last = shape.length - 1
  // an image of 24 × 24 may have 24 channels, which are then the last; other sizes are looked for like names
  const isLast = typeof channels === 'number' && shape[last] === channels
  const found = isLast ? E.right(last) : axisOf('batchNorm', shape.map(String), String(channels))
  if (E.isLeft(found)) throw new ShapeMismatch(notOne(show(shape), channels))
  const at = found.right
  const others = shape.flatMap((_, axis) => (axis === at ? [] : [axis]))
  if (others.length === 0) throw new ShapeMismatch(`batchNorm: ${show(shape)} has channels, and no examples`)
  return { at, others }
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015), as in PyTorch. The channels are the dim of the weight, which may be any
 * of `x` (of several equal sizes the last), and the statistics are over all other dims. Training steps normalise by the
 * statistics of the batch, and move the running ones towards them by the momentum, the variance by the unbiased one;
 * everything else normalises by the running ones. No gradient flows through the buffers.
 * @throws {ShapeMismatch} if the channels are not one dim of `x`, or parameters or buffers do not run along them
 * @example const { outputs, buffers: norm } = nn.batchNorm(x, p.norm, buffers.norm)
 */
export const batchNorm = <S extends Shape, C extends Dim>(
  x: Tensor<S>,
  p: NormParameters<C> & ChannelsError<S, C>,
  statistics: Statistics<NoInfer<C>>,
  { momentum = 0.1, eps = usualEpsilon, frozen = false }: BatchNormOptions = {},
): BatchNormResult<S, C> => {
  const { weight, bias }: NormParameters<C> = p
  const [channels] = weight.shape as Shape
  if (channels === undefined || weight.shape.length !== 1)
    throw new ShapeMismatch(`batchNorm: the weight is ${show(weight.shape)}, and not one number for each channel`)
  for (const [what, of] of Object.entries({ bias, mean: statistics.mean, variance: statistics.variance }))
    if (of !== undefined && show(of.shape) !== show(weight.shape))
      throw new ShapeMismatch(`batchNorm: the ${what} is ${show(of.shape)}, not ${show(weight.shape)}`)
  if (!(momentum >= 0 && momentum <= 1))
    throw new ShapeMismatch(`batchNorm: the momentum is from 0 to 1, not ${momentum}`)
  const { at, others } = axesOf(x.shape, channels)
  const along = (of: Node): Node =>
    at === x.shape.length - 1
      ? of
      : u.reshape(
          of,
          x.shape.map((dim, axis) => (axis === at ? dim : 1)),
        )
  const normalised = (mean: Node, variance: Node): Tensor<S> => {
    const scale = u.mul(weight, u.rsqrt(u.add(variance, eps)))
    const scaled = u.mul(u.sub(x, along(mean)), along(scale))
    return typed(bias === undefined ? scaled : u.add(scaled, along(bias)))
  }
  if (frozen) return { outputs: normalised(statistics.mean, statistics.variance), buffers: statistics }
  const n = u.size(...others.map(axis => x.shape[axis]!))
  const mean = u.div(u.sum(x, others), n)
  const centred = u.sub(x, along(mean))
  const squares = u.sum(u.mul(centred, centred), others)
  const moved = (old: Node, now: Node): Tensor<readonly [C]> =>
    typed(u.stopGradient(u.add(u.mul(old, 1 - momentum), u.mul(now, momentum))))
  return {
    outputs: normalised(
      node(whenTrainingOp, [mean, statistics.mean], {}),
      node(whenTrainingOp, [u.div(squares, n), statistics.variance], {}),
    ),
    buffers: {
      mean: moved(statistics.mean, mean),
      variance: moved(statistics.variance, u.div(squares, u.sub(n, 1))),
    },
  }
}
