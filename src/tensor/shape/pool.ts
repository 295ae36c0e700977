import type { DimAt } from './axis.ts'
import type { CheckShapes } from './check.ts'
import type { Ending1d, Images } from './conv.ts'
import type { Dim, Shape, ShapeError, Show } from './dim.ts'
import type { WindowsAlong } from './window.ts'
import type { WindowSteps } from './window-steps.ts'

/**
 * The shape of images that are pooled over windows of the sizes `K`.
 * @example Pool2d<'maxPool2d', ['batch', 8, 8, 'c'], [2, 2], Half, Half> for steps of 2 is ['batch', 4, 4, 'c']
 */
export type Pool2d<
  Op extends string,
  S extends Shape,
  K extends Shape,
  G extends WindowSteps,
  H extends WindowSteps,
  A extends Dim | undefined = undefined,
  B extends Dim | undefined = undefined,
> =
  CheckShapes<readonly [S, K]> extends true
    ? DimAt<S, -3>['length'] extends 1
      ? Images<Op, S, K, G, H, A, B, DimAt<S, -1>[0] & Dim>
      : ShapeError<`${Op}: ${Show<S>} is not [..., height, width, channels]`>
    : CheckShapes<readonly [S, K]>
/** The shape of sequences that are pooled over windows of a size. */
export type Pool1d<
  Op extends string,
  S extends Shape,
  K extends Shape,
  G extends WindowSteps,
  A extends Dim | undefined = undefined,
> =
  CheckShapes<readonly [S, K]> extends true
    ? DimAt<S, -2>['length'] extends 1
      ? Ending1d<S, WindowsAlong<Op, DimAt<S, -2>, DimAt<K, 0>, G, A>, DimAt<S, -1>[0] & Dim>
      : ShapeError<`${Op}: ${Show<S>} is not [..., time, channels]`>
    : CheckShapes<readonly [S, K]>
