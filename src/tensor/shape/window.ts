import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError } from './dim.ts'
import type { HeadIsGeneric, HeadIsNumber } from './generic.ts'
import { checkDim, checked, type CheckName, type CheckShapes, type DimError } from './check.ts'
import { axisOf, type DimAt, type Splice } from './axis.ts'
import { type AddDigits, type DigitsAtMost, type FloorDivideDigits, type MultiplyDigits } from './digits.ts'
import type { SubtractDigits } from './differ.ts'
import type { ToDim } from './product.ts'
import { partOf, type PartOf } from './split.ts'
import { around, windowsOn, type WindowSteps } from './window-steps.ts'

const noPadding = <Op extends string>(op: Op) => `${op}: the padding is no whole number` as const
const larger = <Op extends string, K extends Dim, N extends Dim>(op: Op, k: K, n: N) =>
  `${op}: a window of ${k} is larger than ${n} with its padding` as const
const nameless = <Op extends string, K extends Dim, N extends Dim>(op: Op, k: K, n: N) =>
  `${op}: the number of windows of ${k} on ${n} has no name: specify as` as const
const otherCount = <Op extends string, M extends Dim, K extends Dim, N extends Dim, As extends Dim>(
  op: Op,
  count: M,
  k: K,
  n: N,
  as: As,
) => `${op}: there are ${count} windows of ${k} on ${n}, not ${as}` as const

type Before<P> = P extends readonly [infer N extends number, number] ? N : P extends number ? P : 0
type After<P> = P extends readonly [number, infer N extends number] ? N : P extends number ? P : 0
type Around<P> = AddDigits<`${Before<P>}`, `${After<P>}`>
type IsWhole<N extends number> = `${N}` extends `${bigint}` ? (`${N}` extends `-${string}` ? false : true) : false

/** `true`, or the reason why steps are refused. */
type CheckSteps<Op extends string, G extends WindowSteps> = [DimError<G['stride'], 'stride'>] extends [never]
  ? [DimError<G['dilation'], 'dilation'>] extends [never]
    ? readonly [IsWhole<Before<G['padding']>>, IsWhole<After<G['padding']>>] extends readonly [true, true]
      ? true
      : ShapeError<ReturnType<typeof noPadding<Op>>>
    : DimError<G['dilation'], 'dilation'>
  : DimError<G['stride'], 'stride'>

/** dilation * K, one less than the places from the begin of a window to the begin of what would be its next place. */
type Reach<K extends Dim, G extends WindowSteps> = MultiplyDigits<`${G['dilation']}`, `${K}`>
/** The padding plus the dilation. */
type Slack<G extends WindowSteps> = AddDigits<Around<G['padding']>, `${G['dilation']}`>

/**
 * Tests whether stride·m places have m windows, whatever m is: the padding is less than a window, and together with a
 * stride at least one.
 */
type Divides<K extends Dim, G extends WindowSteps> =
  DigitsAtMost<Slack<G>, Reach<K, G>> extends true
    ? DigitsAtMost<AddDigits<Reach<K, G>, '1'>, AddDigits<Slack<G>, `${G['stride']}`>>
    : false

/** The number of windows in a tuple; an empty one if it is not known, or the error. */
type Counted<Op extends string, N extends Shape, K extends Shape, G extends WindowSteps> = G['padding'] extends 'same'
  ? Part<N, G['stride']> extends readonly []
    ? Rounded<N, G['stride']>
    : Part<N, G['stride']>
  : HeadIsNumber<K> extends true
    ? Divides<K[0] & Dim, G> extends true
      ? Part<N, G['stride']> extends readonly []
        ? Computed<Op, N, K, G>
        : Part<N, G['stride']>
      : Computed<Op, N, K, G>
    : readonly []

/** A part of a dim that is divided by a number, in a tuple. */
type Part<N extends Shape, Step extends number> = Step extends 1
  ? readonly [N[0]]
  : HeadIsGeneric<N> extends true
    ? readonly []
    : PartOf<N[0] & Dim, Step> extends infer M extends Dim
      ? readonly [M]
      : N[0] extends `${infer M}*${Step}`
        ? readonly [M]
        : readonly []

/** ⌈N / Step⌉ of a number. */
type Rounded<N extends Shape, Step extends number> =
  HeadIsNumber<N> extends true
    ? readonly [ToDim<FloorDivideDigits<SubtractDigits<AddDigits<`${N[0] & number}`, `${Step}`>, '1'>, Step>>]
    : readonly []

/** ⌊(N + padding - dilation (K - 1) - 1) / stride⌋ + 1 of numbers. */
type Computed<Op extends string, N extends Shape, K extends Shape, G extends WindowSteps> =
  HeadIsNumber<N> extends true
    ? DigitsAtMost<AddDigits<Reach<K[0] & Dim, G>, '1'>, AddDigits<`${N[0] & number}`, Slack<G>>> extends true
      ? readonly [
          ToDim<
            FloorDivideDigits<
              SubtractDigits<
                AddDigits<AddDigits<`${N[0] & number}`, Slack<G>>, `${G['stride']}`>,
                AddDigits<Reach<K[0] & Dim, G>, '1'>
              >,
              G['stride']
            >
          >,
        ]
      : ShapeError<ReturnType<typeof larger<Op, K[0] & Dim, N[0] & Dim>>>
    : readonly []

