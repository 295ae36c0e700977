import { typed, type Tensor } from '../../node.ts'
import { product } from '../../op/contract.ts'
import type { Dim, MatMul, MatMulError, Ok, Shape } from '../../shape/index.ts'
import { u } from '../../op/untyped.ts'
import { lecunNormal, zeros } from '../../init/index.ts'
import { leaf } from '../../op/placeholder.ts'

/** The parameter of a linear map. */
export interface LinearMap<I extends Dim, O extends Dim> {
  readonly weight: Tensor<readonly [I, O]>
}
/** The parameters of a linear layer. */
export interface Linear<I extends Dim, O extends Dim> extends LinearMap<I, O> {
  readonly bias: Tensor<readonly [O]>
}

/**
 * Declares the parameters of a linear layer: a weight `[input, output]` and, unless `bias` is false, a bias `[output]`.
 * Their first values are those of Flax: `lecunNormal`, and zeros.
 * @example const up = nn.Linear('hidden', 'ffn') // { weight: Tensor<['hidden', 'ffn']>, bias: Tensor<['ffn']> }
 */
export function Linear<const I extends Dim, const O extends Dim>(
  input: I,
  output: O,
  options: { readonly bias: false },
): LinearMap<I, O>
export function Linear<const I extends Dim, const O extends Dim>(
  input: I,
  output: O,
  options?: { readonly bias?: true },
): Linear<I, O>
export function Linear<I extends Dim, O extends Dim>(
  input: I,
  output: O,
  { bias = true }: { readonly bias?: boolean } = {},
): LinearMap<I, O> | Linear<I, O> {
  const weight = leaf(lecunNormal(), input, output)
  return bias ? { weight, bias: leaf(zeros(), output) } : { weight }
}

/** The parameters that {@link linear} takes. */
export interface LinearParameters<I extends Dim, O extends Dim> {
  readonly weight: Tensor<readonly [I, O]>
  readonly bias?: Tensor<readonly [NoInfer<O>]>
}

/**
 * A linear layer: x W + b over the last dim, whatever the others are; `[…, input]` becomes `[…, output]`.
 * @throws {ShapeMismatch} if the last dim is not the input
 * @example nn.linear(x, p.up)
 */
export const linear = <S extends Shape, I extends Dim, O extends Dim>(
  x: Tensor<S>,
  p: LinearParameters<I, O> & MatMulError<S, readonly [I, O]>,
): Tensor<Ok<MatMul<S, readonly [I, O]>, S>> => {
  const { weight, bias }: LinearParameters<I, O> = p
  const y = product(x, weight)
  return typed(bias === undefined ? y : u.add(y, bias))
}

/** The parameters of a perceptron with one hidden layer. */
export interface Mlp<I extends Dim, H extends Dim, O extends Dim> {
  readonly up: Linear<I, H>
  readonly down: Linear<H, O>
}

/**
 * Declares the parameters of a perceptron with one hidden layer: two linear layers.
 * @example const head = nn.Mlp('hidden', 'ffn', 'classes')
 */
export const Mlp = <const I extends Dim, const H extends Dim, const O extends Dim>(
  input: I,
  hidden: H,
  output: O,
): Mlp<I, H, O> => ({ up: Linear(input, hidden), down: Linear(hidden, output) })

/**
 * A perceptron with one hidden layer: a linear layer, an activation, and another linear layer.
 * @example nn.mlp(x, p.head, relu)
 */
export const mlp = <L extends Shape, I extends Dim, H extends Dim, O extends Dim>(
  x: Tensor<readonly [...L, I]>,
  p: Mlp<NoInfer<I>, H, O>,
  activation: (x: Tensor<readonly [...L, H]>) => Tensor<readonly [...L, H]>,
): Tensor<readonly [...L, O]> => linear(activation(linear(x, p.up)), p.down)
