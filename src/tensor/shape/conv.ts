import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checkDim, checked, type CheckName, type CheckShapes } from './check.ts'
import type { DimAt } from './axis.ts'
import { product, type Product } from './product.ts'
import type { PartOf } from './split.ts'
import { windowsAlong, type WindowsAlong } from './window.ts'
import type { WindowPadding, WindowSteps } from './window-steps.ts'

const wrongRank = <Op extends string, S extends string, Axes extends string>(op: Op, shape: S, axes: Axes) =>
  `${op}: ${shape} is not ${axes}` as const
const otherChannels = <Op extends string, I extends Dim, C extends Dim>(op: Op, takes: I, given: C) =>
  `${op}: the weight takes ${takes} channels, not ${given}` as const
const otherGroups = <Op extends string, G extends Dim, I extends Dim, C extends Dim>(op: Op, g: G, of: I, given: C) =>
  `${op}: ${g} groups of ${of} channels are not ${given}` as const
const undivided = <Op extends string, O extends Dim, G extends Dim>(op: Op, out: O, g: G) =>
  `${op}: ${out} channels are no multiple of ${g} groups` as const

/** One value for two axes, or one for each. */
export type Pair<T> = T | readonly [rows: T, columns: T]
/** The steps of two axes. */
export interface PairSteps {
  readonly stride: Pair<number>
  readonly dilation: Pair<number>
  readonly padding: Pair<WindowPadding>
}

/** `true`, or the reason why a weight does not fit the channels of its input. */
type CheckChannels<Op extends string, C extends Shape, I extends Shape, O extends Dim, G extends Dim | undefined> = [
  G,
] extends [Dim]
  ? CheckName<G> extends true
    ? Same<Product<readonly [G, I[0] & Dim]>, C[0]> extends true
      ? IsMultiple<O, G> extends true
        ? true
        : ShapeError<ReturnType<typeof undivided<Op, O, G>>>
      : ShapeError<ReturnType<typeof otherGroups<Op, G, I[0] & Dim, C[0] & Dim>>>
    : CheckName<G>
  : Same<C, I> extends true
    ? true
    : ShapeError<ReturnType<typeof otherChannels<Op, I[0] & Dim, C[0] & Dim>>>
/** Tests whether a dim is a multiple of another one; two numbers are compared by the value. */
type IsMultiple<O extends Dim, G extends Dim> =
  Same<O, G> extends true
    ? true
    : O extends number
      ? G extends number
        ? DivideBy<O, G>
        : false
      : O extends `${G}*${string}`
        ? true
        : false
type DivideBy<O extends number, G extends number> = PartOf<O, G> extends Dim ? true : false

/** The shape with new dims of the last axes, or the first error among them. */
type Ending<S extends Shape, Rows, Columns, O extends Dim> =
  Rows extends ShapeError<string>
    ? Rows
    : Columns extends ShapeError<string>
      ? Columns
      : { readonly s: S } extends { readonly s: readonly [...infer L extends Shape, unknown, unknown, unknown] }
        ? readonly [...L, Rows[0 & keyof Rows], Columns[0 & keyof Columns], O]
        : never

/** The shape of images whose windows have the sizes of a weight, with other channels, or the first error. */
export type Images<
  Op extends string,
  S extends Shape,
  W extends Shape,
  G extends WindowSteps,
  H extends WindowSteps,
  A extends Dim | undefined,
  B extends Dim | undefined,
  O extends Dim,
> = Ending<S, WindowsAlong<Op, DimAt<S, -3>, DimAt<W, 0>, G, A>, WindowsAlong<Op, DimAt<S, -2>, DimAt<W, 1>, H, B>, O>

/**
 * The shape of a convolution: `[…, height, width, in]` with a weight `[rows, columns, in, out]` becomes
 * `[…, rows of windows, columns of windows, out]`.
 * @example Conv2d<['batch', 8, 8, 'in'], [3, 3, 'in', 'out'], Half, Half> for steps of 2 is ['batch', 4, 4, 'out']
 */
export type Conv2d<
  S extends Shape,
  W extends Shape,
  G extends WindowSteps,
  H extends WindowSteps,
  Groups extends Dim | undefined = undefined,
  A extends Dim | undefined = undefined,
  B extends Dim | undefined = undefined,
  Op extends string = 'conv2d',
> =
  CheckShapes<readonly [S, W]> extends true
    ? DimAt<S, -3>['length'] extends 1
      ? W['length'] extends 4
        ? CheckChannels<Op, DimAt<S, -1>, readonly [W[2]], W[3] & Dim, Groups> extends true
          ? Images<Op, S, W, G, H, A, B, W[3] & Dim>
          : CheckChannels<Op, DimAt<S, -1>, readonly [W[2]], W[3] & Dim, Groups>
        : ShapeError<ReturnType<typeof wrongRank<Op, Show<W>, '[rows, columns, in, out]'>>>
      : ShapeError<ReturnType<typeof wrongRank<Op, Show<S>, '[..., height, width, channels]'>>>
    : CheckShapes<readonly [S, W]>

/**
 * The shape of a convolution of each channel by itself: `[…, height, width, channels]` with a weight
 * `[rows, columns, channels]`.
 * @example DepthwiseConv2d<['batch', 8, 8, 'c'], [3, 3, 'c'], Same, Same> is ['batch', 8, 8, 'c']
 */
