import type { Steps } from '../op/windows.ts'
import type { WindowPadding } from '../shape/index.ts'

/** The geometry of a convolution of two axes: numbers for both, or one for each. */
export interface PairGeometry<
  N extends number,
  M extends number,
  I extends number,
  J extends number,
  P extends WindowPadding,
  Q extends WindowPadding,
  A,
  B,
> {
  /** The distance from one window to the next (default: 1). */
  readonly stride?: N | readonly [N, M]
  /** The distance from one place of a window to the next (default: 1). */
  readonly dilation?: I | readonly [I, J]
  /** The zeros around the image (default: `valid`): a number on all sides, or what each axis has. */
  readonly padding?: Exclude<P, readonly unknown[]> | readonly [P, Q]
  /** The names of the result's height and width, if they do not follow from the dims. */
  readonly as?: readonly [A, B]
}
/** The same with the groups of channels that are convolved by themselves. */
export interface Grouped<G> {
  /** The number of groups: the channels are `groups*in`, and the results `groups*…`. */
  readonly groups?: G
}
/** The geometry of a convolution of one axis. */
export interface Geometry<N extends number, I extends number, P extends WindowPadding, A> extends Partial<
  Steps<N, I, P>
> {
  /** The name of the result's axis, if it does not follow from the dims. */
  readonly as?: A
}
