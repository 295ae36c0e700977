import type { Tensor } from '../node.ts'
import type { Broadcast, Fault, Ok, Shape, ShapeError } from '../shape/index.ts'
import type { DType } from '../value.ts'

/**
 * The types of functions of several tensors with broadcasting, each of which may be a number instead: a scalar with the
 * dtype of the others. In the signatures, a number has no dtype: it is `never`. Conditions on type parameters stand in
 * objects, of which `tsc` decides inside generic functions too.
 */

/** The dtype of an operand beside one with another dtype. */
type Of<D, Beside> = { readonly d: D } extends { readonly d: never }
  ? { readonly d: Beside } extends { readonly d: never }
    ? 'f32'
    : { readonly d: Beside } extends { readonly d: 'i32' }
      ? 'i32'
      : 'f32'
  : D

/** The reason why a number is no scalar of a dtype. A number that is not written out is checked at run time. */
export type NumberFault<Name extends string, N, D> = { readonly d: D } extends { readonly d: never }
  ? unknown
  : { readonly d: D } extends { readonly d: 'i32' }
    ? N extends number
      ? number extends N
        ? unknown
        : `${N}` extends `${bigint}`
          ? unknown
          : ShapeError<`${Name}: ${N} is no 32-bit integer`>
      : unknown
    : unknown

type Text<D> = D & string
/** The reason why the dtypes of two operands are refused, or else another reason. */
type TypesFault<Name extends string, Takes extends DType, D, E, Else> = { readonly d: Of<D, E> } extends {
  readonly d: Of<E, D>
}
  ? { readonly d: Of<D, E> } extends { readonly d: Takes }
    ? Else
    : ShapeError<`${Name}: takes ${Takes}, not ${Text<Of<D, E>>}: cast it`>
  : ShapeError<`${Name}: ${Text<Of<D, E>>} and ${Text<Of<E, D>>} differ: cast one`>

/** The shape of two operands together: that of a tensor beside a number, or what the rule gives. */
type Together<A extends Shape, D, B extends Shape, E> = { readonly e: E } extends { readonly e: never }
  ? A
  : { readonly d: D } extends { readonly d: never }
    ? B
    : Ok<Broadcast<A, B>, A>
/** `unknown`, or the reason why the shapes of two operands are refused. */
type ShapesFault<A extends Shape, D, B extends Shape, E> = { readonly e: E } extends { readonly e: never }
  ? unknown
  : { readonly d: D } extends { readonly d: never }
    ? unknown
    : Fault<Broadcast<A, B>, A>

/**
 * An elementwise function of two tensors with the same dtype, broadcast from the right; either may be a number.
 * `Gives` is the dtype of its result, `same` if it is that of the operands.
 */
// the overload whose argument carries the error is last, because `tsc` prints its text
export interface Binary<Name extends string, Gives extends DType | 'same'> {
  <S extends Shape>(a: Tensor<S>, b: number): Tensor<S, Gives extends DType ? Gives : 'f32'>
  <S extends Shape>(a: number, b: Tensor<S>): Tensor<S, Gives extends DType ? Gives : 'f32'>
  <S extends Shape, N extends number>(
    a: Tensor<S, 'i32'>,
    b: N & NumberFault<Name, N, 'i32'>,
  ): Tensor<S, Gives extends DType ? Gives : 'i32'>
  <S extends Shape, E extends DType>(
    a: Tensor<S, E>,
    b: Tensor<readonly [], E>,
  ): Tensor<S, Gives extends DType ? Gives : E>
  <S extends Shape, E extends DType>(a: Tensor<S, E>, b: Tensor<S, E>): Tensor<S, Gives extends DType ? Gives : E>
  <A extends Shape, B extends Shape, E extends DType>(
    a: Tensor<A, E>,
    b: Tensor<B, E> & Fault<Broadcast<A, B>, A>,
  ): Tensor<Ok<Broadcast<A, B>, A>, Gives extends DType ? Gives : E>
  <
    A extends Shape = readonly [],
    B extends Shape = readonly [],
    D extends DType = never,
    E extends DType = never,
    M extends number = number,
    N extends number = number,
  >(
    a: Tensor<A, D> | M,
    b: (Tensor<B, E> | N) &
      TypesFault<Name, DType, D, E, NumberFault<Name, M, E> & NumberFault<Name, N, D> & ShapesFault<A, D, B, E>>,
  ): Tensor<
    // the expected dtype of a call says nothing about its operands
    Together<A, D, B, E>,
    Gives extends DType ? Gives : Of<NoInfer<D>, NoInfer<E>>
  >
}

/** An elementwise function of two tensors of truth values, broadcast from the right. */
export interface Logical<Name extends string> {
  <S extends Shape>(a: Tensor<readonly [], 'bool'>, b: Tensor<S, 'bool'>): Tensor<S, 'bool'>
  <S extends Shape>(a: Tensor<S, 'bool'>, b: Tensor<readonly [], 'bool'>): Tensor<S, 'bool'>
  <S extends Shape>(a: Tensor<S, 'bool'>, b: Tensor<S, 'bool'>): Tensor<S, 'bool'>
  <A extends Shape, B extends Shape, D extends DType, E extends DType>(
    a: Tensor<A, D>,
    b: Tensor<B, E> & TypesFault<Name, 'bool', D, E, Fault<Broadcast<A, B>, A>>,
  ): Tensor<Ok<Broadcast<A, B>, A>, 'bool'>
}

/** The shape of three operands together, of which the first is a tensor; or the reason why there is none. */
type Chosen<C extends Shape, A extends Shape, D, B extends Shape, E> = { readonly d: D } extends { readonly d: never }
  ? { readonly e: E } extends { readonly e: never }
    ? C
    : Broadcast<C, B>
  : { readonly e: E } extends { readonly e: never }
    ? Broadcast<C, A>
    : { readonly r: Broadcast<C, A> } extends { readonly r: infer S extends Shape }
      ? Broadcast<S, B>
      : Broadcast<C, A>

/** A choice between two tensors with the same dtype by a condition, broadcast from the right. */
export interface Select {
  <S extends Shape, E extends DType>(condition: Tensor<S, 'bool'>, a: Tensor<S, E>, b: Tensor<S, E>): Tensor<S, E>
  <S extends Shape>(condition: Tensor<S, 'bool'>, a: Tensor<S> | number, b: Tensor<S> | number): Tensor<S>
  <S extends Shape, E extends DType>(
    condition: Tensor<S, 'bool'>,
    a: Tensor<S, E>,
    b: Tensor<readonly [], E>,
  ): Tensor<S, E>
  <
    C extends Shape,
    K extends DType,
    A extends Shape = readonly [],
    B extends Shape = readonly [],
    D extends DType = never,
    E extends DType = never,
    M extends number = number,
    N extends number = number,
  >(
    condition: Tensor<C, K> & ConditionError<K>,
    a: Tensor<A, D> | M,
    b: (Tensor<B, E> | N) &
      TypesFault<
        'select',
        DType,
        D,
        E,
        NumberFault<'select', M, E> & NumberFault<'select', N, D> & Fault<Chosen<C, A, D, B, E>, C>
      >,
  ): Tensor<Ok<Chosen<C, A, D, B, E>, C>, Of<NoInfer<D>, NoInfer<E>>>
}
type ConditionError<K extends DType> = K extends 'bool'
  ? unknown
  : ShapeError<`select: the condition is ${K}, not bool`>
