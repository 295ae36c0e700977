import { typed, type Node, type Tensor } from '../node.ts'
import type { Broadcast, Fault, Ok, Shape } from '../shape/index.ts'
import { pointwise } from './elementwise.ts'
import { functions } from './functions.ts'
import { sources } from './placeholder.ts'
import { layouts } from './reshape.ts'
import { sums } from './sum.ts'

// Bits of integers, which are those of two's complement; no gradient flows through them.

/** A function of the bits of two tensors of integers, broadcast from the right. */
export type Bitwise = <A extends Shape, B extends Shape>(
  a: Tensor<A, 'i32'>,
  b: Tensor<B, 'i32'> & Fault<Broadcast<A, B>>,
) => Tensor<Ok<Broadcast<A, B>>, 'i32'>

const width = 32
const powers = Array.from({ length: width }, (_, place) => (2 ** place) | 0)
/** Numbers along an axis of bits. */
const along = (numbers: readonly number[]): Node => sources.constant(numbers, [width], 'i32')
/** x divided by a power of 2, rounded down. */
const shifted = (x: Node, by: Node): Node => pointwise.div(pointwise.sub(x, functions.remainder(x, by)), by)
/** The bits of integers, along a new last axis, as 0 or 1. */
const bitsOf = (x: Node): Node => {
  // 2^31 is no int32, so the sign is what is left after 2^30 and 2
  const first = powers.map((power, place) => (place === width - 1 ? 2 ** 30 : power))
  const second = powers.map((_, place) => (place === width - 1 ? 2 : 1))
  return functions.remainder(shifted(shifted(layouts.reshape(x, [...x.shape, 1]), along(first)), along(second)), 2)
}
const both = (a: Node, b: Node): Node => {
  const shared = pointwise.mul(pointwise.mul(bitsOf(a), bitsOf(b)), along(powers))
  return sums.sum(shared, [shared.shape.length - 1])
}

const bitwise =
  (f: (a: Node, b: Node) => Node): Bitwise =>
  (a: Node, b: Node): never =>
    typed(f(a, b)) as never
/** The bits that both integers have, broadcast from the right. @example bits.and(ids, mask) */
export const and = bitwise(both)
/** The bits that one of two integers has, or both, broadcast from the right. @example bits.or(flags, mask) */
export const or = bitwise((a, b) => pointwise.sub(pointwise.add(a, b), both(a, b)))
/** The bits that exactly one of two integers has, broadcast from the right. @example bits.xor(left, right) */
export const xor = bitwise((a, b) => pointwise.sub(pointwise.add(a, b), pointwise.mul(both(a, b), 2)))
/**
 * The number of bits of integers that are 1; of a negative number, those of its two's complement.
 * @example bits.count(flags)
 */
export const count = <S extends Shape>(x: Tensor<S, 'i32'>): Tensor<S, 'i32'> =>
  typed(sums.sum(bitsOf(x), [x.shape.length]))
