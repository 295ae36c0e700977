import { uniform, type Initializer } from '../../init/index.ts'
import { ruled, ShapeMismatch, typed, type Node, type Tensor } from '../../node.ts'
import { placeholder } from '../../op/placeholder.ts'
import { product } from '../../op/contract.ts'
import { parts } from '../../op/slice.ts'
import { scanned } from '../../scan.ts'
import { axisOf, type Splice } from '../../shape/axis.ts'
import {
  product as productRule,
  show,
  type Dim,
  type MatMulError,
  type Ok,
  type Product,
  type Shape,
} from '../../shape/index.ts'
import { u } from '../../op/untyped.ts'

/** The parameters of a recurrent layer, with the weights of its gates side by side. */
export interface Recurrent<in out I extends Dim, in out H extends Dim, in out G extends Dim> {
  readonly input: Tensor<readonly [I, G]>
  readonly hidden: Tensor<readonly [H, G]>
  readonly inputBias: Tensor<readonly [G]>
  readonly hiddenBias: Tensor<readonly [G]>
}
/** The parameters of a simple recurrent layer. */
export type Rnn<I extends Dim, H extends Dim> = Recurrent<I, H, H>
/** The parameters of a gated recurrent unit: the columns of reset, update and new, in this order. */
export type Gru<I extends Dim, H extends Dim> = Recurrent<I, H, Product<readonly [3, H]>>
/** The parameters of a long short-term memory: the columns of input, forget, cell and output, in this order. */
export type Lstm<I extends Dim, H extends Dim> = Recurrent<I, H, Product<readonly [4, H]>>

/** The options of recurrent layers: the axis of time, the direction, the first state, and the steps that exist. */
export interface RecurrentOptions<A extends number, Mask extends Shape, State> {
  /** The axis of time (default: −2, as in `[batch, time, features]`; 0 for `[time, batch, features]`). */
  readonly axis?: A
  /** True if the last step comes first (default: false). */
  readonly reverse?: boolean
  /** The state before the first step (default: zeros). */
  readonly initial?: State
  /** True for the steps that exist, false for padding, through which the state is carried unchanged. */
  readonly mask?: Tensor<Mask, 'bool'>
}
/** The state after every step, and after the last one. */
export interface RecurrentResult<S extends Shape, State> {
  readonly outputs: Tensor<S>
  readonly last: State
}
/** The state of a long short-term memory. */
export interface LstmState<S extends Shape> {
  readonly hidden: Tensor<S>
  readonly cell: Tensor<S>
}

/** The shape of the outputs: the last dim of the steps is that of the state. */
export type RecurrentOutputs<S extends Shape, H extends Dim> = Ok<Splice<'recurrent', S, -1, readonly [H]>, S>
/** The shape of a state: that of the outputs without the dim of time. */
export type RecurrentState<S extends Shape, H extends Dim, A extends number> = Ok<
  Splice<'recurrent', RecurrentOutputs<S, H>, A, readonly []>
>
/** The shape of a mask of the steps. */
export type RecurrentSteps<S extends Shape> = Ok<Splice<'recurrent', S, -1, readonly []>, S>

const times = (n: number, dim: Dim): Dim => ruled(productRule([n, dim]))
/** Numbers spread evenly between ±1/√hidden, as PyTorch draws them; the last size is that of the gates together. */
const usual =
  (gates: number): Initializer =>
  first => {
    const most = 1 / Math.sqrt(first.sizes.at(-1)! / gates)
    return uniform({ min: -most, max: most })(first)
  }
const declared = <I extends Dim, H extends Dim, G extends Dim>(
  input: I,
  hidden: H,
  gates: number,
): Recurrent<I, H, G> => {
  const wide = times(gates, hidden)
  const leaf = <S extends Shape>(...shape: Shape): Tensor<S> => typed(placeholder(shape, 'f32', usual(gates)))
  return { input: leaf(input, wide), hidden: leaf(hidden, wide), inputBias: leaf(wide), hiddenBias: leaf(wide) }
}

/**
 * Declares the parameters of a simple recurrent layer, as in PyTorch's `nn.RNN`: `input` is the transpose of its
 * `weight_ih_l0`, `hidden` that of `weight_hh_l0`, and the biases are `bias_ih_l0` and `bias_hh_l0`. Usual first values
 * are uniform between ±1/√hidden, as there.
 * @example const params = { rnn: nn.Rnn('features', 'hidden') }
 */
export const Rnn = <const I extends Dim, const H extends Dim>(input: I, hidden: H): Rnn<I, H> =>
  declared(input, hidden, 1)
