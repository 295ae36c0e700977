import * as E from '../../either/index.ts'
import type { Dim, Shape } from './dim.ts'
import { checkDim, checked, type CheckShape, type DimError } from './check.ts'
import { axisOf, type DimAt, type Splice } from './axis.ts'
import { product, type Product } from './product.ts'

/**
 * The shape after an axis is repeated as a whole: its dim is a product, whose first factor is the number of
 * repetitions.
 * @example Tile<['seq', 'hidden'], 0, 'heads'> is ['heads*seq', 'hidden'], Tile<[2, 3], 1, 4> is [2, 12]
 */
export type Tile<S extends Shape, A extends number, Times extends Dim> = Repeated<'tile', S, A, Times>
/**
 * The shape after every element of an axis is repeated: the last factor of its dim is the number of repetitions.
 * @example RepeatAlong<['seq', 'hidden'], 0, 2> is ['seq*2', 'hidden']
 */
export type RepeatAlong<S extends Shape, A extends number, Times extends Dim> = Repeated<'repeatAlong', S, A, Times>

type Repeated<Op extends 'tile' | 'repeatAlong', S extends Shape, A extends number, Times extends Dim> =
  CheckShape<S> extends true
    ? [DimError<Times, 'times'>] extends [never]
      ? DimAt<S, A> extends readonly [infer D extends Dim]
        ? Product<Op extends 'tile' ? readonly [Times, D] : readonly [D, Times]> extends infer P
          ? P extends Dim
            ? Splice<Op, S, A, readonly [P]>
            : P
          : never
        : Splice<Op, S, A, readonly []>
      : DimError<Times, 'times'>
    : CheckShape<S>

const repeated =
  (op: 'tile' | 'repeatAlong') =>
  (shape: Shape, axis: number, times: Dim): E.Either<string, Shape> =>
    checked([shape], () =>
      E.flatMap(checkDim(times, 'times'), () =>
        E.flatMap(axisOf(op, shape, axis), at => {
          const dim = shape.slice(at, at + 1)
          return E.map(product(op === 'tile' ? [times, ...dim] : [...dim, times]), joined => shape.with(at, joined))
        }),
      ),
    )
/** The twin of the type. */
export const tile = repeated('tile')
/** The twin of the type. */
export const repeatAlong = repeated('repeatAlong')
