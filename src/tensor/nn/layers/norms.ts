import { node, ShapeMismatch, typed, ruled, type Node, type Tensor } from '../../node.ts'
import { factors, product, show, type Dim, type Same, type Shape, type ShapeError } from '../../shape/index.ts'
import { u } from '../../op/untyped.ts'
import { rmsNormOp } from '../norm.ts'
import { standardizeOp } from '../standardize.ts'
import { ones, zeros } from '../../init/index.ts'
import { leaf } from '../../op/placeholder.ts'

/** The number that is added to a variance, so that nothing is divided by 0. */
export interface NormOptions {
  /** Default: 10⁻⁵. */
  readonly eps?: number
}
export const usualEpsilon = 1e-5

/** The scale of a norm. */
export interface RmsNorm<H extends Dim> {
  readonly weight: Tensor<readonly [H]>
}
/** The scale and the shift of a norm. */
export interface LayerNorm<H extends Dim> extends RmsNorm<H> {
  readonly bias: Tensor<readonly [H]>
}

/**
 * Declares the parameters of a layer norm: a weight `[hidden]`, first 1, and, unless `bias` is false, a bias
 * `[hidden]`, first 0.
 * @example const norm = nn.LayerNorm('hidden')
 */
export function LayerNorm<const H extends Dim>(hidden: H, options: { readonly bias: false }): RmsNorm<H>
export function LayerNorm<const H extends Dim>(hidden: H, options?: { readonly bias?: true }): LayerNorm<H>
export function LayerNorm<H extends Dim>(
  hidden: H,
  { bias = true }: { readonly bias?: boolean } = {},
): RmsNorm<H> | LayerNorm<H> {
  const weight = leaf(ones(), hidden)
  return bias ? { weight, bias: leaf(zeros(), hidden) } : { weight }
}

/**
 * Declares the parameters of a group norm, which has a scale and a shift for each channel, as a layer norm has.
 * @example const norm = nn.GroupNorm('channels')
 */
export const GroupNorm: typeof LayerNorm = LayerNorm

/** Declares the parameter of a root-mean-square norm: a weight `[hidden]`, first 1. @example nn.RmsNorm('hidden') */
export const RmsNorm = <const H extends Dim>(hidden: H): RmsNorm<H> => ({ weight: leaf(ones(), hidden) })

/** The parameters that a norm takes. */
export interface NormParameters<H extends Dim> {
  readonly weight: Tensor<readonly [H]>
  readonly bias?: Tensor<readonly [NoInfer<H>]>
}

/** `unknown`, or the reason why a weight [H] does not run along the last dim of S. */
export type WeightError<Name extends string, S extends Shape, H extends Dim> = { readonly s: S } extends {
  readonly s: readonly [...infer _ extends Shape, infer D extends Dim]
}
  ? Same<H, D> extends true
    ? unknown
    : ShapeError<`${Name}: the weight is [${H}], not [${D}]`>
  : ShapeError<`${Name}: a scalar has no rows`>
/** The same at run time. */
const fitting = (name: string, x: Node, { weight, bias }: { readonly weight: Node; readonly bias?: Node }): void => {
  if (x.shape.length === 0) throw new ShapeMismatch(`${name}: a scalar has no rows`)
  const last = x.shape.slice(-1)
  for (const [what, of] of [
    ['weight', weight],
    ['bias', bias],
  ] as const)
    if (of !== undefined && show(of.shape) !== show(last))
      throw new ShapeMismatch(`${name}: the ${what} is ${show(of.shape)}, not ${show(last)}`)
}
const scaled = (x: Node, { weight, bias }: { readonly weight: Node; readonly bias?: Node }): Node => {
  const y = u.mul(x, weight)
  return bias === undefined ? y : u.add(y, bias)
}

/**
 * (x − mean x)/√(variance x + ε) of every row, without parameters; the variance is the mean square of what is left.
 * @example nn.standardize(x)
 */
