import * as E from '../../either/index.ts'
import type { Dim, Shape, ShapeError } from './dim.ts'
import type { HeadIsGeneric } from './generic.ts'
import { multiplyDigits, type MultiplyDigits } from './digits.ts'

const tooLarge = <N extends string>(digits: N) => `product: ${digits} is more than a number can hold exactly` as const

/** Every factor followed by `*`. */
type Flat<S extends Shape, Out extends string = ''> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? Flat<Rest, `${Out}${D}*`>
  : Out

/**
 * The same without dims of 1, for known dims: shapes with the same text are the same product, and most that are the
 * same product have the same text.
 */
export type Joined<S extends Shape, Out extends string = ''> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? Joined<Rest, D extends 1 ? Out : `${Out}${D}*`>
  : Out

type Times<N extends string> = N extends '1' ? '' : `${N}*`
type Trim<Names extends string> = Names extends `${infer Text}*` ? Text : '1'

/** Reads factors after those read before; `N` is the product of the numbers since the last name. */
type Multiply<
  Factors extends string,
  Names extends string = '',
  N extends string = '1',
> = Factors extends `${infer F}*${infer Rest}`
  ? F extends `${bigint}`
    ? Multiply<Rest, Names, MultiplyDigits<N, F>>
    : Multiply<Rest, `${Names}${Times<N>}${F}*`, '1'>
  : readonly [Names, N]

/**
 * The normal form of a product with a `*` after every factor; a type parameter is one factor.
 * @example Factored<[2, 3, 'heads', 1]> is '6*heads*'
 */
export type Factored<S extends Shape, Names extends string = '', N extends string = '1'> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? HeadIsGeneric<S> extends true
    ? Factored<Rest, `${Names}${Times<N>}${D}*`, '1'>
    : Multiply<`${D}*`, Names, N> extends readonly [infer M extends string, infer K extends string]
      ? Factored<Rest, M, K>
      : never
  : `${Names}${Times<N>}`

/**
 * The normal form of a product as text: names in their order, neighbouring numbers multiplied, 1 left out. Two shapes
 * hold the same data in the same order if and only if their texts are equal.
 * @example ProductText<[2, 3, 'heads', 1]> is '6*heads'
 */
export type ProductText<S extends Shape> =
  Multiply<Flat<S>> extends readonly [infer Names extends string, infer N extends string]
    ? Trim<`${Names}${Times<N>}`>
    : never
/** The most results that a remembering function keeps. */
const mostRemembered = 2 ** 12

/** A pure function that remembers its results: programs have few dims, and ask about each very often. */
export const remembering = <K, A>(of: (key: K) => A): ((key: K) => A) => {
  const known = new Map<K, { readonly result: A }>()
  return key => {
    const found = known.get(key)
    if (found !== undefined) return found.result
    if (known.size >= mostRemembered) known.clear()
    const result = of(key)
    known.set(key, { result })
    return result
  }
}

/** The twin of the type. */
export const productText = (shape: Shape): string => (shape.length === 0 ? '1' : normalText(shape.join('*')))

const normalText = remembering((text: string): string => {
  const factors = text.split('*').reduce<readonly string[]>((done, factor) => {
    const last = done.at(-1)
    return last !== undefined && isDigits(last) && isDigits(factor)
      ? [...done.slice(0, -1), multiplyDigits(last, factor)]
      : [...done, factor]
  }, [])
  return factors.filter(factor => factor !== '1').join('*') || '1'
})

const isDigits = (factor: string): boolean => /^\d+$/.test(factor)

/** A product's text as a dim: digits alone become a number. */
export type ToDim<Text extends string> = Text extends `${bigint}`
  ? Text extends `${infer N extends number}`
    ? number extends N
      ? ShapeError<ReturnType<typeof tooLarge<Text>>>
      : N
    : never
  : Text
/** The twin of the type. */
export const toDim = (text: string): E.Either<string, Dim> =>
  !isDigits(text) ? E.right(text) : String(Number(text)) === text ? E.right(Number(text)) : E.left(tooLarge(text))

/**
 * The product of dims in its one normal form: a number if all are numbers, otherwise text. It is not commutative,
 * because the order is the layout.
 * @example Product<['batch', 2, 3]> is 'batch*6', Product<[768, 3072]> is 2359296
 */
export type Product<S extends Shape> = ToDim<ProductText<S>>
/** The twin of the type. */
export const product = (shape: Shape): E.Either<string, Dim> => toDim(productText(shape))

type Split<Text extends string, Out extends Shape = readonly []> = Text extends `${infer F}*${infer Rest}`
  ? Split<Rest, readonly [...Out, Factor<F>]>
  : readonly [...Out, Factor<Text>]
type Factor<F extends string> = F extends `${infer N extends number}` ? N : F

/** The factors of a dim in normal form; a 1 has none. @example Factors<'heads*headDim'> is ['heads', 'headDim'] */
export type Factors<D extends Dim> = D extends 1 ? readonly [] : D extends number ? readonly [D] : Split<`${D}`>
/** The twin of the type. */
export const factors = (dim: Dim): Shape =>
  dim === 1
    ? []
    : typeof dim === 'number'
      ? [dim]
      : dim.split('*').map(factor => (isDigits(factor) ? Number(factor) : factor))
