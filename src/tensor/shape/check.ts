import * as E from '../../either/index.ts'
import type { Dim, Shape, ShapeError, Uninferred } from './dim.ts'
import type { HasGenericDims, HeadIsGeneric, IsVariadic } from './generic.ts'
import { productText, remembering, type ProductText } from './product.ts'

const bare = <W extends Dim, K extends string>(where: W, kind: K) => `dim ${where} is a bare ${kind}: name it` as const
const union = <W extends Dim>(where: W) => `dim ${where} is a union: name it` as const
const malformed = <W extends Dim, D extends Dim>(where: W, dim: D) =>
  `dim ${where} is ${dim}: a dim is a positive whole number, a name or a product of them` as const
const unreduced = <W extends Dim, D extends Dim, N extends string>(where: W, dim: D, normal: N) =>
  `dim ${where} is ${dim}: its normal form is ${normal}` as const
const quoted = <W extends Dim, D extends Dim>(where: W, dim: D) =>
  `dim ${where} is the text '${dim}': write the number` as const
const unranked = () => 'the shape has no fixed rank: write its dims' as const

/** Tests whether T is a single literal: not `number`, not `string`, not a pattern, not a union. */
export type IsLiteral<T extends Dim> = {} extends { [K in T]: 1 } ? false : IsUnion<T> extends true ? false : true
type IsUnion<T, All = T> = T extends unknown ? ([All] extends [T] ? false : true) : never

type Kind<D> = [D] extends [never] ? 'never' : [D] extends [number] ? 'number' : 'string'

type NoStart = '-' | '+' | '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
/**
 * Tests for a factor: a positive whole number, or a name without a space that does not begin with a digit or a sign.
 */
type IsFactor<F extends string> = F extends `${bigint}`
  ? F extends '0'
    ? false
    : F extends `-${string}`
      ? false
      : true
  : F extends `${infer First}${string}`
    ? First extends NoStart
      ? false
      : F extends `${string} ${string}`
        ? false
        : true
    : false
/** The kind of factors that a product has: `false` if one of them is none. */
type FactorsOf<Text extends string, Found = 'names'> = Text extends `${infer F}*${infer Rest}`
  ? IsFactor<F> extends true
    ? FactorsOf<Rest, F extends `${bigint}` ? 'numbers' : Found>
    : false
  : IsFactor<Text> extends true
    ? Text extends `${bigint}`
      ? 'numbers'
      : Found
    : false

/**
 * Tests for a dim that is not refused: one literal, in its normal form; `false` for `any`, and so for a type parameter.
 * It is asked once for each dim of a program, and a reason is looked for only if it is `false`.
 */
type IsDim<D extends Dim> = { readonly x: 0 } extends { readonly x: 1 & D }
  ? false
  : IsLiteral<D> extends true
    ? D extends number
      ? IsFactor<`${D}`>
      : D extends `${string}*${string}`
        ? IsNormal<D, FactorsOf<D>>
        : D extends `${bigint}`
          ? false
          : IsFactor<D & string>
    : false
/** Tests whether a product is in its normal form, as names alone are. */
type IsNormal<D extends string, Kind> = Kind extends 'names'
  ? true
  : Kind extends 'numbers'
    ? ProductText<readonly [D]> extends D
      ? true
      : false
    : false

/**
 * The reason why a dim is refused, `never` if it is not: a bare `number`, a bare `string` or a union could stand for
 * different sizes, and would match anything.
 * @example DimError<number, 0> is ShapeError<'dim 0 is a bare number: name it'>
 */
export type DimError<D extends Dim, Where extends Dim = 0> = IsDim<D> extends true ? never : Reason<D, Where>
type Reason<D extends Dim, Where extends Dim> = {} extends { [K in D]: 1 }
  ? ShapeError<ReturnType<typeof bare<Where, Kind<D>>>>
  : IsUnion<D> extends true
    ? ShapeError<ReturnType<typeof union<Where>>>
    : D extends `${bigint}`
      ? ShapeError<ReturnType<typeof quoted<Where, D>>>
      : FactorsOf<`${D}`> extends false
        ? ShapeError<ReturnType<typeof malformed<Where, D>>>
        : ShapeError<ReturnType<typeof unreduced<Where, D, ProductText<readonly [D]>>>>

const isFactor = (factor: string): boolean => /^[1-9]\d*$/.test(factor) || /^[^\d+\- *][^ *]*$/.test(factor)

