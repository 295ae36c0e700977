import * as E from '../../either/index.ts'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsNumber, Same } from './generic.ts'
import { checkDim, checked, type CheckName, type CheckShapes } from './check.ts'
import { axisOf, type Axis, type DimAt, type Splice } from './axis.ts'
import { toDim, type ToDim } from './product.ts'
import {
  exceeds,
  fallsShort,
  showSum,
  sumDigits,
  type Exceeds,
  type FallsShort,
  type ShowSum,
  type SumDigits,
} from './sum.ts'

const nothing = () => 'concat: there is nothing to join' as const
const rankDiffers = <A extends string, B extends string>(a: A, b: B) => `concat: ${a} and ${b} differ in rank` as const
const dimsDiffer = <D extends Dim, E extends Dim, A extends string, B extends string>(d: D, e: E, a: A, b: B) =>
  `concat: dims ${d} and ${e} differ in ${a} and ${b}` as const
const unnamed = <P extends string>(parts: P) => `concat: ${parts} has no name: give one with as` as const
const wrongSum = <P extends string, N extends string, As extends Dim>(parts: P, sum: N, as: As) =>
  `concat: ${parts} is ${sum}, not ${as}` as const

const otherSum = <P extends string, As extends Dim>(parts: P, as: As) => `concat: ${parts} is never ${as}` as const

/**
 * Shapes concatenated along an axis; the sum of their dims there is named `As`. Numbers are added here, names when dims
 * are bound; a name for an impossible sum is refused.
 * @example Concat<[['past', 64], ['seq', 64]], 0, 'tokens'> is ['tokens', 64], Concat<[[2, 64], [3, 64]], 0> is [5, 64]
 */
export type Concat<Shapes extends readonly Shape[], A extends number, As extends Dim | undefined = undefined> =
  CheckShapes<Shapes> extends true
    ? CheckGiven<As> extends true
      ? Shapes extends readonly [infer First extends Shape, ...infer Rest extends readonly Shape[]]
        ? Join<First, Splice<'concat', First, A, readonly []>, Rest, A, As, DimAt<First, A>>
        : ShapeError<ReturnType<typeof nothing>>
      : CheckGiven<As>
    : CheckShapes<Shapes>

type CheckGiven<As extends Dim | undefined> = [As] extends [undefined] ? true : CheckName<As & Dim>

/** Compares the other dims of every shape with those of the first; `Parts` are the dims on the axis so far. */
type Join<
  First extends Shape,
  Others,
  Rest extends readonly Shape[],
  A extends number,
  As extends Dim | undefined,
  Parts extends Shape,
> = { readonly o: Others } extends { readonly o: ShapeError<string> }
  ? Others
  : Rest extends readonly [infer Next extends Shape, ...infer More extends readonly Shape[]]
    ? Same<Splice<'concat', Next, A, readonly []>, Others> extends true
      ? Join<First, Others, More, A, As, readonly [...Parts, ...DimAt<Next, A>]>
      : Disagreement<First, Next, Axis<'concat', First, A>>
    : SumDim<Parts, As> extends infer D
      ? D extends Dim
        ? Splice<'concat', First, A, readonly [D]>
        : D
      : never

type Disagreement<First extends Shape, Next extends Shape, At> = Next['length'] extends First['length']
  ? Differing<First, Next, At> extends readonly [infer D extends Dim, infer E extends Dim]
    ? ShapeError<ReturnType<typeof dimsDiffer<D, E, Show<First>, Show<Next>>>>
    : never
  : ShapeError<ReturnType<typeof rankDiffers<Show<First>, Show<Next>>>>
/** The first two dims on other axes that differ. */
type Differing<A extends Shape, B extends Shape, At, Seen extends readonly unknown[] = []> = A extends readonly [
  infer D,
  ...infer RestA extends Shape,
]
  ? B extends readonly [infer E, ...infer RestB extends Shape]
    ? Seen['length'] extends At
      ? Differing<RestA, RestB, At, [...Seen, 0]>
      : D extends E
        ? Differing<RestA, RestB, At, [...Seen, 0]>
        : readonly [D, E]
    : never
  : undefined

/** The dim that stands for a sum: its name, or the number. */
type SumDim<Parts extends Shape, As extends Dim | undefined> =
  AllAreNumbers<Parts> extends false
    ? As extends Dim
      ? Named<Parts, As>
      : ShapeError<ReturnType<typeof unnamed<ShowSum<Parts>>>>
    : As extends number
      ? SumDigits<Parts> extends `${As}`
        ? As
        : ShapeError<ReturnType<typeof wrongSum<ShowSum<Parts>, SumDigits<Parts>, As>>>
      : As extends string
        ? Named<Parts, As>
        : ToDim<SumDigits<Parts>>

/** The name, unless the sum differs from it whatever sizes the names have. */
type Named<Parts extends Shape, As extends Dim> =
  Exceeds<Parts, As> extends true
    ? ShapeError<ReturnType<typeof otherSum<ShowSum<Parts>, As>>>
    : FallsShort<Parts, As> extends true
      ? ShapeError<ReturnType<typeof otherSum<ShowSum<Parts>, As>>>
      : As
type AllAreNumbers<S extends Shape> = S extends readonly []
  ? true
  : HeadIsNumber<S> extends true
    ? S extends readonly [Dim, ...infer Rest extends Shape]
      ? AllAreNumbers<Rest>
      : true
    : false

const sumDim = (parts: Shape, as: Dim | undefined): E.Either<string, Dim> => {
  const sum = sumDigits(parts)
  if (as === undefined) return sum === undefined ? E.left(unnamed(showSum(parts))) : toDim(sum)
  if (typeof as === 'number' && sum !== undefined)
    return String(as) === sum ? E.right(as) : E.left(wrongSum(showSum(parts), sum, as))
  return exceeds(parts, as) || fallsShort(parts, as) ? E.left(otherSum(showSum(parts), as)) : E.right(as)
}

const disagreement =
  (first: Shape, at: number) =>
  (next: Shape): string | undefined => {
    if (next.length !== first.length) return rankDiffers(show(first), show(next))
    const axis = first.findIndex((dim, i) => i !== at && dim !== next[i])
    const d = first[axis]
    const e = next[axis]
    return d === undefined || e === undefined ? undefined : dimsDiffer(d, e, show(first), show(next))
  }

/** The twin of the type. */
export const concat = (shapes: readonly Shape[], axis: number, as?: Dim): E.Either<string, Shape> =>
  checked(shapes, () =>
    E.flatMap(as === undefined ? E.right(undefined) : checkDim(as, 'as'), () => {
      const [first, ...rest] = shapes
      return first === undefined
        ? E.left(nothing())
        : E.flatMap(axisOf('concat', first, axis), at => {
            const wrong = rest.map(disagreement(first, at)).find(text => text !== undefined)
            return wrong !== undefined
              ? E.left(wrong)
              : E.map(
                  sumDim(
                    shapes.flatMap(shape => shape.slice(at, at + 1)),
                    as,
                  ),
                  dim => first.map((d, i) => (i === at ? dim : d)),
                )
          })
    }),
  )
/** `unknown`, or the error for the argument's type. */
export type ConcatError<
  Shapes extends readonly Shape[],
  A extends number,
  As extends Dim | undefined = undefined,
> = Fault<Concat<Shapes, A, As>, Shapes>
