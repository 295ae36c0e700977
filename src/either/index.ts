/**
 * A value, or the reason why there is none. The types are those of fp-ts, so that its functions take these values as
 * well; the few functions that the language needs are its own, because a program in a browser carries them.
 */

/** A reason. */
export interface Left<E> {
  readonly _tag: 'Left'
  readonly left: E
}
/** A value. */
export interface Right<A> {
  readonly _tag: 'Right'
  readonly right: A
}
/** A value, or the reason why there is none. */
export type Either<E, A> = Left<E> | Right<A>
/** Work that ends with a value or with a reason, and does not reject. */
export type TaskEither<E, A> = () => Promise<Either<E, A>>

/** A reason why there is no value. @example left('there is no such target') */
export const left = <E = never, A = never>(reason: E): Either<E, A> => ({ _tag: 'Left', left: reason })
/** A value. @example right(3) */
export const right = <A = never, E = never>(value: A): Either<E, A> => ({ _tag: 'Right', right: value })

/** Tests for a reason. */
export const isLeft = <E>(of: Either<E, unknown>): of is Left<E> => of._tag === 'Left'
/** Tests for a value. */
export const isRight = <A>(of: Either<unknown, A>): of is Right<A> => of._tag === 'Right'

/** The value, changed. @example map(right(3), n => n + 1) // right(4) */
export function map<A, B>(f: (value: A) => B): <E>(of: Either<E, A>) => Either<E, B>
export function map<E, A, B>(of: Either<E, A>, f: (value: A) => B): Either<E, B>
export function map<E, A, B>(of: Either<E, A> | ((value: A) => B), f?: (value: A) => B): unknown {
  if (typeof of === 'function') return (later: Either<E, A>) => map(later, of)
  return isLeft(of) ? of : right(f!(of.right))
}

/** The result of work on the value. @example flatMap(right(3), n => (n > 2 ? right(n) : left('too few'))) */
export function flatMap<A, E2, B>(f: (value: A) => Either<E2, B>): <E>(of: Either<E, A>) => Either<E | E2, B>
export function flatMap<E, A, E2, B>(of: Either<E, A>, f: (value: A) => Either<E2, B>): Either<E | E2, B>
export function flatMap<E, A, E2, B>(
  of: Either<E, A> | ((value: A) => Either<E2, B>),
  f?: (value: A) => Either<E2, B>,
): unknown {
  if (typeof of === 'function') return (later: Either<E, A>) => flatMap(later, of)
  return isLeft(of) ? of : f!(of.right)
}

/** The reason, changed. @example mapLeft((text: string) => `pad: ${text}`)(left('too long')) */
export const mapLeft =
  <E, E2>(f: (reason: E) => E2) =>
  <A>(of: Either<E, A>): Either<E2, A> =>
    isLeft(of) ? left(f(of.left)) : of

/** The same value, unless a check of it fails. @example tap((n: number) => (n > 2 ? right(n) : left('too few'))) */
export const tap =
  <A, E2>(check: (value: A) => Either<E2, unknown>) =>
  <E>(of: Either<E, A>): Either<E | E2, A> =>
    flatMap(of, value => map(check(value), () => value))

/** The value, or what is made of the reason. @example getOrElse(() => 0)(left('none')) // 0 */
export const getOrElse =
  <E, A>(otherwise: (reason: E) => A) =>
  (of: Either<E, A>): A =>
    isLeft(of) ? otherwise(of.left) : of.right

/** The result of code that may throw. @example tryCatch(() => JSON.parse(text), String) */
export const tryCatch = <E, A>(code: () => A, caught: (error: unknown) => E): Either<E, A> => {
  try {
    return right(code())
  } catch (error) {
    return left(caught(error))
  }
}

/**
 * The values of all elements, or the first reason why one has none.
 * @example traverseArray(sizeOf)(['batch', 'seq'])
 */
export const traverseArray =
  <E, A, B>(f: (element: A) => Either<E, B>) =>
  (elements: readonly A[]): Either<E, readonly B[]> => {
    const values: B[] = []
    for (const element of elements) {
      const found = f(element)
      if (isLeft(found)) return found
      values.push(found.right)
    }
    return right(values)
  }

/** A value that goes through functions, one after the other. @example pipe(shape, checkShape, map(show)) */
export function pipe<A, B>(a: A, ab: (a: A) => B): B
export function pipe<A, B, C>(a: A, ab: (a: A) => B, bc: (b: B) => C): C
export function pipe<A, B, C, D>(a: A, ab: (a: A) => B, bc: (b: B) => C, cd: (c: C) => D): D
export function pipe<A, B, C, D, F>(a: A, ab: (a: A) => B, bc: (b: B) => C, cd: (c: C) => D, df: (d: D) => F): F
export function pipe<A, B, C, D, F, G>(
  a: A,
  ab: (a: A) => B,
  bc: (b: B) => C,
  cd: (c: C) => D,
  df: (d: D) => F,
  fg: (f: F) => G,
): G
export function pipe(a: unknown, ...functions: readonly ((x: never) => unknown)[]): unknown {
  // the overloads say that each function takes what the one before it gives
  return functions.reduce((x, f) => f(x as never), a)
}
