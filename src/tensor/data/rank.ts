import { show, type Shape, type ShapeError, type Show, type Uninferred } from '../shape/dim.ts'
import type { IsLiteral } from '../shape/check.ts'

/**
 * The typed arrays that a value can be made from. They are told apart by their tags: `tsc` would compare nested arrays
 * with each member of each typed array.
 */
export interface TypedNumbers {
  readonly [Symbol.toStringTag]:
    | 'Float32Array'
    | 'Float64Array'
    | 'Int8Array'
    | 'Uint8Array'
    | 'Uint8ClampedArray'
    | 'Int16Array'
    | 'Uint16Array'
    | 'Int32Array'
    | 'Uint32Array'
  readonly length: number
  readonly [at: number]: number
}

/** The depth at which the type of nested arrays is no longer followed. */
export type Deepest = 8

/**
 * The number of axes of nested arrays; `never` or a union if the type does not fix it.
 * @example Rank<number[][]> is 2
 */
export type Rank<X, Seen extends readonly unknown[] = []> = Seen['length'] extends Deepest
  ? never
  : X extends TypedNumbers
    ? [...Seen, 0]['length']
    : X extends readonly (infer E)[]
      ? Rank<E, [...Seen, 0]>
      : Seen['length']

const differs = <R extends number, S extends string>(rank: R, shape: S) =>
  `tensor: data of rank ${rank} does not fit ${shape}` as const

/**
 * `unknown`, or the reason why nested arrays do not fit a shape: their numbers of axes differ. Flat typed arrays,
 * single numbers and functions fit every shape.
 */
export type RankError<X, S extends Shape> = Uninferred<RankFault<X, S>>
type RankFault<X, S extends Shape> = X extends TypedNumbers | number | boolean | ((...index: never) => unknown)
  ? unknown
  : IsLiteral<Rank<X>> extends true
    ? number extends S['length']
      ? unknown
      : Rank<X> extends S['length']
        ? unknown
        : ShapeError<ReturnType<typeof differs<Rank<X>, Show<S>>>>
    : unknown
/** The twin of the type, for the sizes of nested arrays. */
export const rankFault = (sizes: readonly number[], shape: Shape): string | undefined =>
  sizes.length === shape.length ? undefined : differs(sizes.length, show(shape))
