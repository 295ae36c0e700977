import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, type Node, type Op } from '../node.ts'
import { inF32, savesBoth, savesNothing, savesOperand, savesOperands, savesOther, savesResult } from '../autograd.ts'
import { broadcasting, noDims } from '../facets.ts'
import { elementwise, erfOfNumber } from '../numbers.ts'
import type { DType } from '../value.ts'
import { elementwiseOp as op, flat } from './elementwise-op.ts'
import { divided, power, truncated, wrapped } from './integer.ts'
import { typesFault } from './types.ts'
import { verbsOf, type Elementwise } from './verb.ts'

/**
 * Elementwise ops, one per row: name, meaning and derivatives, with NumPy broadcasting. All operands have the same
 * dtype. Reals follow IEEE 754, and a maximum propagates NaN too. Integers wrap around at 32 bits; `integer.ts` defines
 * their quotient and power.
 */

// y = a + b                                             dy, dy
export const addOp: Elementwise<2> = op(
  'add',
  (a, b) => a! + b!,
  (_, __, dy) => [dy, dy],
  { i32: (a, b) => wrapped(a! + b!), autograd: savesNothing },
)
// y = a - b                                             dy, -dy
export const subOp: Elementwise<2> = op(
  'sub',
  (a, b) => a! - b!,
  (_, __, dy) => [dy, pointwise.neg(dy)],
  { i32: (a, b) => wrapped(a! - b!), autograd: savesNothing },
)
// y = a b                                               dy b, dy a
export const mulOp: Elementwise<2> = op(
  'mul',
  (a, b) => a! * b!,
  ([a, b], _, dy) => [pointwise.mul(dy, b!), pointwise.mul(dy, a!)],
  { i32: (a, b) => Math.imul(a!, b!), autograd: savesOther },
)
// y = a / b, cut off towards 0 where they are integers  dy / b, -dy y / b
export const divOp: Elementwise<2> = op(
  'div',
  (a, b) => a! / b!,
  ([, b], y, dy) => [pointwise.div(dy, b!), pointwise.neg(pointwise.div(pointwise.mul(dy, y), b!))],
  {
    i32: (a, b) => divided(a!, b!),
    autograd: { saves: (_, [, b]) => (b ? [{ operand: 0 }, { operand: 1 }] : [{ operand: 1 }]) },
  },
)
// y = a ^ b                                             dy b a ^ (b - 1), dy y log a
// 1 ^ b and (-1) ^ ±∞ are 1, as in IEEE 754; of 0 ^ b, the limits of the derivatives are meant
const realPower = (a: number, b: number): number => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b)
const powOp: Elementwise<2> = op(
  'pow',
  (a, b) => realPower(a!, b!),
  ([a, b], y, dy) => {
    const { and, equal, greaterEqual, log, mul, pow, select, sub } = pointwise
    return [
      select(equal(b!, 0), 0, mul(dy, mul(b!, pow(a!, sub(b!, 1))))),
      select(and(equal(a!, 0), greaterEqual(b!, 0)), 0, mul(dy, mul(y, log(a!)))),
    ]
  },
  { i32: (a, b) => power(a!, b!), autograd: savesBoth },
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

// comparisons with a NaN are false, so a NaN differs from everything
const comparison = (name: string, holds: (a: number, b: number) => boolean, bool = false): Elementwise<2> =>
  op(name, (a, b) => Number(holds(a!, b!)), flat, {
    i32: (a, b) => Number(holds(a!, b!)),
    bool,
    gives: 'bool',
    corner: true,
  })
const equalOp: Elementwise<2> = comparison('equal', (a, b) => a === b, true)
const notEqualOp: Elementwise<2> = comparison('notEqual', (a, b) => a !== b, true)
const lessOp: Elementwise<2> = comparison('less', (a, b) => a < b)
const lessEqualOp: Elementwise<2> = comparison('lessEqual', (a, b) => a <= b)
const greaterOp: Elementwise<2> = comparison('greater', (a, b) => a > b)
const greaterEqualOp: Elementwise<2> = comparison('greaterEqual', (a, b) => a >= b)
// truth values
const logical = (name: string, holds: (a: number, b: number) => number): Elementwise<2> =>
  op(name, (a, b) => holds(a!, b!), flat, { bool: 'only' })
const andOp: Elementwise<2> = logical('and', (a, b) => a & b)
const orOp: Elementwise<2> = logical('or', (a, b) => a | b)
const notOp: Elementwise<1> = op('not', x => 1 - x!, flat, { bool: 'only' })
// y = a where the condition holds, else b
const selectOp: Elementwise<3> = op(
  'select',
  (c, a, b) => (c! ? a! : b!),
  ([c], _, dy) => [undefined, pointwise.select(c!, dy, 0), pointwise.select(c!, 0, dy)],
  { i32: (c, a, b) => (c! ? a! : b!), bool: true, conditions: 1, autograd: savesOperand(0) },
)

// y = -x                                                -dy
export const negOp: Elementwise<1> = op(
  'neg',
  x => -x!,
  (_, __, dy) => [pointwise.neg(dy)],
  { i32: x => wrapped(-x!), autograd: savesNothing },
)
// y = exp x                                             dy y
const expOp: Elementwise<1> = op('exp', Math.exp, (_, y, dy) => [pointwise.mul(dy, y)], {
  autograd: inF32(savesResult),
})
// y = log x                                             dy / x
const logOp: Elementwise<1> = op('log', Math.log, ([x], _, dy) => [pointwise.div(dy, x!)], {
  autograd: inF32(savesOperands),
})
// y = √x                                                dy / 2y
const sqrtOp: Elementwise<1> = op('sqrt', Math.sqrt, (_, y, dy) => [pointwise.div(pointwise.mul(dy, 0.5), y)], {
  autograd: savesResult,
})
// y = 1 / √x                                            -dy y³ / 2
const rsqrtOp: Elementwise<1> = op(
  'rsqrt',
  x => 1 / Math.sqrt(x!),
  (_, y, dy) => [pointwise.mul(pointwise.mul(dy, pointwise.mul(y, pointwise.mul(y, y))), -0.5)],
  { autograd: inF32(savesResult) },
)
// y = tanh x                                            dy (1 - y²)
const tanhOp: Elementwise<1> = op(
  'tanh',
  Math.tanh,
  (_, y, dy) => [pointwise.mul(dy, pointwise.sub(1, pointwise.mul(y, y)))],
  { autograd: savesResult },
)
// y = 1 / (1 + exp -x)                                  dy y (1 - y)
const sigmoidOp: Elementwise<1> = op(
  'sigmoid',
  x => 1 / (1 + Math.exp(-x!)),
  (_, y, dy) => [pointwise.mul(dy, pointwise.mul(y, pointwise.sub(1, y)))],
  { autograd: savesResult },
)
// y = |x|                                               dy sign x
const absOp: Elementwise<1> = op('abs', Math.abs, ([x], _, dy) => [pointwise.mul(dy, pointwise.sign(x!))], {
  i32: x => wrapped(Math.abs(x!)),
  corner: true,
})
const signOp: Elementwise<1> = op('sign', Math.sign, flat, { i32: Math.sign, corner: true })
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
export const stopGradientOp: Elementwise<1> = op('stopGradient', x => x!, flat, { i32: x => x!, bool: true })

/**
 * Conversion to another dtype: a real becomes an integer by truncation towards 0, see `truncated`; `bool` is 0 or 1,
 * and NaN becomes 1.
 */
export const castOp: Op<{ readonly dtype: DType }> = {
  name: 'cast',
  shape: ([x], { dtype }) =>
    pipe(
      typesFault('cast', [x!], ['f32', 'i32', 'bool']),
      E.flatMap(() =>
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
  autograd: savesNothing,
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
  notEqual: notEqualOp,
  less: lessOp,
  lessEqual: lessEqualOp,
  greater: greaterOp,
  greaterEqual: greaterEqualOp,
  and: andOp,
  or: orOp,
  not: notOp,
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
