import type { Dim, Shape } from './dim.ts'
import {
  addDigits,
  digitsAtMost,
  multiplyDigits,
  type AddDigits,
  type DigitsAtMost,
  type MultiplyDigits,
} from './digits.ts'
import type { AreDims } from './check.ts'
import type { HeadIsGeneric } from './generic.ts'
import { factors, type Factors } from './product.ts'

/**
 * The sum of dims that are all numbers, as digits; `never` if one of them is named, because its size is known only when
 * dims are bound.
 * @example SumDigits<[64, 48]> is '112'
 */
export type SumDigits<S extends Shape, Total extends string = '0'> = S extends readonly [
  infer D,
  ...infer Rest extends Shape,
]
  ? D extends number
    ? SumDigits<Rest, AddDigits<Total, `${D}`>>
    : never
  : Total
/** The twin of the type. */
export const sumDigits = (shape: Shape): string | undefined =>
  shape.every(dim => typeof dim === 'number') ? shape.map(String).reduce(addDigits, '0') : undefined

/** The text of a sum in messages: `past + seq`. */
export type ShowSum<S extends Shape> = S extends readonly [infer D extends Shape[number], ...infer Rest extends Shape]
  ? Rest extends readonly []
    ? `${D}`
    : `${D} + ${ShowSum<Rest>}`
  : '0'
/** The twin of the type. */
export const showSum = (shape: Shape): string => shape.join(' + ') || '0'

// A dim is a number times names, and a name is at least 1, so some sums are certain to exceed a dim, or to fall short
// of it, before any name has a size.

type NumberIn<F extends Shape, N extends string = '1'> = F extends readonly [infer First, ...infer Rest extends Shape]
  ? First extends number
    ? NumberIn<Rest, MultiplyDigits<N, `${First}`>>
    : NumberIn<Rest, N>
  : N
type NamesIn<F extends Shape, Names extends readonly string[] = readonly []> = F extends readonly [
  infer First,
  ...infer Rest extends Shape,
]
  ? First extends string
    ? NamesIn<Rest, readonly [...Names, First]>
    : NamesIn<Rest, Names>
  : Names
const numberIn = (dim: Dim): string =>
  factors(dim)
    .filter(factor => typeof factor === 'number')
    .map(String)
    .reduce(multiplyDigits, '1')
const namesIn = (dim: Dim): readonly string[] => factors(dim).filter(factor => typeof factor === 'string')

type Without<
  Names extends readonly string[],
  Name extends string,
  Before extends readonly string[] = readonly [],
> = Names extends readonly [infer First extends string, ...infer Rest extends readonly string[]]
  ? First extends Name
    ? readonly [...Before, ...Rest]
    : Without<Rest, Name, readonly [...Before, First]>
  : undefined
/** Tests whether a product has all the names of another one, each as often. */
type Has<Names extends readonly string[], Others extends readonly string[]> = Others extends readonly [
  infer First extends string,
  ...infer Rest extends readonly string[],
]
  ? Without<Names, First> extends infer Left extends readonly string[]
    ? Has<Left, Rest>
    : false
  : true
const has = (names: readonly string[], others: readonly string[]): boolean => {
  const [first, ...rest] = others
  return first === undefined || (names.includes(first) && has(names.toSpliced(names.indexOf(first), 1), rest))
}

/** Tests for known parts of a name that none of them contains: their sum may be anything. */
type AreOthers<Parts extends Shape, D extends Dim> = D extends number | `${string}*${string}`
  ? false
  : AreDims<Parts> extends true
    ? [Mentions<Parts[number], D>] extends [never]
      ? true
      : false
    : false
/** Distributes over the parts. */
type Mentions<Part, D extends Dim> = Part extends Dim
  ? `${Part}` extends `${string}${D}${string}`
    ? true
    : never
  : never

/** The sum of the numbers of the parts that have all the names; `Beside` is true if there are other parts. */
type Least<
  Parts extends Shape,
  Names extends readonly string[],
  Total extends string = '0',
  Beside extends boolean = false,
> = Parts extends readonly [infer First extends Dim, ...infer Rest extends Shape]
  ? HeadIsGeneric<Parts> extends true
    ? Least<Rest, Names, Total, true>
    : Has<NamesIn<Factors<First>>, Names> extends true
      ? Least<Rest, Names, AddDigits<Total, NumberIn<Factors<First>>>, Beside>
      : Least<Rest, Names, Total, true>
  : readonly [Total, Beside]
/**
 * Tests whether a sum exceeds a dim, whatever sizes the names have.
 * @example Exceeds<['n', 'm'], 'n'>, Exceeds<['2*n'], 'n'> and Exceeds<[4, 3], 6> are true, Exceeds<['n'], 'm'> is false
 */
export type Exceeds<Parts extends Shape, D extends Dim> = AreOthers<Parts, D> extends true ? false : IsMore<Parts, D>
type IsMore<Parts extends Shape, D extends Dim> =
  Least<Parts, NamesIn<Factors<D>>> extends readonly [infer Total extends string, infer Beside]
    ? DigitsAtMost<Total, NumberIn<Factors<D>>> extends true
      ? Total extends NumberIn<Factors<D>>
        ? Beside
        : false
      : true
    : never
/** The twin of the type. */
export const exceeds = (parts: Shape, dim: Dim): boolean => {
  const names = namesIn(dim)
  const least = parts.filter(part => has(namesIn(part), names))
  const total = least.map(numberIn).reduce(addDigits, '0')
  const most = numberIn(dim)
  return !digitsAtMost(total, most) || (total === most && least.length < parts.length)
}

/** The sum of the numbers of parts, `undefined` if one has a name too many. */
type Most<Parts extends Shape, Names extends readonly string[], Total extends string = '0'> = Parts extends readonly [
  infer First extends Dim,
  ...infer Rest extends Shape,
]
  ? HeadIsGeneric<Parts> extends true
    ? undefined
    : Has<Names, NamesIn<Factors<First>>> extends true
      ? Most<Rest, Names, AddDigits<Total, NumberIn<Factors<First>>>>
      : undefined
  : Total
/**
 * Tests whether a sum is less than a dim, whatever sizes the names have.
 * @example FallsShort<['n', 'n'], '3*n'> is true
 */
export type FallsShort<Parts extends Shape, D extends Dim> = Parts extends readonly []
  ? true
  : AreOthers<Parts, D> extends true
    ? false
    : IsLess<Parts, D>
type IsLess<Parts extends Shape, D extends Dim> =
  Most<Parts, NamesIn<Factors<D>>> extends infer Total extends string
    ? DigitsAtMost<NumberIn<Factors<D>>, Total> extends true
      ? false
      : true
    : false
/** The twin of the type. */
export const fallsShort = (parts: Shape, dim: Dim): boolean =>
  parts.every(part => has(namesIn(dim), namesIn(part))) &&
  !digitsAtMost(numberIn(dim), parts.map(numberIn).reduce(addDigits, '0'))
