import { ruled, ShapeMismatch, typed, type Node, type Tensor } from '../../node.ts'
import { heNormal, zeros } from '../../init/index.ts'
import { kernel, leaf } from '../../op/placeholder.ts'
import type { RandomKey, RandomStream } from '../../op/random-bits.ts'
import { u } from '../../op/untyped.ts'
import {
  product,
  show,
  type Conv2d,
  type Dim,
  type Fault,
  type Ok,
  type Product,
  type ShapeError,
  type Shape,
} from '../../shape/index.ts'
import { silu } from '../activation.ts'
import { convolved2d } from '../convolve.ts'
import type { Steps } from '../../op/windows.ts'
import type { Convolution, ConvolutionParameters } from './convolutions.ts'
import { dropout, type DropoutAttributes } from '../dropout.ts'
import { linear, Linear } from './linear.ts'

/** The axes of an image within `[…, height, width, channels]`. */
const imageAxes = (op: string, { shape }: Node): readonly [number, number] => {
  const rank = shape.length
  if (rank < 3) throw new ShapeMismatch(`${op}: ${show(shape)} is not [..., height, width, channels]`)
  return [rank - 3, rank - 2]
}

/**
 * The mean of each channel over an image: `[…, height, width, channels]` becomes `[…, channels]`.
 * @example nn.globalAveragePool(x)
 */
export const globalAveragePool = <L extends Shape, H extends Dim, W extends Dim, C extends Dim>(
  x: Tensor<readonly [...L, H, W, C]>,
): Tensor<readonly [...L, C]> => {
  const axes = imageAxes('globalAveragePool', x)
  return typed(u.div(u.sum(x, axes), u.size(...axes.map(axis => x.shape[axis]!))))
}
/**
 * The largest number of each channel of an image: `[…, height, width, channels]` becomes `[…, channels]`.
 * @example nn.globalMaxPool(x)
 */
export const globalMaxPool = <L extends Shape, H extends Dim, W extends Dim, C extends Dim>(
  x: Tensor<readonly [...L, H, W, C]>,
): Tensor<readonly [...L, C]> => typed(u.max(x, imageAxes('globalMaxPool', x)))

/** The parameters of squeeze-and-excitation. */
export interface SqueezeExcite<C extends Dim, R extends Dim> {
  readonly reduce: Linear<C, R>
  readonly expand: Linear<R, C>
}
/**
 * Declares the parameters of squeeze-and-excitation: linear layers from the channels to fewer, and back.
 * @example const gate = nn.SqueezeExcite('channels', 'few')
 */
export const SqueezeExcite = <const C extends Dim, const R extends Dim>(
  channels: C,
  reduced: R,
): SqueezeExcite<C, R> => ({
  reduce: Linear(channels, reduced),
  expand: Linear(reduced, channels),
})
/**
 * Squeeze-and-excitation (Hu et al. 2018): each channel of an image times a number between 0 and 1, which follows from
 * the means of all channels. `activation` is that between the two layers (default: `silu`, as in EfficientNet).
 * @example nn.squeezeExcite(x, p.gate, { activation: relu })
 */
export const squeezeExcite = <L extends Shape, H extends Dim, W extends Dim, C extends Dim, R extends Dim>(
  x: Tensor<readonly [...L, H, W, C]>,
  p: SqueezeExcite<NoInfer<C>, R>,
  { activation = silu }: { readonly activation?: <S extends Shape>(x: Tensor<S>) => Tensor<S> } = {},
): Tensor<readonly [...L, H, W, C]> => {
  const gate = linear(activation(linear(globalAveragePool(x), p.reduce)), p.expand)
  const lead = gate.shape.slice(0, -1)
  return typed(u.mul(x, u.reshape(u.sigmoid(gate), [...lead, 1, 1, x.shape.at(-1)!])))
}

/**
 * Declares the parameters of a patch embedding: those of a convolution whose windows are the patches of an image.
 * @example const patches = nn.PatchEmbedding(3, 'hidden', { size: 16 })
 */
