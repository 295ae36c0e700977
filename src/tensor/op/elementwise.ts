import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { fitsByShape, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { broadcasting, hasCorner, isSmooth, noDims } from '../facets.ts'
import { elementwise } from '../numbers.ts'
import { broadcast, type Broadcast, type BroadcastError, type Ok, type Shape } from '../shape/index.ts'
import { count, type DType } from '../value.ts'
import { divided, power, truncated, wrapped } from './integer.ts'
import { constantOp } from './placeholder.ts'
import { sumTo } from './sum.ts'
import { typesFault } from './types.ts'

/**
 * Elementwise ops, each a row: its name, its meaning and its derivatives, with NumPy broadcasting. Operands have one
 * dtype. Reals are as in IEEE 754: a NaN stays one, in a maximum too. Integers wrap around at 32 bits; see `integer.ts`
 * for what a quotient and a power of them are.
 */

const none = {}
type None = typeof none
type Cotangents = (inputs: readonly Node[], y: Node, dy: Node) => readonly (Node | undefined)[]

type Scalar = (...x: number[]) => number
/**
 * The dtypes that an op takes beside float32, the one it gives if that is no dtype of its operands, and whether it has a
 * corner.
 */
interface Types {
  /** The meaning on integers, where it takes them. */
  readonly i32?: Scalar
  /** Whether it takes truth values. */
  readonly bool?: boolean
  readonly gives?: DType
  /** Operands before those of one dtype: conditions, which are truth values. */
  readonly conditions?: number
  /** True if it, or its derivative, jumps somewhere. */
  readonly corner?: boolean
}

const op = (
  name: string,
  f: Scalar,
  cotangents: Cotangents,
  { i32, bool = false, gives, conditions = 0, corner = false }: Types = {},
): Op<None> => ({
  name,
  shape: inputs =>
    pipe(
      typesFault(
        name,
        inputs,
        ['f32', ...(i32 ? ['i32' as const] : []), ...(bool ? ['bool' as const] : [])],
        conditions,
      ),
      E.chain(() =>
        inputs.slice(1).reduce<E.Either<string, Shape>>(
          (shape, input) =>
            pipe(
              shape,
              E.chain(s => broadcast(s, input.shape)),
            ),
          E.right(inputs[0]!.shape),
        ),
      ),
      E.map(shape => ({ shape, dtype: gives ?? inputs[conditions]!.dtype })),
    ),
  misfit: fitsByShape,
  eval: (inputs, _, { sizes, inputs: declared }) =>
    elementwise(sizes, inputs, declared[conditions]!.dtype === 'i32' ? (i32 ?? f) : f),
  // a broadcast operand was used many times: its cotangent is the sum
  vjp: (y, dy) => cotangents(y.inputs, y, dy).map((d, i) => d && sumTo(d, y.inputs[i]!.shape)),
  flops: (_, __, { sizes }) => count(sizes),
  kind: 'elementwise',
  along: broadcasting,
  dims: noDims,
  smooth: corner ? hasCorner : isSmooth,
  cheap: true,
})

const constant = (value: number, dtype: DType = 'f32'): Node => node(constantOp, [], { value, shape: [], dtype })
/** Untyped verbs, for rules that build expressions out of nodes. */
export const plus = (a: Node, b: Node): Node => node(addOp, [a, b], none)
export const minus = (a: Node, b: Node): Node => node(subOp, [a, b], none)
export const times = (a: Node, b: Node | number): Node =>
  node(mulOp, [a, typeof b === 'number' ? constant(b, a.dtype) : b], none)
export const over = (a: Node, b: Node): Node => node(divOp, [a, b], none)
export const negated = (a: Node): Node => node(negOp, [a], none)
export const chosen = (condition: Node, a: Node, b: Node): Node => node(selectOp, [condition, a, b], none)
export const equals = (a: Node, b: Node): Node => node(equalOp, [a, b], none)
export const converted = (x: Node, dtype: DType): Node => (x.dtype === dtype ? x : node(castOp, [x], { dtype }))
const apply = (o: Op<None>, x: Node): Node => node(o, [x], none)

// y = a + b                                             dy, dy
export const addOp = op(
  'add',
  (a, b) => a! + b!,
  (_, __, dy) => [dy, dy],
  { i32: (a, b) => wrapped(a! + b!) },
)
// y = a - b                                             dy, -dy
export const subOp = op(
  'sub',
  (a, b) => a! - b!,
  (_, __, dy) => [dy, negated(dy)],
  { i32: (a, b) => wrapped(a! - b!) },
)
// y = a b                                               dy b, dy a
export const mulOp = op(
  'mul',
  (a, b) => a! * b!,
  ([a, b], _, dy) => [times(dy, b!), times(dy, a!)],
  { i32: (a, b) => Math.imul(a!, b!) },
)
// y = a / b, cut off towards 0 where they are integers  dy / b, -dy y / b
export const divOp = op(
  'div',
  (a, b) => a! / b!,
  ([, b], y, dy) => [over(dy, b!), negated(over(times(dy, y), b!))],
  { i32: (a, b) => divided(a!, b!) },
)
// y = a ^ b, for a > 0                                  dy b y / a, dy y log a
// and 1 ^ b and (-1) ^ ±∞ are 1, as in IEEE 754
const realPower = (a: number, b: number): number => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b)
export const powOp = op(
  'pow',
  (a, b) => realPower(a!, b!),
  ([a, b], y, dy) => [over(times(times(dy, b!), y), a!), times(times(dy, y), apply(logOp, a!))],
  { i32: (a, b) => power(a!, b!) },
)
// the cotangent goes to the operand that was taken; to the first where they are equal
export const maximumOp = op(
  'maximum',
  (a, b) => Math.max(a!, b!),
  ([a], y, dy) => {
    const first = equals(y, a!)
    const zero = constant(0)
    return [chosen(first, dy, zero), chosen(first, zero, dy)]
  },
  { i32: (a, b) => Math.max(a!, b!), corner: true },
)
export const minimumOp = op(
  'minimum',
  (a, b) => Math.min(a!, b!),
  ([a], y, dy) => {
    const first = equals(y, a!)
    const zero = constant(0)
    return [chosen(first, dy, zero), chosen(first, zero, dy)]
  },
  { i32: (a, b) => Math.min(a!, b!), corner: true },
)

