import type { Shape } from './dim.ts'
import { addDigits, type AddDigits } from './digits.ts'

/**
 * The sum of dims that are all numbers, as digits; `never` if one of them is named, since its size is known only when dims are bound.
 * @example SumDigits<[64, 48]> is '112'
 */
export type SumDigits<S extends Shape, Total extends string = '0'> =
  S extends readonly [infer D, ...infer Rest extends Shape] ? D extends number ? SumDigits<Rest, AddDigits<Total, `${D}`>> : never : Total
/** The twin of the type. */
export const sumDigits = (shape: Shape): string | undefined =>
  shape.every(dim => typeof dim === 'number') ? shape.map(String).reduce(addDigits, '0') : undefined

/** How messages print a sum: `past + seq`. */
export type ShowSum<S extends Shape> = S extends readonly [infer D extends Shape[number], ...infer Rest extends Shape]
  ? Rest extends readonly [] ? `${D}` : `${D} + ${ShowSum<Rest>}`
  : '0'
/** The twin of the type. */
export const showSum = (shape: Shape): string => shape.join(' + ') || '0'