/**
 * Declares the parameters of a gated recurrent unit, as in PyTorch's `nn.GRU`: `input` `[input, 3*hidden]` is the
 * transpose of its `weight_ih_l0`, `hidden` that of `weight_hh_l0`, and the biases are `bias_ih_l0` and `bias_hh_l0`.
 * Usual first values are uniform between ±1/√hidden, as there.
 * @example const params = { gru: nn.Gru('features', 'hidden') }
 */
export const Gru = <const I extends Dim, const H extends Dim>(input: I, hidden: H): Gru<I, H> =>
  declared(input, hidden, 3)
/**
 * Declares the parameters of a long short-term memory, as in PyTorch's `nn.LSTM`: `input` `[input, 4*hidden]` is the
 * transpose of its `weight_ih_l0`, `hidden` that of `weight_hh_l0`, and the biases are `bias_ih_l0` and `bias_hh_l0`.
 * Usual first values are uniform between ±1/√hidden, as there.
 * @example const params = { lstm: nn.Lstm('features', 'hidden') }
 */
export const Lstm = <const I extends Dim, const H extends Dim>(input: I, hidden: H): Lstm<I, H> =>
  declared(input, hidden, 4)

/** The parameters as the layers read them, whatever their shapes. */
interface Weights {
  readonly input: Node
  readonly hidden: Node
  readonly inputBias: Node
  readonly hiddenBias: Node
}
interface Options {
  readonly axis?: number
  readonly reverse?: boolean
  readonly initial?: unknown
  readonly mask?: Node
}

/** The gates from one on, of `n` gates that lie side by side on the last axis. */
const gates = (x: Node, hidden: Dim, from: number, n = 1): Node =>
  parts.slice(x, -1 + x.shape.length, { as: times(n, hidden), start: from === 0 ? [] : [times(from, hidden)] })

/** Refuses what does not have a shape. */
const checked = (name: string, what: string, x: Node, expected: Shape, dtype = 'f32'): Node => {
  if (show(x.shape) !== show(expected) || x.dtype !== dtype)
    throw new ShapeMismatch(`${name}: ${what} is ${show(x.shape)} ${x.dtype}, not ${show(expected)} ${dtype}`)
  return x
}

/**
 * Goes through the steps of a recurrent layer: a step receives its inputs and the state, whose first part is the
 * output.
 */
const recurrent = (
  name: string,
  xs: Node,
  { hidden: weight }: Weights,
  inputs: readonly Node[],
  initial: readonly (Node | undefined)[],
  { axis = -2, reverse = false, mask }: Options,
  step: (inputs: readonly Node[], state: readonly Node[]) => readonly Node[],
): readonly [outputs: Node, last: readonly Node[]] => {
  const at = ruled(axisOf(name, xs.shape, axis))
  if (at === xs.shape.length - 1) throw new ShapeMismatch(`${name}: axis ${axis} has the features of ${show(xs.shape)}`)
  const rows = xs.shape.slice(0, -1).filter((_, i) => i !== at)
  const shape = [...rows, weight.shape[0]!]
  const states = initial.map(state =>
    state === undefined ? u.broadcastTo(u.constant(0), shape) : checked(name, 'the initial state', state, shape),
  )
  const exists = mask && checked(name, 'the mask', mask, xs.shape.slice(0, -1), 'bool')
  const [last, [outputs]] = scanned(
    exists ? [...inputs, exists] : inputs,
    states,
    (state, given) => {
      const next = step(given, state)
      const present = exists && u.reshape(given.at(-1)!, [...rows, 1])
      const held = present ? next.map((n, i) => u.select(present, n, state[i]!)) : next
      return [held, held.slice(0, 1)]
    },
    { axis: at, reverse },
  )
  return [outputs!, last]
}

/** x W + b for all steps at once; the inner dims are checked. */
const projected = (name: string, xs: Node, { input }: Weights, bias: Node): Node => {
  const features = xs.shape.at(-1)
  if (features !== input.shape[0])
    throw new ShapeMismatch(`${name}: the inputs have ${features ?? 'no'} features, not ${input.shape[0]!}`)
  return u.add(product(xs, input), bias)
}
/**
 * A simple recurrent layer: h' = tanh(x W + b + h U + c), as PyTorch's `nn.RNN`. Sequences `[batch, time, features]`,
 * with any number of leading dims, or another axis of time, give the state after every step and the last one.
 * @throws {ShapeMismatch} if the features, the first state or the mask do not fit
 * @example const { outputs, last } = nn.rnn(batch.xs, p.rnn)
 */
