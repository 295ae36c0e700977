import * as E from '../../either/index.ts'
import { type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checked, type AreBothDims, type CheckBoth } from './check.ts'
import { productText, type Factored, type Joined, type ProductText } from './product.ts'

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
  AreBothDims<From, To> extends true
    ? Joined<From> extends Joined<To>
      ? readonly [...To]
      : ByFactors<From, To>
    : CheckBoth<From, To> extends true
      ? Same<Factored<From>, Factored<To>> extends true
        ? readonly [...To]
        : ShapeError<ReturnType<typeof reorders<Show<From>, Show<To>, ProductText<From>, ProductText<To>>>>
      : CheckBoth<From, To>
type ByFactors<From extends Shape, To extends Shape> =
  Factored<From> extends Factored<To>
    ? readonly [...To]
    : ShapeError<ReturnType<typeof reorders<Show<From>, Show<To>, ProductText<From>, ProductText<To>>>>
/** The twin of the type. */
export const reshape = (from: Shape, to: Shape): E.Either<string, Shape> =>
  checked([from, to], () => {
    const before = productText(from)
    const after = productText(to)
    return before === after ? E.right(to) : E.left(reorders(show(from), show(to), before, after))
  })
/** `unknown`, or the error for the argument's type. */
export type ReshapeError<From extends Shape, To extends Shape> = Fault<Reshape<From, To>, From>
