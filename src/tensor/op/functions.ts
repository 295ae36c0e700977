import type { Node } from '../node.ts'
import { inF32, savesResult } from '../autograd.ts'
import { halfToEven } from '../numbers.ts'
import { elementwiseOp as op, flat } from './elementwise-op.ts'
import { pointwise } from './elementwise.ts'
import { modulo } from './integer.ts'
import { verbsOf, type Elementwise } from './verb.ts'

/**
 * Further elementwise ops, one per row: functions that targets compute more precisely than an expression of other ops
 * would, and rounding.
 */

const { add, div, exp, mul, neg, rsqrt, sub } = pointwise

/** The cotangents of a function of one number, from its derivative. */
const slope =
  (derivative: (x: Node, y: Node) => Node) =>
  ([x]: readonly Node[], y: Node, dy: Node): readonly Node[] => [mul(dy, derivative(x!, y))]
/** 1 − x², which is precise near its zeros. */
const oneMinusSquare = (x: Node): Node => mul(sub(1, x), add(1, x))
const onePlusSquare = (x: Node): Node => add(1, mul(x, x))

// rounding: constant between its jumps
const floorOp: Elementwise<1> = op('floor', Math.floor, flat, { corner: true })
const roundOp: Elementwise<1> = op('round', x => halfToEven(x!), flat, { corner: true })

// y = tan x                                             dy (1 + y²)
const tanOp: Elementwise<1> = op(
  'tan',
  Math.tan,
  slope((_, y) => onePlusSquare(y)),
  { autograd: inF32(savesResult) },
)
// y = arcsin x                                          dy / √(1 - x²)
const asinOp: Elementwise<1> = op(
  'asin',
  Math.asin,
  slope(x => rsqrt(oneMinusSquare(x))),
)
// y = arccos x                                          -dy / √(1 - x²)
const acosOp: Elementwise<1> = op(
  'acos',
  Math.acos,
  slope(x => neg(rsqrt(oneMinusSquare(x)))),
)
// y = arctan x                                          dy / (1 + x²)
const atanOp: Elementwise<1> = op(
  'atan',
  Math.atan,
  slope(x => div(1, onePlusSquare(x))),
)
// y = sinh x                                            dy cosh x
const sinhOp: Elementwise<1> = op(
  'sinh',
  Math.sinh,
  slope(x => functions.cosh(x)),
)
// y = cosh x                                            dy sinh x
const coshOp: Elementwise<1> = op(
  'cosh',
  Math.cosh,
  slope(x => functions.sinh(x)),
)
// y = arsinh x                                          dy / √(1 + x²)
const asinhOp: Elementwise<1> = op(
  'asinh',
  Math.asinh,
  slope(x => rsqrt(onePlusSquare(x))),
)
// y = arcosh x                                          dy / √(x² - 1)
const acoshOp: Elementwise<1> = op(
  'acosh',
  Math.acosh,
  slope(x => rsqrt(mul(sub(x, 1), add(x, 1)))),
)
// y = artanh x                                          dy / (1 - x²)
const atanhOp: Elementwise<1> = op(
  'atanh',
  Math.atanh,
  slope(x => div(1, oneMinusSquare(x))),
)
// y = log(1 + x)                                        dy / (1 + x)
const log1pOp: Elementwise<1> = op(
  'log1p',
  Math.log1p,
  slope(x => div(1, add(1, x))),
)
// y = exp x - 1                                         dy exp x
const expm1Op: Elementwise<1> = op(
  'expm1',
  Math.expm1,
  slope(x => exp(x)),
  { autograd: inF32(savesResult) },
)
// z = the angle of (x, y)                               dz x / (x² + y²), -dz y / (x² + y²)
const atan2Op: Elementwise<2> = op(
  'atan2',
  (y, x) => Math.atan2(y!, x!),
  ([y, x], _, dz) => {
    const part = div(dz, add(mul(x!, x!), mul(y!, y!)))
    return [mul(part, x!), neg(mul(part, y!))]
  },
)
// y = a - b ⌊a / b⌋, computed exactly                   dy, -dy ⌊a / b⌋
const remainderOp: Elementwise<2> = op(
  'remainder',
  (a, b) => modulo(a!, b!),
  ([a, b], _, dy) => [dy, neg(mul(dy, functions.floor(div(a!, b!))))],
  {
    i32: (a, b) => (b === 0 ? a! : modulo(a!, b!)),
    corner: true,
    autograd: { saves: (_, [, b]) => (b ? [{ operand: 0 }, { operand: 1 }] : []) },
  },
)

/** The ops of this file, by name. */
export const functionOps = {
  floor: floorOp,
  round: roundOp,
  tan: tanOp,
  asin: asinOp,
  acos: acosOp,
  atan: atanOp,
  sinh: sinhOp,
  cosh: coshOp,
  asinh: asinhOp,
  acosh: acoshOp,
  atanh: atanhOp,
  log1p: log1pOp,
  expm1: expm1Op,
  atan2: atan2Op,
  remainder: remainderOp,
} as const

/** The untyped verbs of these ops. */
export const functions = verbsOf(functionOps)