export const rnn = <S extends Shape, I extends Dim, H extends Dim, const A extends number = -2>(
  xs: Tensor<S>,
  p: Rnn<I, H> & MatMulError<S, readonly [I, H]>,
  options: RecurrentOptions<A, RecurrentSteps<S>, Tensor<RecurrentState<S, H, A>>> = {},
): RecurrentResult<RecurrentOutputs<S, H>, Tensor<RecurrentState<S, H, A>>> => {
  const weights: Rnn<I, H> = p
  const inputs = projected('rnn', xs, weights, u.add(weights.inputBias, weights.hiddenBias))
  const [outputs, [last]] = recurrent('rnn', xs, weights, [inputs], [options.initial], options, ([x], [h]) => [
    u.tanh(u.add(x!, product(h!, weights.hidden))),
  ])
  return { outputs: typed(outputs), last: typed(last!) }
}

/**
 * A gated recurrent unit (Cho et al. 2014), in the form of PyTorch's `nn.GRU`: r = σ(xᵣ + hᵣ), z = σ(x_z + h_z), n =
 * tanh(xₙ + r hₙ), h' = (1 − z) n + z h, with x W + b for all steps at once and h U + c in each step. Sequences
 * `[batch, time, features]`, with any number of leading dims, or another axis of time, give the state after every step
 * and the last one.
 * @throws {ShapeMismatch} if the features, the first state or the mask do not fit
 * @example const { outputs, last } = nn.gru(batch.xs, p.gru, { mask: batch.exists })
 */
export const gru = <S extends Shape, I extends Dim, H extends Dim, const A extends number = -2>(
  xs: Tensor<S>,
  p: Gru<I, H> & MatMulError<S, readonly [I, H]>,
  options: RecurrentOptions<A, RecurrentSteps<S>, Tensor<RecurrentState<S, H, A>>> = {},
): RecurrentResult<RecurrentOutputs<S, H>, Tensor<RecurrentState<S, H, A>>> => {
  const weights: Weights = p
  const size = weights.hidden.shape[0]!
  const part = (x: Node, from: number, n = 1): Node => gates(x, size, from, n)
  // the biases of reset and update are added for all steps at once
  const early = parts.pad(part(weights.hiddenBias, 0, 2), 0, { as: times(3, size) })
  const late = part(weights.hiddenBias, 2)
  const all = projected('gru', xs, weights, u.add(weights.inputBias, early))
  const [ofGates, ofNew] = [part(weights.hidden, 0, 2), part(weights.hidden, 2)]
  const [outputs, [last]] = recurrent(
    'gru',
    xs,
    weights,
    [part(all, 0, 2), part(all, 2)],
    [options.initial],
    options,
    ([x, xn], [h]) => {
      const both = u.sigmoid(u.add(x!, product(h!, ofGates)))
      const [reset, update] = [part(both, 0), part(both, 1)]
      const made = u.tanh(u.add(xn!, u.mul(reset, u.add(product(h!, ofNew), late))))
      return [u.add(made, u.mul(update, u.sub(h!, made)))]
    },
  )
  return { outputs: typed(outputs), last: typed(last!) }
}

/**
 * A long short-term memory (Hochreiter and Schmidhuber 1997), in the form of PyTorch's `nn.LSTM`: c' = σ(f) c + σ(i)
 * tanh(g), h' = σ(o) tanh(c'), with the columns i, f, g and o of x W + b + h U + c. Sequences `[batch, time,
 * features]`, with any number of leading dims, or another axis of time, give h after every step, and the last h and c.
 * @throws {ShapeMismatch} if the features, the first state or the mask do not fit
 * @example const { outputs, last } = nn.lstm(batch.xs, p.lstm) // last.hidden, last.cell
 */
export const lstm = <S extends Shape, I extends Dim, H extends Dim, const A extends number = -2>(
  xs: Tensor<S>,
  p: Lstm<I, H> & MatMulError<S, readonly [I, H]>,
  options: RecurrentOptions<A, RecurrentSteps<S>, LstmState<RecurrentState<S, H, A>>> = {},
): RecurrentResult<RecurrentOutputs<S, H>, LstmState<RecurrentState<S, H, A>>> => {
  const weights: Weights = p
  const size = weights.hidden.shape[0]!
  const inputs = projected('lstm', xs, weights, u.add(weights.inputBias, weights.hiddenBias))
  const { initial } = options
  const [outputs, [hidden, cell]] = recurrent(
    'lstm',
    xs,
    weights,
    [inputs],
    [initial?.hidden, initial?.cell],
    options,
    ([x], [h, c]) => {
      const all = u.add(x!, product(h!, weights.hidden))
      const doors = u.sigmoid(gates(all, size, 0, 2))
      const made = u.mul(gates(doors, size, 0), u.tanh(gates(all, size, 2)))
      const next = u.add(u.mul(gates(doors, size, 1), c!), made)
      return [u.mul(u.sigmoid(gates(all, size, 3)), u.tanh(next)), next]
    },
  )
  return { outputs: typed(outputs), last: { hidden: typed(hidden!), cell: typed(cell!) } }
}
