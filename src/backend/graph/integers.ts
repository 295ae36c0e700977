import type { Body, Ref } from './body.ts'

/** Arithmetic of int32 as the language defines it, for ops where TensorFlow's own fail, or differ from XLA's. */

const integer = (body: Body, value: number): Ref => body.constant(value, 'i32')
const equals = (body: Body, x: Ref, value: number): Ref => body.apply('Equal', [x, integer(body, value)])
const chosen = (body: Body, condition: Ref, a: Ref, b: Ref): Ref => body.apply('SelectV2', [condition, a, b])

/** a / b, truncated towards 0. TensorFlow fails if b is 0, and the processor if the least integer is divided by -1. */
export const quotient = (a: Ref, b: Ref, body: Body): Ref => {
  const isZero = equals(body, b, 0)
  const isMinusOne = equals(body, b, -1)
  const isOdd = body.apply('LogicalOr', [isZero, isMinusOne])
  const plain = body.apply('TruncateDiv', [a, chosen(body, isOdd, integer(body, 1), b)])
  return chosen(body, isZero, integer(body, -1), chosen(body, isMinusOne, body.apply('Neg', [a]), plain))
}

/** The remainder of a / b with the sign of b; a if b is 0. TensorFlow fails where `quotient` would. */
export const remainder = (a: Ref, b: Ref, body: Body): Ref => {
  const isZero = equals(body, b, 0)
  // the remainder of a division by 1 is that by -1
  const isOdd = body.apply('LogicalOr', [isZero, equals(body, b, -1)])
  return chosen(body, isZero, a, body.apply('FloorMod', [a, chosen(body, isOdd, integer(body, 1), b)]))
}

/** a ^ b by squaring, bit by bit; for a negative b, the fraction truncated towards 0. */
export const power = (a: Ref, b: Ref, body: Body): Ref => {
  const one = integer(body, 1)
  const isBit = (bit: number): Ref =>
    equals(body, body.apply('BitwiseAnd', [body.apply('RightShift', [b, integer(body, bit)]), one]), 1)
  let square = a
  let result = one
  for (let bit = 0; bit < 31; bit++) {
    result = chosen(body, isBit(bit), body.apply('Mul', [result, square]), result)
    square = body.apply('Mul', [square, square])
  }
  const alternating = chosen(body, isBit(0), integer(body, -1), one)
  const ofNegative = chosen(
    body,
    equals(body, a, 1),
    one,
    chosen(body, equals(body, a, -1), alternating, integer(body, 0)),
  )
  return chosen(body, body.apply('Less', [b, integer(body, 0)]), ofNegative, result)
}

/** A float as an integer, truncated towards 0: NaN becomes 0, and numbers beyond the range become its bounds. */
export const truncated = (x: Ref, body: Body): Ref => {
  const end = body.constant(2 ** 31, 'f32')
  const isAbove = body.apply('LessEqual', [end, x])
  const isBelow = body.apply('LessEqual', [x, body.apply('Neg', [end])])
  const isNaN = body.apply('NotEqual', [x, x])
  const isOdd = body.apply('LogicalOr', [body.apply('LogicalOr', [isAbove, isBelow]), isNaN])
  const plain = body.cast(chosen(body, isOdd, body.constant(0, 'f32'), x), 'i32')
  return chosen(body, isAbove, integer(body, 2 ** 31 - 1), chosen(body, isBelow, integer(body, -(2 ** 31)), plain))
}
