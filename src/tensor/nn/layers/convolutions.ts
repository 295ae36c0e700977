import { typed, type Tensor } from '../../node.ts'
import { heNormal, zeros } from '../../init/index.ts'
import { kernel, leaf, type Kernel } from '../../op/placeholder.ts'
import { u } from '../../op/untyped.ts'
import type { Steps } from '../../op/windows.ts'
import type { Conv1d as Over1d, Conv2d as Over2d, DepthwiseConv2d as ByChannel } from '../../shape/index.ts'
import type { Dim, Fault, Ok, Shape, WindowPadding } from '../../shape/index.ts'
import type { Geometry, Grouped, PairGeometry } from '../convolution.ts'
import { convolved1d, convolved2d } from '../convolve.ts'

/**
 * The parameters of a convolution: a weight, whose inputs are along the axis A, and a number that is added to each
 * channel of the result.
 */
export interface Convolution<W extends Shape, O extends Dim, A extends number = number> {
  readonly weight: Kernel<W, A>
  readonly bias: Tensor<readonly [O]>
}
/** The same without what is added. */
export interface ConvolutionMap<W extends Shape, A extends number = number> {
  readonly weight: Kernel<W, A>
}
/** The parameters that a convolution takes. */
export interface ConvolutionParameters<W extends Shape, O extends Dim> {
  readonly weight: Tensor<W>
  readonly bias?: Tensor<readonly [O]>
}

/** The rows and columns of a kernel. A size alone is both, and then K is L. */
const sizesOf = <K extends Dim, L extends Dim>(size: K | readonly [K, L]): readonly [K, L] =>
  typeof size === 'object' ? size : [size, size as Dim as L]

/**
 * Declares the parameters of a convolution of images: a weight `[rows, columns, input, output]`, first `heNormal`, and,
 * unless `bias` is false, a bias `[output]`, first 0. `size` is that of a kernel, for both axes or for each. In a
 * convolution with groups, `input` is the channels of one group.
 * @example const stem = nn.Conv2d(3, 'channels', { size: 3 })
 */
export function Conv2d<const I extends Dim, const O extends Dim, const K extends Dim, const L extends Dim = K>(
  input: I,
  output: O,
  options: { readonly size: K | readonly [K, L]; readonly bias: false },
): ConvolutionMap<readonly [K, L, I, O], 2>
export function Conv2d<const I extends Dim, const O extends Dim, const K extends Dim, const L extends Dim = K>(
  input: I,
  output: O,
  options: { readonly size: K | readonly [K, L]; readonly bias?: true },
): Convolution<readonly [K, L, I, O], O, 2>
export function Conv2d<I extends Dim, O extends Dim, K extends Dim, L extends Dim>(
  input: I,
  output: O,
  { size, bias = true }: { readonly size: K | readonly [K, L]; readonly bias?: boolean },
): ConvolutionMap<readonly [K, L, I, O], 2> | Convolution<readonly [K, L, I, O], O, 2> {
  const [rows, columns] = sizesOf(size)
  const weight = kernel(heNormal(), 2, rows, columns, input, output)
  return bias ? { weight, bias: leaf(zeros(), output) } : { weight }
}

/**
 * Declares the parameters of a convolution of each channel by itself: a weight `[rows, columns, channels]`, first
 * `heNormal`, and, unless `bias` is false, a bias `[channels]`, first 0.
 * @example const spatial = nn.DepthwiseConv2d('channels', { size: 3 })
 */
export function DepthwiseConv2d<const C extends Dim, const K extends Dim, const L extends Dim = K>(
  channels: C,
  options: { readonly size: K | readonly [K, L]; readonly bias: false },
): ConvolutionMap<readonly [K, L, C], 2>
export function DepthwiseConv2d<const C extends Dim, const K extends Dim, const L extends Dim = K>(
  channels: C,
  options: { readonly size: K | readonly [K, L]; readonly bias?: true },
): Convolution<readonly [K, L, C], C, 2>
export function DepthwiseConv2d<C extends Dim, K extends Dim, L extends Dim>(
  channels: C,
  { size, bias = true }: { readonly size: K | readonly [K, L]; readonly bias?: boolean },
): ConvolutionMap<readonly [K, L, C], 2> | Convolution<readonly [K, L, C], C, 2> {
  const [rows, columns] = sizesOf(size)
  const weight = kernel(heNormal(), 2, rows, columns, channels)
  return bias ? { weight, bias: leaf(zeros(), channels) } : { weight }
}

/**
 * Declares the parameters of a convolution over one axis: a weight `[size, input, output]`, first `heNormal`, and,
 * unless `bias` is false, a bias `[output]`, first 0.
 * @example const first = nn.Conv1d('sensors', 'channels', { size: 5 })
 */
export function Conv1d<const I extends Dim, const O extends Dim, const K extends Dim>(
  input: I,
  output: O,
  options: { readonly size: K; readonly bias: false },
): ConvolutionMap<readonly [K, I, O], 1>
export function Conv1d<const I extends Dim, const O extends Dim, const K extends Dim>(
  input: I,
  output: O,
  options: { readonly size: K; readonly bias?: true },
): Convolution<readonly [K, I, O], O, 1>
export function Conv1d<I extends Dim, O extends Dim, K extends Dim>(
  input: I,
  output: O,
  { size, bias = true }: { readonly size: K; readonly bias?: boolean },
): ConvolutionMap<readonly [K, I, O], 1> | Convolution<readonly [K, I, O], O, 1> {
  const weight = kernel(heNormal(), 1, size, input, output)
  return bias ? { weight, bias: leaf(zeros(), output) } : { weight }
}

