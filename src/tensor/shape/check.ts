import * as E from 'fp-ts/lib/Either.js'
import type { Dim, Shape, ShapeError } from './dim.ts'
import type { HasGenericDims, HeadIsGeneric, IsVariadic } from './generic.ts'
import { productText, type ProductText } from './product.ts'

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

/**
 * Tests for a factor: a positive whole number, or a name without a space that does not begin with a digit or a sign.
 */
type IsFactor<F extends string> = F extends `${bigint}`
  ? F extends '0' | `-${string}`
    ? false
    : true
  : F extends '' | `${'-' | '+' | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}${string}` | `${string} ${string}`
    ? false
    : true
type AreFactors<Text extends string> = Text extends `${infer F}*${infer Rest}`
  ? IsFactor<F> extends true
    ? AreFactors<Rest>
    : false
  : IsFactor<Text>

/**
 * The reason why a dim is refused, `never` if it is not: a bare `number`, a bare `string` or a union could stand for
 * different sizes, and would match anything.
 * @example DimError<number, 0> is ShapeError<'dim 0 is a bare number: name it'>
 */
export type DimError<D extends Dim, Where extends Dim = 0> = {} extends { [K in D]: 1 }
  ? ShapeError<ReturnType<typeof bare<Where, Kind<D>>>>
  : IsUnion<D> extends true
    ? ShapeError<ReturnType<typeof union<Where>>>
    : D extends `${bigint}`
      ? ShapeError<ReturnType<typeof quoted<Where, D>>>
      : AreFactors<`${D}`> extends false
        ? ShapeError<ReturnType<typeof malformed<Where, D>>>
        : D extends `${string}*${string}`
          ? Unreduced<D, Where, ProductText<readonly [D]>>
          : never
type Unreduced<D extends Dim, Where extends Dim, Normal extends string> = Normal extends `${D}`
  ? never
  : ShapeError<ReturnType<typeof unreduced<Where, D, Normal>>>

const isFactor = (factor: string): boolean => /^[1-9]\d*$/.test(factor) || /^[^\d+\- *][^ *]*$/.test(factor)

/** The twin of {@link DimError}: `Left` with the same text. A value is always a single literal. */
export const checkDim = (dim: Dim, where: Dim = 0): E.Either<string, Dim> =>
  typeof dim === 'string' && /^(0|-?[1-9]\d*)$/.test(dim)
    ? E.left(quoted(where, dim))
    : (typeof dim === 'number' && !Number.isInteger(dim)) || !String(dim).split('*').every(isFactor)
      ? E.left(malformed(where, dim))
      : productText([dim]) === String(dim)
        ? E.right(dim)
        : E.left(unreduced(where, dim, productText([dim])))

/**
 * `true`, or the reason why the first bad dim of a shape is refused. A type parameter is a dim, and so is each of
 * `[...L, D]`.
 */
export type CheckShape<S extends Shape> =
  IsVariadic<S> extends true
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
export type ShapeFault<S extends Shape, Seen extends readonly unknown[] = []> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? HeadIsGeneric<S> extends true
    ? ShapeFault<Rest, [...Seen, 0]>
    : [WrittenError<D, Seen['length'] & number>] extends [never]
      ? ShapeFault<Rest, [...Seen, 0]>
      : WrittenError<D, Seen['length'] & number>
  : unknown

/** `true`, or the reason why the name in an argument is refused. */
export type CheckName<As extends Dim> = [DimError<As, 'as'>] extends [never] ? true : DimError<As, 'as'>

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
