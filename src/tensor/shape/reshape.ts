import * as E from 'fp-ts/lib/Either.js'
import { type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checked, type CheckShapes } from './check.ts'
import { productText, type Factored, type ProductText } from './product.ts'

const reorders = <A extends string, B extends string, P extends string, Q extends string>(
  from: A,
  to: B,
  before: P,
  after: Q,
) => `reshape: ${from} cannot become ${to}: ${before} is not ${after}` as const

/**
 * A reshape that only splits and merges neighbours, so names keep their order: both shapes have the same product.
 * @example Reshape<['batch', 'seq', 'heads*headDim'], ['batch*seq', 'heads', 'headDim']> is the second shape
 */
export type Reshape<From extends Shape, To extends Shape> =
  CheckShapes<readonly [From, To]> extends true
    ? Same<Factored<From>, Factored<To>> extends true
      ? Readonly<To>
      : ShapeError<ReturnType<typeof reorders<Show<From>, Show<To>, ProductText<From>, ProductText<To>>>>
    : CheckShapes<readonly [From, To]>
/** The twin of the type. */
export const reshape = (from: Shape, to: Shape): E.Either<string, Shape> =>
  checked([from, to], () => {
    const before = productText(from)
    const after = productText(to)
    return before === after ? E.right(to) : E.left(reorders(show(from), show(to), before, after))
  })
/** `unknown`, or the error for the argument's type. */
export type ReshapeError<From extends Shape, To extends Shape> = Fault<Reshape<From, To>>
