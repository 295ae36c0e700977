import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsGeneric } from './generic.ts'
import { checkDim, checked, type CheckShape, type DimError, type IsLiteral } from './check.ts'
import { axisOf, type DimAt, type Splice } from './axis.ts'
import { divideDigits, type DivideDigits } from './digits.ts'
import { toDim, type ToDim } from './product.ts'
import { exceeds, fallsShort, showSum, type Exceeds, type FallsShort, type ShowSum } from './sum.ts'

const noNumber = <N extends number>(n: N) => `split: ${n} is no number of parts` as const
const uneven = <D extends Dim, S extends string, N extends number>(dim: D, shape: S, n: N) =>
  `split: ${dim} in ${shape} is not ${n} equal parts: specify their sizes` as const
const otherSum = <P extends string, D extends Dim, S extends string>(parts: P, dim: D, shape: S) =>
  `split: ${parts} is never ${dim} in ${shape}` as const

/**
 * The shapes of the parts of an axis: of as many equal ones, or of those of some sizes, whose sum is the dim. Certain
 * facts are compared here, the rest when dims are bound.
 * @example Split<['batch', '3*hidden'], 1, 3> is three times ['batch', 'hidden'], Split<[5], 0, [2, 3]> is [[2], [3]]
 */
export type Split<S extends Shape, A extends number, Parts extends number | Shape> =
  CheckShape<S> extends true
    ? DimAt<S, A> extends readonly [Dim]
      ? Parts extends number
        ? Evenly<S, A, Parts, DimAt<S, A>>
        : { readonly p: Parts } extends { readonly p: infer Sizes extends Shape }
          ? BySizes<S, A, Sizes, DimAt<S, A>>
          : never
      : Splice<'split', S, A, readonly []>
    : CheckShape<S>

type Evenly<S extends Shape, A extends number, N extends number, D extends Shape> =
  IsLiteral<N> extends true
    ? `${N}` extends `${bigint}`
      ? `${N}` extends '0' | `-${string}`
        ? ShapeError<ReturnType<typeof noNumber<N>>>
        : HeadIsGeneric<D> extends true
          ? ShapeError<'split: the dim is a type parameter: specify the sizes of the parts'>
          : PartOf<D[0] & Dim, N> extends infer P
            ? P extends Dim
              ? Times<N, Splice<'split', S, A, readonly [P]>>
              : ShapeError<ReturnType<typeof uneven<D[0] & Dim, Show<S>, N>>>
            : never
      : ShapeError<ReturnType<typeof noNumber<N>>>
    : ShapeError<'split: the number of parts is not one literal number'>
/** One of N equal parts of a dim, `undefined` if there may be none: the number that comes first is divided. */
export type PartOf<D extends Dim, N extends number> = N extends 1
  ? D
  : D extends number
    ? DivideDigits<`${D}`, N> extends infer Digits extends string
      ? ToDim<Digits>
      : undefined
    : D extends `${infer First}*${infer Rest}`
      ? First extends `${bigint}`
        ? DivideDigits<First, N> extends infer Digits extends string
          ? Digits extends '1'
            ? Rest
            : `${Digits}*${Rest}`
          : undefined
        : undefined
      : undefined
type Times<N extends number, Part, Out extends readonly unknown[] = readonly []> = Out['length'] extends N
  ? Out
  : Times<N, Part, readonly [...Out, Part]>

type BySizes<S extends Shape, A extends number, Sizes extends Shape, D extends Shape> =
  CheckSizes<Sizes> extends true
    ? HeadIsGeneric<D> extends true
      ? EachSize<S, A, Sizes>
      : Exceeds<Sizes, D[0] & Dim> extends true
        ? ShapeError<ReturnType<typeof otherSum<ShowSum<Sizes>, D[0] & Dim, Show<S>>>>
        : FallsShort<Sizes, D[0] & Dim> extends true
          ? ShapeError<ReturnType<typeof otherSum<ShowSum<Sizes>, D[0] & Dim, Show<S>>>>
          : EachSize<S, A, Sizes>
    : CheckSizes<Sizes>
type EachSize<S extends Shape, A extends number, Sizes extends Shape> = {
  readonly [K in keyof Sizes]: Splice<'split', S, A, readonly [Sizes[K]]>
}
type CheckSizes<Sizes extends Shape> = Sizes extends readonly [infer D extends Dim, ...infer Rest extends Shape]
  ? HeadIsGeneric<Sizes> extends true
    ? CheckSizes<Rest>
    : [DimError<D, 'parts'>] extends [never]
      ? CheckSizes<Rest>
      : DimError<D, 'parts'>
  : true

export const partOf = (dim: Dim, n: number): Dim | undefined => {
  if (n === 1) return dim
  const [first = '', ...rest] = String(dim).split('*')
  const digits = /^\d+$/.test(first) ? divideDigits(first, n) : undefined
  if (digits === undefined) return undefined
  if (rest.length > 0) return [...(digits === '1' ? [] : [digits]), ...rest].join('*')
  const part = toDim(digits)
  return part._tag === 'Right' ? part.right : undefined
}

/** The twin of the type. */
export const split = (shape: Shape, axis: number, parts: number | Shape): E.Either<string, readonly Shape[]> =>
  checked([shape], () =>
    E.flatMap(axisOf('split', shape, axis), at => {
      const dim = shape[at] ?? 1
      if (typeof parts !== 'number')
        return (
          parts.map(part => checkDim(part, 'parts')).find(E.isLeft) ??
          (exceeds(parts, dim) || fallsShort(parts, dim)
            ? E.left(otherSum(showSum(parts), dim, show(shape)))
            : E.right(parts.map(part => shape.with(at, part))))
        )
      if (!Number.isInteger(parts) || parts < 1) return E.left(noNumber(parts))
      const part = partOf(dim, parts)
      return part === undefined
        ? E.left(uneven(dim, show(shape), parts))
        : E.right(Array.from({ length: parts }, () => shape.with(at, part)))
    }),
  )
