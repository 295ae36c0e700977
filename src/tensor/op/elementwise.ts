import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { fitsByShape, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { broadcasting, hasCorner, isSmooth, noDims } from '../facets.ts'
import { elementwise, erfOfNumber } from '../numbers.ts'
import { broadcast, type Broadcast, type BroadcastError, type Ok, type Shape } from '../shape/index.ts'
import { count, type DType } from '../value.ts'
import { divided, power, truncated, wrapped } from './integer.ts'
import { sumTo } from './sum.ts'
import { typesFault } from './types.ts'
import { verbsOf, type Arity, type Elementwise, type VerbOf } from './verb.ts'

/**
 * Elementwise ops, one per row: name, meaning and derivatives, with NumPy broadcasting. All operands have the same
 * dtype. Reals follow IEEE 754, and a maximum propagates NaN too. Integers wrap around at 32 bits; `integer.ts` defines
 * their quotient and power.
 */

type Cotangents = (inputs: readonly Node[], y: Node, dy: Node) => readonly (Node | undefined)[]

type Scalar = (...x: number[]) => number
/**
 * The dtypes that an op accepts in addition to float32, the dtype of its result if it differs from that of the
 * operands, and whether it has a corner.
 */
interface Types {
  /** The meaning for integers, if the op accepts them. */
  readonly i32?: Scalar
  /** True if the op accepts truth values. */
  readonly bool?: boolean
  readonly gives?: DType
  /** The number of leading operands that are conditions, which are truth values. */
  readonly conditions?: number
  /** True if the op or its derivative has a jump. */
  readonly corner?: boolean
}

const op = <N extends Arity>(
  name: string,
  f: Scalar,
  cotangents: Cotangents,
  { i32, bool = false, gives, conditions = 0, corner = false }: Types = {},
): Elementwise<N> => ({
  name,
  // the annotation of each op below agrees with its meaning
  arity: f.length as N,
  shape: inputs =>
    pipe(
      inputs.length === f.length
        ? E.right(undefined)
        : E.left(`${name}: takes ${f.length} operands, not ${inputs.length}`),
      E.chain(() =>
        typesFault(
          name,
          inputs,
          ['f32', ...(i32 ? ['i32' as const] : []), ...(bool ? ['bool' as const] : [])],
          conditions,
        ),
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
  // a broadcast operand is used several times, so its cotangent is the sum
  vjp: (y, dy) => cotangents(y.inputs, y, dy).map((d, i) => d && sumTo(d, y.inputs[i]!.shape)),
  flops: (_, __, { sizes }) => count(sizes),
  kind: 'elementwise',
  along: broadcasting,
  dims: noDims,
  smooth: corner ? hasCorner : isSmooth,
  cheap: true,
})

// y = a + b                                             dy, dy
export const addOp: Elementwise<2> = op(
  'add',
  (a, b) => a! + b!,
  (_, __, dy) => [dy, dy],
  { i32: (a, b) => wrapped(a! + b!) },
)
// y = a - b                                             dy, -dy
export const subOp: Elementwise<2> = op(
  'sub',
  (a, b) => a! - b!,
  (_, __, dy) => [dy, pointwise.neg(dy)],
  { i32: (a, b) => wrapped(a! - b!) },
)
// y = a b                                               dy b, dy a
export const mulOp: Elementwise<2> = op(
  'mul',
  (a, b) => a! * b!,
  ([a, b], _, dy) => [pointwise.mul(dy, b!), pointwise.mul(dy, a!)],
  { i32: (a, b) => Math.imul(a!, b!) },
)
// y = a / b, cut off towards 0 where they are integers  dy / b, -dy y / b
export const divOp: Elementwise<2> = op(
  'div',
  (a, b) => a! / b!,
  ([, b], y, dy) => [pointwise.div(dy, b!), pointwise.neg(pointwise.div(pointwise.mul(dy, y), b!))],
  { i32: (a, b) => divided(a!, b!) },
)
// y = a ^ b, for a > 0                                  dy b y / a, dy y log a
// and 1 ^ b and (-1) ^ ±∞ are 1, as in IEEE 754
const realPower = (a: number, b: number): number => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b)
const powOp: Elementwise<2> = op(
  'pow',
  (a, b) => realPower(a!, b!),
  ([a, b], y, dy) => [
    pointwise.div(pointwise.mul(pointwise.mul(dy, b!), y), a!),
    pointwise.mul(pointwise.mul(dy, y), pointwise.log(a!)),
  ],
  { i32: (a, b) => power(a!, b!) },
)
// the cotangent goes to the operand that is the result; to the first if both are equal
const maximumOp: Elementwise<2> = op(
  'maximum',
  (a, b) => Math.max(a!, b!),
  ([a], y, dy) => {
    const first = pointwise.equal(y, a!)
    return [pointwise.select(first, dy, 0), pointwise.select(first, 0, dy)]
  },
  { i32: (a, b) => Math.max(a!, b!), corner: true },
)
const minimumOp: Elementwise<2> = op(
  'minimum',
  (a, b) => Math.min(a!, b!),
  ([a], y, dy) => {
    const first = pointwise.equal(y, a!)
    return [pointwise.select(first, dy, 0), pointwise.select(first, 0, dy)]
  },
  { i32: (a, b) => Math.min(a!, b!), corner: true },
)

// comparisons with a NaN are false
const comparison = (name: string, holds: (a: number, b: number) => boolean, bool = false): Elementwise<2> =>
  op(
    name,
    (a, b) => Number(holds(a!, b!)),
    () => [],
    { i32: (a, b) => Number(holds(a!, b!)), bool, gives: 'bool', corner: true },
  )
const equalOp: Elementwise<2> = comparison('equal', (a, b) => a === b, true)
const lessOp: Elementwise<2> = comparison('less', (a, b) => a < b)
const lessEqualOp: Elementwise<2> = comparison('lessEqual', (a, b) => a <= b)
// y = a where the condition holds, else b
const selectOp: Elementwise<3> = op(
  'select',
  (c, a, b) => (c! ? a! : b!),
  ([c], _, dy) => [undefined, pointwise.select(c!, dy, 0), pointwise.select(c!, 0, dy)],
  { i32: (c, a, b) => (c! ? a! : b!), bool: true, conditions: 1 },
)

// y = -x                                                -dy
export const negOp: Elementwise<1> = op(
  'neg',
  x => -x!,
  (_, __, dy) => [pointwise.neg(dy)],
  { i32: x => wrapped(-x!) },
)
// y = exp x                                             dy y
const expOp: Elementwise<1> = op('exp', Math.exp, (_, y, dy) => [pointwise.mul(dy, y)])
// y = log x                                             dy / x
const logOp: Elementwise<1> = op('log', Math.log, ([x], _, dy) => [pointwise.div(dy, x!)])
// y = √x                                                dy / 2y
const sqrtOp: Elementwise<1> = op('sqrt', Math.sqrt, (_, y, dy) => [pointwise.div(pointwise.mul(dy, 0.5), y)])
// y = 1 / √x                                            -dy y³ / 2
const rsqrtOp: Elementwise<1> = op(
  'rsqrt',
  x => 1 / Math.sqrt(x!),
  (_, y, dy) => [pointwise.mul(pointwise.mul(dy, pointwise.mul(y, pointwise.mul(y, y))), -0.5)],
)
// y = tanh x                                            dy (1 - y²)
const tanhOp: Elementwise<1> = op('tanh', Math.tanh, (_, y, dy) => [
  pointwise.mul(dy, pointwise.sub(1, pointwise.mul(y, y))),
])
// y = 1 / (1 + exp -x)                                  dy y (1 - y)
const sigmoidOp: Elementwise<1> = op(
  'sigmoid',
  x => 1 / (1 + Math.exp(-x!)),
  (_, y, dy) => [pointwise.mul(dy, pointwise.mul(y, pointwise.sub(1, y)))],
)
// y = |x|                                               dy sign x
const absOp: Elementwise<1> = op('abs', Math.abs, ([x], _, dy) => [pointwise.mul(dy, pointwise.sign(x!))], {
  i32: x => wrapped(Math.abs(x!)),
  corner: true,
})
const signOp: Elementwise<1> = op('sign', Math.sign, () => [], { i32: Math.sign, corner: true })
// y = sin x                                             dy cos x
const sinOp: Elementwise<1> = op('sin', Math.sin, ([x], _, dy) => [pointwise.mul(dy, pointwise.cos(x!))])
// y = cos x                                             -dy sin x
const cosOp: Elementwise<1> = op('cos', Math.cos, ([x], _, dy) => [pointwise.neg(pointwise.mul(dy, pointwise.sin(x!)))])
// y = erf x                                             dy 2/√π exp -x²
const erfOp: Elementwise<1> = op(
  'erf',
  x => erfOfNumber(x!),
  ([x], _, dy) => [
    pointwise.mul(pointwise.mul(dy, 2 / Math.sqrt(Math.PI)), pointwise.exp(pointwise.neg(pointwise.mul(x!, x!)))),
  ],
)
// y = x, and nothing flows back
export const stopGradientOp: Elementwise<1> = op(
  'stopGradient',
  x => x!,
  () => [],
  { i32: x => x!, bool: true },
)

/**
 * Conversion to another dtype: a real becomes an integer by truncation towards 0, see `truncated`; `bool` is 0 or 1,
 * and NaN becomes 1.
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
  // truncation has jumps
  smooth: ({ dtype }) => dtype === 'f32',
  cheap: true,
}

/** The elementwise ops whose operands all have the same dtype, by name. */
export const elementwiseOps = {
  add: addOp,
  sub: subOp,
  mul: mulOp,
  div: divOp,
  pow: powOp,
  maximum: maximumOp,
  minimum: minimumOp,
  equal: equalOp,
  less: lessOp,
  lessEqual: lessEqualOp,
  select: selectOp,
  neg: negOp,
  exp: expOp,
  log: logOp,
  sqrt: sqrtOp,
  rsqrt: rsqrtOp,
  tanh: tanhOp,
  sigmoid: sigmoidOp,
  abs: absOp,
  sign: signOp,
  sin: sinOp,
  cos: cosOp,
  erf: erfOp,
  stopGradient: stopGradientOp,
} as const

/** The untyped verbs of elementwise ops. */
export const pointwise = {
  ...verbsOf(elementwiseOps),
  /** Conversion to another dtype; the node itself if it has that dtype. */
  cast: (x: Node, dtype: DType): Node => (x.dtype === dtype ? x : node(castOp, [x], { dtype })),
}

/** An elementwise function of a float32 tensor; the shape is unchanged. */
export type Unary = <S extends Shape>(x: Tensor<S>) => Tensor<S>
const unary =
  (verb: VerbOf[1]): Unary =>
  x =>
    typed(verb(x))
/** −x, elementwise. @example neg(x) */
export const neg = unary(pointwise.neg)
/** eˣ, elementwise. @example exp(logits) */
export const exp = unary(pointwise.exp)
/** The natural logarithm, elementwise; −∞ at 0, NaN below. @example log(probabilities) */
export const log = unary(pointwise.log)
/** The square root, elementwise; NaN below 0. @example sqrt(mean(square(x), [-1])) */
export const sqrt = unary(pointwise.sqrt)
/** 1/√x, elementwise. @example mul(x, rsqrt(variance)) */
export const rsqrt = unary(pointwise.rsqrt)
/** The hyperbolic tangent, elementwise. @example tanh(matmul(x, w)) */
export const tanh = unary(pointwise.tanh)
/** 1/(1 + e⁻ˣ), elementwise. @example mul(x, sigmoid(gate)) */
export const sigmoid = unary(pointwise.sigmoid)
/** |x|, elementwise. @example mean(abs(sub(a, b))) */
export const abs = unary(pointwise.abs)
/** −1, 0 or 1, elementwise; no gradient flows through it. @example mul(sign(gradient), -1e-3) */
export const sign = unary(pointwise.sign)
/** The sine of an angle in radians, elementwise. @example sin(mul(range('seq'), frequency)) */
export const sin = unary(pointwise.sin)
/** The cosine of an angle in radians, elementwise. @example cos(mul(range('seq'), frequency)) */
export const cos = unary(pointwise.cos)
/** The error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise. @example erf(x) */
export const erf = unary(pointwise.erf)
/** The same value, without a gradient. @example sub(logits, stopGradient(max(logits, [-1], true))) */
export const stopGradient = unary(pointwise.stopGradient)
/** x², elementwise. @example mean(square(sub(a, b))) */
export const square: Unary = x => typed(pointwise.mul(x, x))
/** max(0, x), elementwise; its derivative at 0 is 0. @example relu(matmul(x, w)) */
export const relu: Unary = x => typed(pointwise.maximum(0, x))

/** An elementwise function of two tensors with the same dtype, broadcast from the right; the second may be a number. */
// the overload whose argument carries the error is last, because `tsc` prints its text
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
  <D extends DType | 'same'>(verb: VerbOf[2]): Binary<D> =>
  (a: Node, b: Node | number): never =>
    verb(a, b) as never
/** a + b, broadcast from the right; `b` may be a number. Integers wrap around at 32 bits. @example add(x, bias) */
export const add = binary<'same'>(pointwise.add)
/** a − b, broadcast from the right; integers wrap around at 32 bits. @example sub(x, mean(x, [-1], true)) */
export const sub = binary<'same'>(pointwise.sub)
/** a b, broadcast from the right; integers wrap around at 32 bits. @example mul(x, 0.5) */
export const mul = binary<'same'>(pointwise.mul)
/**
 * a/b, broadcast from the right. A quotient of integers is truncated towards 0; division by 0 gives −1.
 * @example div(x, size('batch'))
 */
export const div = binary<'same'>(pointwise.div)
/**
 * aᵇ, broadcast from the right. A power of integers with a negative exponent is truncated towards 0.
 * @example pow(scalar(0.9), step)
 */
export const pow = binary<'same'>(pointwise.pow)
/** The larger of a and b, broadcast from the right. @example maximum(x, 0) */
export const maximum = binary<'same'>(pointwise.maximum)
/** The smaller of a and b, broadcast from the right. @example minimum(x, 1) */
export const minimum = binary<'same'>(pointwise.minimum)
/** a = b, broadcast from the right, as a `bool` tensor. @example equal(labels, iota('classes')) */
export const equal = binary<'bool'>(pointwise.equal)
/** a < b, broadcast from the right, as a `bool` tensor. @example less(iota('seq'), length) */
export const less = binary<'bool'>(pointwise.less)
/** a ≤ b, broadcast from the right, as a `bool` tensor. @example lessEqual(x, 0) */
export const lessEqual = binary<'bool'>(pointwise.lessEqual)

/** `a` if the condition holds, otherwise `b`; a number counts as a scalar. @example select(mask, scores, -1e9) */
export const select = <S extends Shape>(
  condition: Tensor<S, 'bool'>,
  a: Tensor<S> | number,
  b: Tensor<S> | number,
): Tensor<S> => typed(pointwise.select(condition, a, b))

/** Another dtype. @example cast(mask, 'f32') */
export const cast = <S extends Shape, F extends DType, D extends DType>(x: Tensor<S, F>, dtype: D): Tensor<S, D> =>
  typed(pointwise.cast(x, dtype))
