/**
 * Tests of shapes that `tsc` also decides inside functions that are generic in their dims. It leaves a conditional type
 * undecided if the checked type is a type parameter, or a tuple that spreads one. So these tests wrap it in an object,
 * which is neither; or they test something that is false even for `any`, which `tsc` substitutes for a type parameter
 * when it looks for contradictions.
 */
import type { Dim, Shape } from './dim.ts'

/**
 * Tests whether both are the same type, or the same type parameter; undecided for a type parameter and anything else.
 */
export type Same<A, B> = { readonly same: A } extends { readonly same: B } ? true : false

/**
 * `never` for `any`, so that nothing with a property of this type could be a type parameter; `unknown` for every dim.
 */
type Known<D> = { readonly x: 0 } extends { readonly x: 1 & D } ? never : unknown

// Each tests a whole tuple. For a tuple built on the spot, `tsc` would decide at the declaration of the alias, for its
// own type parameters.
/** Tests whether the first dim is a type parameter. */
export type HeadIsGeneric<S extends Shape> = S extends { readonly length: Known<S[0]> } ? false : true
/** Tests whether the first dim is known to be the number 1. */
export type HeadIsOne<S extends Shape> = S extends { readonly 0: 1; readonly length: Known<S[0]> } ? true : false
/** Tests whether the second dim is known to be the number 1. */
export type NextIsOne<S extends readonly [Dim, Dim]> = S extends { readonly 1: 1; readonly length: Known<S[1]> }
  ? true
  : false
/** Tests whether the first dim is known to be a number. */
export type HeadIsNumber<S extends Shape> = S extends { readonly 0: number; readonly length: Known<S[0]> }
  ? true
  : false

/** Tests whether a shape has leading dims of unknown number: `[...L, D]`. */
export type IsVariadic<S extends Shape> = { readonly s: S } extends { readonly s: { readonly length: infer N } }
  ? number extends N
    ? true
    : false
  : false
/** Tests whether a shape of unknown rank contains a type parameter. */
export type HasGenericDims<S extends Shape> = { readonly s: S } extends {
  readonly s: { readonly length: Known<S[number]> }
}
  ? false
  : true
/** Tests whether a shape is known to be a scalar's. */
export type IsEmpty<S extends Shape> = { readonly s: S } extends { readonly s: readonly [] } ? true : false
