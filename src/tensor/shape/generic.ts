/**
 * Questions about shapes that `tsc` answers inside functions generic in their dims as well. It leaves a conditional
 * type undecided while the type that is checked is a type parameter, or a tuple with one spread in it. So these put it
 * into an object, which is neither; or they ask for something false even of `any`, which `tsc` takes for a type
 * parameter when it looks for contradictions.
 */
import type { Dim, Shape } from './dim.ts'

/** Whether both are the same type, or the same type parameter; undecided of a type parameter and anything else. */
export type Same<A, B> = { readonly same: A } extends { readonly same: B } ? true : false

/**
 * `never` for `any`, so that nothing with a property of this type could be a type parameter; `unknown` for every dim.
 */
type Known<D> = { readonly x: 0 } extends { readonly x: 1 & D } ? never : unknown

// Each asks a whole tuple. Of a tuple made on the spot `tsc` would decide where the alias is declared, for its own type
// parameters.
/** Whether the first dim is a type parameter. */
export type HeadIsGeneric<S extends Shape> = S extends { readonly length: Known<S[0]> } ? false : true
/** Whether the first dim is known to be the number 1. */
export type HeadIsOne<S extends Shape> = S extends { readonly 0: 1; readonly length: Known<S[0]> } ? true : false
/** Whether the second dim is known to be the number 1. */
export type NextIsOne<S extends readonly [Dim, Dim]> = S extends { readonly 1: 1; readonly length: Known<S[1]> }
  ? true
  : false
/** Whether the first dim is known to be a number. */
export type HeadIsNumber<S extends Shape> = S extends { readonly 0: number; readonly length: Known<S[0]> }
  ? true
  : false

/** Whether a shape has leading dims of unknown number: `[...L, D]`. */
export type IsVariadic<S extends Shape> = { readonly s: S } extends { readonly s: { readonly length: infer N } }
  ? number extends N
    ? true
    : false
  : false
/** Whether there is a type parameter in a shape of unknown rank. */
export type HasGenericDims<S extends Shape> = { readonly s: S } extends {
  readonly s: { readonly length: Known<S[number]> }
}
  ? false
  : true
/** Whether a shape is known to be a scalar's. */
export type IsEmpty<S extends Shape> = { readonly s: S } extends { readonly s: readonly [] } ? true : false
