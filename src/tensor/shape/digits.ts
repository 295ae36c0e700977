/**
 * Exact arithmetic on decimal digits, as types: sizes such as 768*3072 are far beyond what tuple lengths can count. A
 * number is the text of its digits; internally, the least significant digit comes first. The values use BigInt and
 * agree for every size.
 */
export type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'

/** Sums[x][y]: two digits of x + y; row 10 takes a carry. */
type Sums = [
  ['00', '01', '02', '03', '04', '05', '06', '07', '08', '09'],
  ['01', '02', '03', '04', '05', '06', '07', '08', '09', '10'],
  ['02', '03', '04', '05', '06', '07', '08', '09', '10', '11'],
  ['03', '04', '05', '06', '07', '08', '09', '10', '11', '12'],
  ['04', '05', '06', '07', '08', '09', '10', '11', '12', '13'],
  ['05', '06', '07', '08', '09', '10', '11', '12', '13', '14'],
  ['06', '07', '08', '09', '10', '11', '12', '13', '14', '15'],
  ['07', '08', '09', '10', '11', '12', '13', '14', '15', '16'],
  ['08', '09', '10', '11', '12', '13', '14', '15', '16', '17'],
  ['09', '10', '11', '12', '13', '14', '15', '16', '17', '18'],
  ['10', '11', '12', '13', '14', '15', '16', '17', '18', '19'],
]
/** Products[x][y]: two digits of x * y. */
type Products = [
  ['00', '00', '00', '00', '00', '00', '00', '00', '00', '00'],
  ['00', '01', '02', '03', '04', '05', '06', '07', '08', '09'],
  ['00', '02', '04', '06', '08', '10', '12', '14', '16', '18'],
  ['00', '03', '06', '09', '12', '15', '18', '21', '24', '27'],
  ['00', '04', '08', '12', '16', '20', '24', '28', '32', '36'],
  ['00', '05', '10', '15', '20', '25', '30', '35', '40', '45'],
  ['00', '06', '12', '18', '24', '30', '36', '42', '48', '54'],
  ['00', '07', '14', '21', '28', '35', '42', '49', '56', '63'],
  ['00', '08', '16', '24', '32', '40', '48', '56', '64', '72'],
  ['00', '09', '18', '27', '36', '45', '54', '63', '72', '81'],
]
type WithCarry = { '0': '1'; '1': '2'; '2': '3'; '3': '4'; '4': '5'; '5': '6'; '6': '7'; '7': '8'; '8': '9'; '9': '10' }

export type Reverse<T extends string, Out extends string = ''> = T extends `${infer First}${infer Rest}`
  ? Reverse<Rest, `${First}${Out}`>
  : Out

/** Two digits of X + Y + Carry, where Carry is 0 or 1. */
type SumOf<X extends Digit, Y extends Digit, Carry extends string> = Sums[Carry extends '0' ? X : WithCarry[X]][Y]

/** A + B, least significant digit first. */
type AddReversed<
  A extends string,
  B extends string,
  Carry extends string = '0',
  Out extends string = '',
> = A extends `${infer X extends Digit}${infer RestA}`
  ? B extends `${infer Y extends Digit}${infer RestB}`
    ? SumOf<X, Y, Carry> extends `${infer High}${infer Low}`
      ? AddReversed<RestA, RestB, High, `${Out}${Low}`>
      : never
    : Carry extends '0'
      ? `${Out}${A}`
      : AddReversed<A, '1', '0', Out>
  : Carry extends '0'
    ? `${Out}${B}`
    : B extends ''
      ? `${Out}1`
      : AddReversed<B, '1', '0', Out>

/** A * D for one digit D, least significant digit first. The carry is at most 8, so high digit + carry is one digit. */
type MultiplyDigit<
  A extends string,
  D extends Digit,
  Carry extends Digit = '0',
  Out extends string = '',
> = A extends `${infer X extends Digit}${infer Rest}`
  ? Products[D][X] extends `${infer High extends Digit}${infer Low extends Digit}`
    ? Sums[Low][Carry] extends `${infer More extends Digit}${infer Last}`
      ? Sums[High][More] extends `0${infer Next extends Digit}`
        ? MultiplyDigit<Rest, D, Next, `${Out}${Last}`>
        : never
      : never
    : never
  : Carry extends '0'
    ? Out
    : `${Out}${Carry}`

/** Long multiplication: B is read from its most significant digit, and the sum so far shifts by one digit each time. */
type MultiplyReversed<
  A extends string,
  B extends string,
  Out extends string = '',
> = B extends `${infer D extends Digit}${infer Rest}`
  ? MultiplyReversed<
      A,
      Rest,
      D extends '0' ? `0${Out}` : Out extends '' ? MultiplyDigit<A, D> : AddReversed<`0${Out}`, MultiplyDigit<A, D>>
    >
  : Out