/**
 * The dim of the number of windows on an axis, in a tuple: what numbers give, what divides a dim, or the name `As`. `N`
 * and `K` are the dims of the axis and of a window, each in a tuple.
 * @example WindowsAlong<'conv2d', ['height'], [3], { stride: 1; dilation: 1; padding: 'same' }, undefined> is ['height']
 */
export type WindowsAlong<
  Op extends string,
  N extends Shape,
  K extends Shape,
  G extends WindowSteps,
  As extends Dim | undefined,
> = CheckSteps<Op, G> extends true ? Called<Op, N, K, Counted<Op, N, K, G>, As> : CheckSteps<Op, G>
type Called<Op extends string, N extends Shape, K extends Shape, Count, As extends Dim | undefined> =
  Count extends ShapeError<string>
    ? Count
    : [As] extends [Dim]
      ? CheckName<As> extends true
        ? As extends number
          ? Count extends readonly [infer M extends number]
            ? [M] extends [As]
              ? readonly [As]
              : ShapeError<ReturnType<typeof otherCount<Op, M, K[0] & Dim, N[0] & Dim, As>>>
            : readonly [As]
          : readonly [As]
        : CheckName<As>
      : Count extends readonly []
        ? ShapeError<ReturnType<typeof nameless<Op, K[0] & Dim, N[0] & Dim>>>
        : Count

const part = (n: Dim, step: number): Dim | undefined =>
  partOf(n, step) ?? (String(n).endsWith(`*${step}`) ? String(n).slice(0, -1 - String(step).length) : undefined)

/** The number of windows, if the dims tell it; 0 if a window is larger than the axis. */
const counted = (n: Dim, k: Dim, steps: WindowSteps): Dim | undefined => {
  const { stride, dilation, padding } = steps
  if (padding === 'same') return part(n, stride) ?? (typeof n === 'number' ? windowsOn(n, 1, steps).count : undefined)
  if (typeof k !== 'number') return undefined
  const [before, after] = around(padding)
  const slack = before + after + dilation
  const divides = slack <= dilation * k && dilation * k + 1 <= slack + stride
  return (divides ? part(n, stride) : undefined) ?? (typeof n === 'number' ? windowsOn(n, k, steps).count : undefined)
}

const isWhole = (n: number): boolean => Number.isInteger(n) && n >= 0

/** The twin of the type. */
export const windowsAlong = (
  op: string,
  n: Dim,
  k: Dim,
  steps: WindowSteps,
  as: Dim | undefined,
): E.Either<string, Dim> => {
  const { stride, dilation, padding } = steps
  const wrong = [checkDim(stride, 'stride'), checkDim(dilation, 'dilation')].find(E.isLeft)
  if (wrong) return wrong
  if (padding !== 'same' && !around(padding).every(isWhole)) return E.left(noPadding(op))
  const count = counted(n, k, steps)
  if (count === 0) return E.left(larger(op, k, n))
  if (as === undefined) return count === undefined ? E.left(nameless(op, k, n)) : E.right(count)
  return E.flatMap(checkDim(as, 'as'), () =>
    typeof as === 'number' && typeof count === 'number' && as !== count
      ? E.left(otherCount(op, count, k, n, as))
      : E.right(as),
  )
}

/**
 * The shape with windows in place of an axis: `[…, n, …]` becomes `[…, windows, K, …]`.
 * @example WindowsOf<['batch', 6, 'channels'], 1, 3, { stride: 1; dilation: 1; padding: 'valid' }> is ['batch', 4, 3, 'channels']
 */
export type WindowsOf<
  S extends Shape,
  A extends number,
  K extends Dim,
  G extends WindowSteps,
  As extends Dim | undefined = undefined,
> =
  CheckShapes<readonly [S, readonly [K]]> extends true
    ? DimAt<S, A> extends readonly []
      ? Splice<'windows', S, A, readonly []>
      : WindowsAlong<'windows', DimAt<S, A>, readonly [K], G, As> extends infer Count
        ? Count extends ShapeError<string>
          ? Count
          : Count extends Shape
            ? Splice<'windows', S, A, readonly [...Count, K]>
            : never
        : never
    : CheckShapes<readonly [S, readonly [K]]>
/** The twin of the type. */
export const windowsOf = (shape: Shape, axis: number, k: Dim, steps: WindowSteps, as?: Dim): E.Either<string, Shape> =>
  checked([shape, [k]], () =>
    E.flatMap(axisOf('windows', shape, axis), at =>
      E.map(windowsAlong('windows', shape[at] ?? 1, k, steps, as), count => shape.toSpliced(at, 1, count, k)),
    ),
  )
