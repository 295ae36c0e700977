import * as E from '../../either/index.ts'
import type { Dim, Shape } from './dim.ts'
import type { HeadIsGeneric } from './generic.ts'
import { checkDim, checked, type DimError } from './check.ts'
import { axisOf } from './axis.ts'

/** The checks that rules share whose parts of an axis begin after some sizes: slices, padding, strides. */

/** `true`, or the reason why the first bad dim before a part is refused. */
export type CheckStart<Start extends Shape> = Start extends readonly [infer D extends Dim, ...infer Rest extends Shape]
  ? HeadIsGeneric<Start> extends true
    ? CheckStart<Rest>
    : [DimError<D, 'start'>] extends [never]
      ? CheckStart<Rest>
      : DimError<D, 'start'>
  : true

/** Checks the arguments of such a rule; `then` receives the axis and its dim. */
export const checkedParts = (
  op: string,
  [shape, axis, as, start, step = 1]: readonly [Shape, number, Dim, Shape, step?: number],
  then: (at: number, dim: Dim) => E.Either<string, Shape>,
): E.Either<string, Shape> =>
  checked([shape], () =>
    E.flatMap(
      E.flatMap(checkDim(as, 'as'), () => checkDim(step, 'step')),
      () =>
        start.map(dim => checkDim(dim, 'start')).find(E.isLeft) ??
        E.flatMap(axisOf(op, shape, axis), at => then(at, shape[at] ?? 1)),
    ),
  )
