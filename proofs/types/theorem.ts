import type { Shape, ShapeError } from '../../src/tensor/shape/index.ts'
import type { Equal } from '../../test/support/expect-type.ts'

/** The type that `tsc` prints for a law whose sides are two types. */
export interface Differ<Left, Right> {
  readonly left: Left
  readonly right: Right
}
/** The type that `tsc` prints for a law that holds vacuously: a side is an error, `never` or `any`. */
export interface Vacuous<Side> {
  readonly side: Side
}

type IsAny<T> = 0 extends 1 & T ? true : false
type SaysNothing<T> =
  IsAny<T> extends true ? true : [T] extends [never] ? true : [T] extends [ShapeError<string>] ? true : false

/**
 * Tests whether both sides of a law are the same type. Two errors, two `never`s or two `any`s are not the same: a law
 * that is refused everywhere would hold everywhere.
 * @example Same<MatMul<['a', 'b'], ['b', 'c']>, readonly ['a', 'c']> is true
 */
export type Same<Left, Right> =
  SaysNothing<Left> extends true
    ? Vacuous<Left>
    : SaysNothing<Right> extends true
      ? Vacuous<Right>
      : Equal<Left, Right> extends true
        ? true
        : Differ<Left, Right>

/** Both laws: the first that is not true, else the second. */
export type Both<First, Second> = First extends true ? Second : First

/**
 * A law over a table of cases: a line that does not type-check unless there are cases and each is true (neither `never`
 * nor `any`, which pass for it).
 * @example Theorem<[Same<1, 1>, Same<2, 2>]>
 */
export type Theorem<Cases extends readonly [true, ...true[]] & Decided<Cases>> = Cases
type Decided<Cases extends readonly unknown[]> = true extends {
  readonly [K in keyof Cases]: IsAny<Cases[K]> extends true ? true : [Cases[K]] extends [never] ? true : false
}[number]
  ? Vacuous<never>
  : unknown

/**
 * The shape that a rule gives, so that rules compose. An error becomes the shape without a rank, which every rule
 * refuses; `never` would go through. A law binds it with `infer` before the next rule: `tsc` would decide a rule inside
 * a rule where the law is declared.
 */
export type Shaped<Result> = [Result] extends [never] ? Shape : Result extends Shape ? Result : Shape

/**
 * Evidence about T, invariant in it. A generic function `(left: Is<L>): Is<R> => left` type-checks only if L and R are
 * the same for **every** instance of its type parameters: it is a proof, not a table. (`any` would pass too, so each
 * such proof has an instance that {@link Same} checks.)
 */
export interface Is<in out T> {
  readonly is: (of: T) => T
}