/**
 * The convolution of images (in the field's sense: no kernel is flipped): `[…, height, width, in]` with a weight
 * `[rows, columns, in, out]` becomes `[…, height, width, out]`; a bias is added. The last axis has the channels, and
 * the two before it are the image. The result's height and width are computed if the sizes are numbers; they are the
 * dims themselves if the padding keeps them, as `same` does, and parts of them if steps divide them, as steps of 2
 * divide `2*half`. For all others, `as` names them, and the names are checked when dims are bound. `same` pads so that
 * ⌈height / stride⌉ rows result, with an odd zero after the image, as in TensorFlow; a number pads both ends, as in
 * PyTorch. In `groups`, groups of channels are convolved by themselves: the channels are `groups*in`.
 * @throws {ShapeMismatch} if channels differ, groups do not divide them, or the kernel is larger than the padded image
 * @example nn.conv2d(x, p.stem, { stride: 2, padding: 'same', as: ['half', 'halfWidth'] })
 */
export const conv2d = <
  S extends Shape,
  W extends Shape,
  O extends Dim,
  const N extends number = 1,
  const M extends number = N,
  const I extends number = 1,
  const J extends number = I,
  const P extends WindowPadding = 'valid',
  const Q extends WindowPadding = P,
  const G extends Dim | undefined = undefined,
  const A extends Dim | undefined = undefined,
  const B extends Dim | undefined = undefined,
>(
  x: Tensor<S>,
  p: ConvolutionParameters<W, O> &
    Fault<
      Over2d<
        S,
        W,
        Steps<NoInfer<N>, NoInfer<I>, NoInfer<P>>,
        Steps<NoInfer<M>, NoInfer<J>, NoInfer<Q>>,
        NoInfer<G>,
        NoInfer<A>,
        NoInfer<B>
      >,
      S
    >,
  options: PairGeometry<N, M, I, J, P, Q, A, B> & Grouped<G> = {},
): Tensor<Ok<Over2d<S, W, Steps<N, I, P>, Steps<M, J, Q>, G, A, B>, S>> => {
  const { weight, bias }: ConvolutionParameters<W, O> = p
  const y = convolved2d('conv2d', x, weight, options)
  return typed(bias === undefined ? y : u.add(y, bias))
}

/**
 * The convolution of each channel by itself (Sifre 2014): `[…, height, width, channels]` with a weight `[rows, columns,
 * channels]`; a bias is added. The options are those of `nn.conv2d`, but for `groups`.
 * @throws {ShapeMismatch} if channels differ, or the kernel is larger than the padded image
 * @example nn.depthwiseConv2d(x, p.spatial, { padding: 'same' })
 */
export const depthwiseConv2d = <
  S extends Shape,
  W extends Shape,
  O extends Dim,
  const N extends number = 1,
  const M extends number = N,
  const I extends number = 1,
  const J extends number = I,
  const P extends WindowPadding = 'valid',
  const Q extends WindowPadding = P,
  const A extends Dim | undefined = undefined,
  const B extends Dim | undefined = undefined,
>(
  x: Tensor<S>,
  p: ConvolutionParameters<W, O> &
    Fault<
      ByChannel<
        S,
        W,
        Steps<NoInfer<N>, NoInfer<I>, NoInfer<P>>,
        Steps<NoInfer<M>, NoInfer<J>, NoInfer<Q>>,
        NoInfer<A>,
        NoInfer<B>
      >,
      S
    >,
  options: PairGeometry<N, M, I, J, P, Q, A, B> = {},
): Tensor<Ok<ByChannel<S, W, Steps<N, I, P>, Steps<M, J, Q>, A, B>, S>> => {
  const { weight, bias }: ConvolutionParameters<W, O> = p
  const y = convolved2d('depthwiseConv2d', x, weight, options)
  return typed(bias === undefined ? y : u.add(y, bias))
}

/**
 * The convolution over one axis: `[…, time, in]` with a weight `[places, in, out]` becomes `[…, time, out]`; a bias is
 * added. The last axis has the channels, and the one before it is convolved. The options are those of `nn.conv2d`, for
 * one axis.
 * @throws {ShapeMismatch} if channels differ, groups do not divide them, or the kernel is larger than the padded axis
 * @example nn.conv1d(signal, p.first, { padding: 'same' })
 */
export const conv1d = <
  S extends Shape,
  W extends Shape,
  O extends Dim,
  const N extends number = 1,
  const I extends number = 1,
  const P extends WindowPadding = 'valid',
  const G extends Dim | undefined = undefined,
  const A extends Dim | undefined = undefined,
>(
  x: Tensor<S>,
  p: ConvolutionParameters<W, O> &
    Fault<Over1d<S, W, Steps<NoInfer<N>, NoInfer<I>, NoInfer<P>>, NoInfer<G>, NoInfer<A>>, S>,
  options: Geometry<N, I, P, A> & Grouped<G> = {},
): Tensor<Ok<Over1d<S, W, Steps<N, I, P>, G, A>, S>> => {
  const { weight, bias }: ConvolutionParameters<W, O> = p
  const y = convolved1d(x, weight, options)
  return typed(bias === undefined ? y : u.add(y, bias))
}