// comparisons with a NaN are false
const comparison = (name: string, holds: (a: number, b: number) => boolean, bool = false): Op<None> =>
  op(
    name,
    (a, b) => Number(holds(a!, b!)),
    () => [],
    { i32: (a, b) => Number(holds(a!, b!)), bool, gives: 'bool', corner: true },
  )
export const equalOp = comparison('equal', (a, b) => a === b, true)
export const lessOp = comparison('less', (a, b) => a < b)
export const lessEqualOp = comparison('lessEqual', (a, b) => a <= b)
// y = a where the condition holds, else b
export const selectOp = op(
  'select',
  (c, a, b) => (c! ? a! : b!),
  ([c], _, dy) => [undefined, chosen(c!, dy, constant(0)), chosen(c!, constant(0), dy)],
  { i32: (c, a, b) => (c! ? a! : b!), bool: true, conditions: 1 },
)

// y = -x                                                -dy
export const negOp = op(
  'neg',
  x => -x!,
  (_, __, dy) => [negated(dy)],
  { i32: x => wrapped(-x!) },
)
// y = exp x                                             dy y
export const expOp = op('exp', Math.exp, (_, y, dy) => [times(dy, y)])
// y = log x                                             dy / x
export const logOp = op('log', Math.log, ([x], _, dy) => [over(dy, x!)])
// y = √x                                                dy / 2y
export const sqrtOp = op('sqrt', Math.sqrt, (_, y, dy) => [over(times(dy, 0.5), y)])
// y = 1 / √x                                            -dy y³ / 2
export const rsqrtOp = op(
  'rsqrt',
  x => 1 / Math.sqrt(x!),
  (_, y, dy) => [times(times(dy, times(y, times(y, y))), -0.5)],
)
// y = tanh x                                            dy (1 - y²)
export const tanhOp = op('tanh', Math.tanh, (_, y, dy) => [times(dy, minus(constant(1), times(y, y)))])
// y = 1 / (1 + exp -x)                                  dy y (1 - y)
export const sigmoidOp = op(
  'sigmoid',
  x => 1 / (1 + Math.exp(-x!)),
  (_, y, dy) => [times(dy, times(y, minus(constant(1), y)))],
)
// y = |x|                                               dy sign x
export const absOp = op('abs', Math.abs, ([x], _, dy) => [times(dy, apply(signOp, x!))], {
  i32: x => wrapped(Math.abs(x!)),
  corner: true,
})
export const signOp = op('sign', Math.sign, () => [], { i32: Math.sign, corner: true })
// y = sin x                                             dy cos x
export const sinOp = op('sin', Math.sin, ([x], _, dy) => [times(dy, apply(cosOp, x!))])
// y = cos x                                             -dy sin x
export const cosOp = op('cos', Math.cos, ([x], _, dy) => [negated(times(dy, apply(sinOp, x!)))])
// y = erf x                                             dy 2/√π exp -x²
export const erfOp = op(
  'erf',
  x => erfOfNumber(x!),
  ([x], _, dy) => [times(times(dy, 2 / Math.sqrt(Math.PI)), apply(expOp, negated(times(x!, x!))))],
)
// y = x, and nothing flows back
export const stopGradientOp = op(
  'stopGradient',
  x => x!,
  () => [],
  { i32: x => x!, bool: true },
)