export type DepthwiseConv2d<
  S extends Shape,
  W extends Shape,
  G extends WindowSteps,
  H extends WindowSteps,
  A extends Dim | undefined = undefined,
  B extends Dim | undefined = undefined,
  Op extends string = 'depthwiseConv2d',
> =
  CheckShapes<readonly [S, W]> extends true
    ? DimAt<S, -3>['length'] extends 1
      ? W['length'] extends 3
        ? CheckChannels<Op, DimAt<S, -1>, readonly [W[2]], 1, undefined> extends true
          ? Images<Op, S, W, G, H, A, B, W[2] & Dim>
          : CheckChannels<Op, DimAt<S, -1>, readonly [W[2]], 1, undefined>
        : ShapeError<ReturnType<typeof wrongRank<Op, Show<W>, '[rows, columns, channels]'>>>
      : ShapeError<ReturnType<typeof wrongRank<Op, Show<S>, '[..., height, width, channels]'>>>
    : CheckShapes<readonly [S, W]>

export type Ending1d<S extends Shape, Steps, O extends Dim> =
  Steps extends ShapeError<string>
    ? Steps
    : { readonly s: S } extends { readonly s: readonly [...infer L extends Shape, unknown, unknown] }
      ? readonly [...L, Steps[0 & keyof Steps], O]
      : never
/**
 * The shape of a convolution over one axis: `[…, time, in]` with a weight `[places, in, out]`.
 * @example Conv1d<['batch', 'time', 'in'], [3, 'in', 'out'], { stride: 1; dilation: 2; padding: 'same' }> is ['batch', 'time', 'out']
 */
export type Conv1d<
  S extends Shape,
  W extends Shape,
  G extends WindowSteps,
  Groups extends Dim | undefined = undefined,
  As extends Dim | undefined = undefined,
> =
  CheckShapes<readonly [S, W]> extends true
    ? DimAt<S, -2>['length'] extends 1
      ? W['length'] extends 3
        ? CheckChannels<'conv1d', DimAt<S, -1>, readonly [W[1]], W[2] & Dim, Groups> extends true
          ? Ending1d<S, WindowsAlong<'conv1d', DimAt<S, -2>, DimAt<W, 0>, G, As>, W[2] & Dim>
          : CheckChannels<'conv1d', DimAt<S, -1>, readonly [W[1]], W[2] & Dim, Groups>
        : ShapeError<ReturnType<typeof wrongRank<'conv1d', Show<W>, '[places, in, out]'>>>
      : ShapeError<ReturnType<typeof wrongRank<'conv1d', Show<S>, '[..., time, channels]'>>>
    : CheckShapes<readonly [S, W]>

/** The steps of both axes. */
export const pairOf = ({ stride, dilation, padding }: PairSteps): readonly [WindowSteps, WindowSteps] => {
  const at = (i: 0 | 1): WindowSteps => ({
    stride: typeof stride === 'number' ? stride : stride[i],
    dilation: typeof dilation === 'number' ? dilation : dilation[i],
    padding: typeof padding === 'object' ? padding[i] : padding,
  })
  return [at(0), at(1)]
}

const isMultiple = (dim: Dim, of: Dim): boolean => {
  if (dim === of) return true
  if (typeof dim === 'number') return typeof of === 'number' && dim % of === 0
  return dim.startsWith(`${of}*`)
}
const checkChannels = (
  op: string,
  given: Dim,
  takes: Dim,
  out: Dim,
  groups: Dim | undefined,
): E.Either<string, unknown> => {
  if (groups === undefined) return given === takes ? E.right(given) : E.left(otherChannels(op, takes, given))
  return E.flatMap(checkDim(groups, 'groups'), () =>
    E.flatMap(product([groups, takes]), all =>
      all !== given
        ? E.left(otherGroups(op, groups, takes, given))
        : isMultiple(out, groups)
          ? E.right(given)
          : E.left(undivided(op, out, groups)),
    ),
  )
}

/** The arguments of the value twin of all three types. */
interface Convolved {
  readonly op: string
  /** The steps of each axis. */
  readonly steps: readonly WindowSteps[]
  readonly depthwise: boolean
  readonly groups: Dim | undefined
  readonly as: readonly (Dim | undefined)[] | undefined
}
/** The twin of the three types. */
export const convolved = (
  shape: Shape,
  weight: Shape,
  { op, steps, depthwise, groups, as }: Convolved,
): E.Either<string, Shape> =>
  checked([shape, weight], () => {
    const n = steps.length
    const lead = shape.length - n - 1
    const [given, takes, out = takes] = [shape.at(-1), ...weight.slice(n)]
    const [axes, places] = n === 2 ? ['height, width', 'rows, columns'] : ['time', 'places']
    if (lead < 0 || given === undefined) return E.left(wrongRank(op, show(shape), `[..., ${axes}, channels]`))
    if (weight.length !== n + (depthwise ? 1 : 2) || takes === undefined || out === undefined)
      return E.left(wrongRank(op, show(weight), `[${places}, ${depthwise ? 'channels' : 'in, out'}]`))
    return E.flatMap(checkChannels(op, given, takes, out, groups), () =>
      E.map(
        E.traverseArray(([i, of]: readonly [number, WindowSteps]) =>
          windowsAlong(op, shape[lead + i] ?? 1, weight[i] ?? 1, of, as?.[i]),
        )([...steps.entries()]),
        windows => [...shape.slice(0, lead), ...windows, out],
      ),
    )
  })