/** The twin of {@link DimError}: `Left` with the same text. A value is always a single literal. */
export const checkDim = (dim: Dim, where: Dim = 0): E.Either<string, Dim> =>
  isGood(dim) ? E.right(dim) : checkedDim(dim, where)

const checkedDim = (dim: Dim, where: Dim): E.Either<string, Dim> =>
  typeof dim === 'string' && /^(0|-?[1-9]\d*)$/.test(dim)
    ? E.left(quoted(where, dim))
    : (typeof dim === 'number' && !Number.isInteger(dim)) || !String(dim).split('*').every(isFactor)
      ? E.left(malformed(where, dim))
      : productText([dim]) === String(dim)
        ? E.right(dim)
        : E.left(unreduced(where, dim, productText([dim])))

const isGood = remembering((dim: Dim): boolean => E.isRight(checkedDim(dim, 0)))

/** Tests for a shape of a few known dims, each of them good: whatever else a shape may be is found out more slowly. */
export type AreDims<S extends Shape> = readonly [Dims<S>, S['length']] extends readonly [
  readonly true[],
  0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8,
]
  ? true
  : false
type Dims<S extends Shape> = { readonly [K in keyof S]: IsDim<S[K]> }

/** The same for two shapes. */
export type AreBothDims<A extends Shape, B extends Shape> = AreDims<A> extends true ? AreDims<B> : false

/**
 * `true`, or the reason why the first bad dim of a shape is refused. A type parameter is a dim, and so is each of
 * `[...L, D]`.
 */
export type CheckShape<S extends Shape> =
  AreDims<S> extends true
    ? true
    : IsVariadic<S> extends true
      ? HasGenericDims<S> extends true
        ? true
        : ShapeError<ReturnType<typeof unranked>>
      : FirstError<S>
type FirstError<S extends Shape, Seen extends readonly unknown[] = []> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? HeadIsGeneric<S> extends true
    ? FirstError<Rest, [...Seen, 0]>
    : [DimError<D, Seen['length'] & number>] extends [never]
      ? FirstError<Rest, [...Seen, 0]>
      : DimError<D, Seen['length'] & number>
  : true
/** The twin of the type. @example checkShape(['batch', 0]) is Left('dim 1 is 0: a dim is ...') */
export const checkShape = (shape: Shape): E.Either<string, Shape> => {
  if (shape.every(isGood)) return E.right(shape)
  const error = shape.map((dim, axis) => checkDim(dim, axis)).find(E.isLeft)
  return error ?? E.right(shape)
}

/** The fault of a dim that is a literal. A dim that is known only at run time is checked then. */
type WrittenError<D extends Dim, Where extends Dim> = IsLiteral<D> extends true ? DimError<D, Where> : never
/**
 * `unknown`, or the reason why the first bad literal dim is refused; the type of a declared shape is intersected with
 * it.
 * @example declare const f32: <const S extends Shape>(...shape: S & ShapeFault<S>) => Tensor<S>
 */
export type ShapeFault<S extends Shape> = AreDims<S> extends true ? unknown : Uninferred<FirstFault<S>>
type FirstFault<S extends Shape, Seen extends readonly unknown[] = []> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? HeadIsGeneric<S> extends true
    ? FirstFault<Rest, [...Seen, 0]>
    : [WrittenError<D, Seen['length'] & number>] extends [never]
      ? FirstFault<Rest, [...Seen, 0]>
      : WrittenError<D, Seen['length'] & number>
  : unknown

/** `true`, or the reason why the name in an argument is refused. */
export type CheckName<As extends Dim> = IsDim<As> extends true ? true : DimError<As, 'as'>

/** `true`, or the reason why the first bad shape of two is refused. */
export type CheckBoth<A extends Shape, B extends Shape> = CheckShape<A> extends true ? CheckShape<B> : CheckShape<A>
/** `true`, or the reason why the first bad shape of several is refused. */
export type CheckShapes<Shapes extends readonly Shape[]> = Shapes extends readonly [
  infer S extends Shape,
  ...infer Rest extends readonly Shape[],
]
  ? CheckShape<S> extends true
    ? CheckShapes<Rest>
    : CheckShape<S>
  : true
/** The twin of the type: continues with `then` if every shape is valid. */
export const checked = <A>(shapes: readonly Shape[], then: () => E.Either<string, A>): E.Either<string, A> =>
  shapes.map(checkShape).find(E.isLeft) ?? then()