/**
 * Another dtype: a real becomes the integer that is left when it is cut off towards 0, see `truncated`; `bool` is 0 or
 * 1, and a NaN is 1.
 */
export const castOp: Op<{ readonly dtype: DType }> = {
  name: 'cast',
  shape: ([x], { dtype }) =>
    pipe(
      typesFault('cast', [x!], ['f32', 'i32', 'bool']),
      E.chain(() =>
        dtype === 'f32' || dtype === 'i32' || dtype === 'bool'
          ? E.right({ shape: x!.shape, dtype })
          : E.left(`cast: gives f32, i32 or bool, not ${dtype}`),
      ),
    ),
  misfit: fitsByShape,
  eval: ([x], { dtype }, { sizes }) =>
    elementwise(sizes, [x!], v => (dtype === 'i32' ? truncated(v!) : dtype === 'bool' ? Number(v !== 0) : v!)),
  vjp: ({ inputs: [x], dtype }, dy) => [x!.dtype === 'f32' && dtype === 'f32' ? dy : undefined],
  flops: () => 0,
  kind: 'elementwise',
  along: broadcasting,
  dims: noDims,
  // what is cut off jumps
  smooth: ({ dtype }) => dtype === 'f32',
  cheap: true,
}

/** The error function to about 1e-15: its Taylor series near 0, its continued fraction in the tails. */
const erfOfNumber = (x: number): number => {
  const a = Math.abs(x)
  if (a < 2.5) {
    let term = a
    let sum = a
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-a * a) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * sum * 2) / Math.sqrt(Math.PI)
  }
  let fraction = 0
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction)
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction))
}

/** An elementwise function of a float32 tensor; the shape is unchanged. */
export type Unary = <S extends Shape>(x: Tensor<S>) => Tensor<S>
const unary =
  (o: Op<None>): Unary =>
  x =>
    typed(apply(o, x))
/** −x, elementwise. @example neg(x) */
export const neg = unary(negOp)
/** eˣ, elementwise. @example exp(logits) */
export const exp = unary(expOp)
/** The natural logarithm, elementwise; −∞ at 0, NaN below. @example log(probabilities) */
export const log = unary(logOp)
/** The square root, elementwise; NaN below 0. @example sqrt(mean(square(x), [-1])) */
export const sqrt = unary(sqrtOp)
/** 1/√x, elementwise. @example mul(x, rsqrt(variance)) */
export const rsqrt = unary(rsqrtOp)
/** The hyperbolic tangent, elementwise. @example tanh(matmul(x, w)) */
export const tanh = unary(tanhOp)
/** 1/(1 + e⁻ˣ), elementwise. @example mul(x, sigmoid(gate)) */
export const sigmoid = unary(sigmoidOp)
/** |x|, elementwise. @example mean(abs(sub(a, b))) */
export const abs = unary(absOp)
/** −1, 0 or 1, elementwise; no gradient flows through it. @example mul(sign(gradient), -1e-3) */
export const sign = unary(signOp)
/** The sine of an angle in radians, elementwise. @example sin(mul(range('seq'), frequency)) */
export const sin = unary(sinOp)
/** The cosine of an angle in radians, elementwise. @example cos(mul(range('seq'), frequency)) */
export const cos = unary(cosOp)
/** The error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise. @example erf(x) */
export const erf = unary(erfOp)
/** The same value, without a gradient. @example sub(logits, stopGradient(max(logits, [-1], true))) */
export const stopGradient = unary(stopGradientOp)
/** x², elementwise. @example mean(square(sub(a, b))) */
export const square: Unary = x => typed(times(x, x))
/** max(0, x), elementwise; its derivative at 0 is 0. @example relu(matmul(x, w)) */
export const relu: Unary = x => typed(node(maximumOp, [constant(0), x], none))