export const PatchEmbedding = <const C extends Dim, const O extends Dim, const K extends number>(
  channels: C,
  hidden: O,
  { size }: { readonly size: K },
): Convolution<readonly [K, K, C, O], O, 2> => ({
  weight: kernel(heNormal(), 2, size, size, channels, hidden),
  bias: leaf(zeros(), hidden),
})
/**
 * The patches of images, row by row, each a linear map of its numbers (Dosovitskiy et al. 2021): `[…, height, width,
 * channels]` becomes `[…, patches, hidden]`. The height and the width are numbers, or multiples of a patch's size, such
 * as `rows*16`: the patches are then `rows*columns`.
 * @throws {ShapeMismatch} if patches do not divide an image
 * @example nn.patchEmbedding(images, p.patches)
 */
export const patchEmbedding = <S extends Shape, W extends Shape, O extends Dim>(
  x: Tensor<S>,
  p: Required<ConvolutionParameters<W, O>> & Fault<InPatches<S, W>, S>,
): Tensor<Ok<Patched<S, W>, S>> => {
  const { weight, bias }: Required<ConvolutionParameters<W, O>> = p
  const axes = imageAxes('patchEmbedding', x)
  const size = Number(weight.shape[0])
  const uneven = axes.map(axis => x.shape[axis]!).find(n => typeof n === 'number' && n % size !== 0)
  if (uneven !== undefined) throw new ShapeMismatch(`patchEmbedding: patches of ${size} do not divide ${uneven}`)
  const y = convolved2d('patchEmbedding', x, weight, { stride: size })
  const patches = ruled(product(axes.map(axis => y.shape[axis]!)))
  return typed(u.add(u.reshape(y, [...y.shape.slice(0, axes[0]), patches, y.shape.at(-1)!]), bias))
}
/** Images `S` as patches: the shape of their convolution with rows and columns merged. */
export type Patched<S extends Shape, W extends Shape> = Merged<InPatches<S, W>>
/** The shape of that convolution. */
export type InPatches<S extends Shape, W extends Shape> = Conv2d<
  S,
  W,
  Steps<W[0] & number, 1, 'valid'>,
  Steps<W[0] & number, 1, 'valid'>,
  undefined,
  undefined,
  undefined,
  'patchEmbedding'
>
type Merged<R> =
  R extends ShapeError<string>
    ? R
    : { readonly r: R } extends {
          readonly r: readonly [...infer L extends Shape, infer A extends Dim, infer B extends Dim, infer O extends Dim]
        }
      ? readonly [...L, Product<readonly [A, B]> & Dim, O]
      : never

/**
 * Stochastic depth (Huang et al. 2016): whole examples, which are those of the first axis, are dropped with the
 * probability `rate`, and the others are divided by 1 − rate. It is meant for the branch of a residual block. As with
 * `dropout`, training steps alone drop, and every call drops examples of its own; with a key and a stream it is a
 * function of them.
 * @throws {ShapeMismatch} for a rate outside [0, 1), and for a scalar
 * @example add(x, nn.stochasticDepth(block(x), 0.1))
 */
export function stochasticDepth<S extends Shape>(x: Tensor<S>, rate: number): Tensor<S>
export function stochasticDepth<S extends Shape>(
  x: Tensor<S>,
  key: RandomKey,
  stream: RandomStream,
  attributes: DropoutAttributes,
): Tensor<S>
export function stochasticDepth<S extends Shape>(
  x: Tensor<S>,
  rateOrKey: number | RandomKey,
  stream?: RandomStream,
  attributes?: DropoutAttributes,
): Tensor<S> {
  const [examples, ...others] = x.shape
  if (examples === undefined) throw new ShapeMismatch('stochasticDepth: a scalar has no examples')
  const ones: Tensor<Shape> = typed(u.broadcastTo(u.constant(1), [examples, ...others.map(() => 1)]))
  const kept = typeof rateOrKey === 'number' ? dropout(ones, rateOrKey) : dropout(ones, rateOrKey, stream!, attributes!)
  return typed(u.mul(x, kept))
}