/** The sum of two whole numbers, digit by digit. @example AddDigits<'64', '48'> is '112' */
export type AddDigits<A extends string, B extends string> = Reverse<AddReversed<Reverse<A>, Reverse<B>>>
/** The twin of the type. */
export const addDigits = (a: string, b: string): string => String(BigInt(a) + BigInt(b))

/** The product of two positive whole numbers, digit by digit. @example MultiplyDigits<'768', '3072'> is '2359296' */
export type MultiplyDigits<A extends string, B extends string> = A extends '1'
  ? B
  : B extends '1'
    ? A
    : Reverse<MultiplyReversed<Reverse<A>, B>>
/** The twin of the type. */
export const multiplyDigits = (a: string, b: string): string => String(BigInt(a) * BigInt(b))

type Before = {
  '0': never
  '1': '0'
  '2': '0' | '1'
  '3': '0' | '1' | '2'
  '4': '0' | '1' | '2' | '3'
  '5': '0' | '1' | '2' | '3' | '4'
  '6': '0' | '1' | '2' | '3' | '4' | '5'
  '7': '0' | '1' | '2' | '3' | '4' | '5' | '6'
  '8': '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7'
  '9': '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8'
}
/** Compares from the least significant digit: the last difference decides, and so does a greater length. */
type AtMost<
  A extends string,
  B extends string,
  Answer extends boolean = true,
> = A extends `${infer X extends Digit}${infer RestA}`
  ? B extends `${infer Y extends Digit}${infer RestB}`
    ? AtMost<RestA, RestB, X extends Y ? Answer : X extends Before[Y] ? true : false>
    : false
  : B extends ''
    ? Answer
    : true

/** Tests whether A <= B, digit by digit. @example DigitsAtMost<'9', '10'> is true */
export type DigitsAtMost<A extends string, B extends string> = AtMost<Reverse<A>, Reverse<B>>
/** The twin of the type. */
export const digitsAtMost = (a: string, b: string): boolean => BigInt(a) <= BigInt(b)

/** A number counted by a tuple, for divisions by few parts. */
type Count = readonly 0[]
type CountOf<N extends number, Out extends Count = readonly []> = Out['length'] extends N
  ? Out
  : CountOf<N, readonly [...Out, 0]>
type Counts = {
  '0': readonly []
  '1': readonly [0]
  '2': readonly [0, 0]
  '3': readonly [0, 0, 0]
  '4': readonly [0, 0, 0, 0]
  '5': readonly [0, 0, 0, 0, 0]
  '6': readonly [0, 0, 0, 0, 0, 0]
  '7': readonly [0, 0, 0, 0, 0, 0, 0]
  '8': readonly [0, 0, 0, 0, 0, 0, 0, 0]
  '9': readonly [0, 0, 0, 0, 0, 0, 0, 0, 0]
}
type TenTimes<T extends Count> = readonly [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T]
type DigitOf<Left extends Count, N extends Count, Q extends Count = readonly []> = Left extends readonly [
  ...N,
  ...infer Rest extends Count,
]
  ? DigitOf<Rest, N, readonly [...Q, 0]>
  : readonly [Q['length'], Left]
/** Long division, from the most significant digit on: the quotient, and what is left. */
type Divide<
  A extends string,
  N extends Count,
  Left extends Count = readonly [],
  Out extends string = '',
> = A extends `${infer D extends Digit}${infer Rest}`
  ? DigitOf<readonly [...TenTimes<Left>, ...Counts[D]], N> extends readonly [
      infer Q extends number,
      infer After extends Count,
    ]
    ? Divide<Rest, N, After, `${Out}${Q}` extends '0' ? '' : `${Out}${Q}`>
    : never
  : readonly [Out, Left]

/**
 * The quotient of two positive whole numbers, `undefined` if the second does not divide the first; it is below 1000.
 * @example DivideDigits<'3072', 3> is '1024', DivideDigits<'7', 2> is undefined
 */
export type DivideDigits<A extends string, N extends number> = N extends 1
  ? A
  : Divide<A, CountOf<N>> extends readonly [infer Q extends string, readonly []]
    ? Q
    : undefined
/** The twin of the type. */
export const divideDigits = (a: string, n: number): string | undefined =>
  BigInt(a) % BigInt(n) === 0n ? String(BigInt(a) / BigInt(n)) : undefined

/**
 * The quotient rounded down, of a whole number by a positive one below 1000.
 * @example FloorDivideDigits<'7', 2> is '3'
 */
export type FloorDivideDigits<A extends string, N extends number> = N extends 1
  ? A
  : Divide<A, CountOf<N>> extends readonly [infer Q extends string, Count]
    ? Q extends ''
      ? '0'
      : Q
    : never
