import type { AddDigits, Digit, Reverse } from './digits.ts'

/** Differences of whole numbers, digit by digit: the nines' complement of the smaller one is added. */

type Nines = { '0': '9'; '1': '8'; '2': '7'; '3': '6'; '4': '5'; '5': '4'; '6': '3'; '7': '2'; '8': '1'; '9': '0' }

/** The nines' complement of B with as many digits as A has, least significant digit first. */
type Complement<A extends string, B extends string, Out extends string = ''> = A extends `${Digit}${infer RestA}`
  ? B extends `${infer Y extends Digit}${infer RestB}`
    ? Complement<RestA, RestB, `${Out}${Nines[Y]}`>
    : Complement<RestA, '', `${Out}9`>
  : Out

type WithoutZeros<A extends string> = A extends `0${infer Rest}` ? WithoutZeros<Rest> : A extends '' ? '0' : A

/**
 * The difference A - B of two whole numbers of which B is not the larger.
 * @example SubtractDigits<'112', '48'> is '64'
 */
export type SubtractDigits<A extends string, B extends string> =
  AddDigits<AddDigits<A, Reverse<Complement<Reverse<A>, Reverse<B>>>>, '1'> extends `1${infer Rest}`
    ? WithoutZeros<Rest>
    : never