export const standardize = <S extends Shape>(x: Tensor<S>, { eps = usualEpsilon }: NormOptions = {}): Tensor<S> =>
  typed(node(standardizeOp, [x], { epsilon: eps }))

/**
 * Layer normalisation of the last dim (Ba et al. 2016), as in PyTorch: rows are standardized, scaled and shifted.
 * @throws {ShapeMismatch} if the parameters do not run along the last dim
 * @example nn.layerNorm(x, p.norm)
 */
export const layerNorm = <S extends Shape, H extends Dim>(
  x: Tensor<S>,
  p: NormParameters<H> & WeightError<'layerNorm', S, H>,
  { eps = usualEpsilon }: NormOptions = {},
): Tensor<S> => {
  const own: NormParameters<H> = p
  fitting('layerNorm', x, own)
  return typed(scaled(node(standardizeOp, [x], { epsilon: eps }), own))
}

/**
 * Root-mean-square normalisation of the last dim (Zhang and Sennrich 2019): x/√(mean x² + ε), scaled.
 * @throws {ShapeMismatch} if the weight does not run along the last dim
 * @example nn.rmsNorm(x, p.norm)
 */
export const rmsNorm = <S extends Shape, H extends Dim>(
  x: Tensor<S>,
  p: RmsNorm<H> & WeightError<'rmsNorm', S, H>,
  { eps = usualEpsilon }: NormOptions = {},
): Tensor<S> => {
  const own: RmsNorm<H> = p
  fitting('rmsNorm', x, own)
  return typed(node(rmsNormOp, [x, own.weight], { epsilon: eps }))
}

/** Splits channels into groups and what is in each. */
const splitInto = (channels: Dim, groups: Dim): readonly [Dim, Dim] => {
  const wrong = new ShapeMismatch(`groupNorm: ${channels} channels are not ${groups} groups of equal size`)
  if (typeof channels === 'number' && typeof groups === 'number') {
    if (channels % groups !== 0) throw wrong
    return [groups, channels / groups]
  }
  const all = factors(channels)
  const first = factors(groups)
  if (!first.every((factor, i) => factor === all[i])) throw wrong
  return [groups, ruled(product(all.slice(first.length)))]
}

/**
 * Group normalisation (Wu and He 2018) of `[batch, …, channels]`: the channels are divided into groups of neighbours,
 * and each group of an example is standardized as a whole, then every channel is scaled and shifted. The channels are a
 * multiple of the groups: a number, or a product that begins with their name, such as `groups*width`. One group
 * normalises an example, and as many groups as channels make an instance norm.
 * @throws {ShapeMismatch} if the channels are no multiple of the groups, or the parameters do not run along them
 * @example nn.groupNorm(image, p.norm, { groups: 8 })
 */
export const groupNorm = <S extends Shape, C extends Dim>(
  x: Tensor<S>,
  p: NormParameters<C> & WeightError<'groupNorm', S, C>,
  { groups, eps = usualEpsilon }: NormOptions & { readonly groups: Dim },
): Tensor<S> => {
  const own: NormParameters<C> = p
  fitting('groupNorm', x, own)
  const [batch, ...rest] = x.shape
  const channels = rest.at(-1)
  if (batch === undefined || channels === undefined)
    throw new ShapeMismatch(`groupNorm: ${show(x.shape)} has no batch and channels`)
  const places = rest.slice(0, -1)
  const [g, width] = splitInto(channels, groups)
  const all = ruled(product([...places, width]))
  // [batch, …places, g, width] → [batch, g, …places, width]
  const forward = [0, places.length + 1, ...places.map((_, i) => i + 1), places.length + 2]
  const back = [0, ...places.map((_, i) => i + 2), 1, places.length + 2]
  const split = [batch, ...places, g, width]
  const rows = u.reshape(u.transpose(u.reshape(x, split), forward), [batch, g, all])
  const y = u.reshape(node(standardizeOp, [rows], { epsilon: eps }), [batch, g, ...places, width])
  return typed(scaled(u.reshape(u.transpose(y, back), x.shape), own))
}