/** An elementwise function of two tensors with the same dtype, broadcast from the right; the second may be a number. */
// the overload whose argument carries the error stands last: its text is the one that `tsc` prints
export interface Binary<D extends DType | 'same'> {
  <S extends Shape>(a: Tensor<S>, b: number): Tensor<S, D extends DType ? D : 'f32'>
  <S extends Shape, E extends DType>(a: Tensor<S, E>, b: Tensor<readonly [], E>): Tensor<S, D extends DType ? D : E>
  <S extends Shape, E extends DType>(a: Tensor<S, E>, b: Tensor<S, E>): Tensor<S, D extends DType ? D : E>
  <A extends Shape, B extends Shape, E extends DType>(
    a: Tensor<A, E>,
    b: Tensor<B, E> & BroadcastError<A, B>,
  ): Tensor<Ok<Broadcast<A, B>>, D extends DType ? D : E>
}
const binary =
  <D extends DType | 'same'>(o: Op<None>): Binary<D> =>
  (a: Node, b: Node | number): never =>
    node(o, [a, typeof b === 'number' ? constant(b, a.dtype === 'i32' ? 'i32' : 'f32') : b], none) as never
/** a + b, broadcast from the right; `b` may be a number. Integers wrap around at 32 bits. @example add(x, bias) */
export const add = binary<'same'>(addOp)
/** a − b, broadcast from the right; integers wrap around at 32 bits. @example sub(x, mean(x, [-1], true)) */
export const sub = binary<'same'>(subOp)
/** a b, broadcast from the right; integers wrap around at 32 bits. @example mul(x, 0.5) */
export const mul = binary<'same'>(mulOp)
/**
 * a/b, broadcast from the right. A quotient of integers is truncated towards 0; division by 0 gives −1.
 * @example div(x, size('batch'))
 */
export const div = binary<'same'>(divOp)
/**
 * aᵇ, broadcast from the right. A power of integers with a negative exponent is truncated towards 0.
 * @example pow(scalar(0.9), step)
 */
export const pow = binary<'same'>(powOp)
/** The larger of a and b, broadcast from the right. @example maximum(x, 0) */
export const maximum = binary<'same'>(maximumOp)
/** The smaller of a and b, broadcast from the right. @example minimum(x, 1) */
export const minimum = binary<'same'>(minimumOp)
/** a = b, broadcast from the right, as a `bool` tensor. @example equal(labels, iota('classes')) */
export const equal = binary<'bool'>(equalOp)
/** a < b, broadcast from the right, as a `bool` tensor. @example less(iota('seq'), length) */
export const less = binary<'bool'>(lessOp)
/** a ≤ b, broadcast from the right, as a `bool` tensor. @example lessEqual(x, 0) */
export const lessEqual = binary<'bool'>(lessEqualOp)

/** `a` where the condition holds, else `b`; a number stands for a scalar. @example select(mask, scores, -1e9) */
export const select = <S extends Shape>(
  condition: Tensor<S, 'bool'>,
  a: Tensor<S> | number,
  b: Tensor<S> | number,
): Tensor<S> =>
  typed(chosen(condition, typeof a === 'number' ? constant(a) : a, typeof b === 'number' ? constant(b) : b))

/** Another dtype. @example cast(mask, 'f32') */
export const cast = <S extends Shape, F extends DType, D extends DType>(x: Tensor<S, F>, dtype: D): Tensor<S, D> =>
  typed(converted(x, dtype))
