/**
 * A dimension: a number, a name (`'hidden'`), or a product of them (`'heads*headDim'`).
 * Products keep the order of their factors, because the order is the layout of the data.
 */
export type Dim = number | string
/** The dimensions of a tensor, outermost first. A scalar has the shape `[]`. */
export type Shape = readonly Dim[]

declare const shapeError: unique symbol
/** The type that replaces that of a wrong argument, so that `tsc` prints the reason. */
export interface ShapeError<Message extends string> {
  readonly [shapeError]: Message
}

/**
 * The type to intersect an argument's type with: `unknown` if a rule gives a shape, otherwise the error. If `tsc`
 * cannot decide a rule, because it compares two type parameters, there is no shape, and the argument is refused. `S` is
 * the shape that the rule is about. While that is a bare type parameter, as in the declaration of an op, nothing is
 * decided, and `tsc` has no reason to look for a constraint of the rule in all of its branches: that is most of what
 * the first call of an op would cost.
 * @example declare const add: <A extends Shape, B extends Shape>(a: Tensor<A>, b: Tensor<B> & Fault<Broadcast<A, B>, A>) => ...
 */
export type Fault<Result, S = readonly []> = { readonly s: S; readonly r: Result } extends {
  readonly s: readonly unknown[]
  readonly r: readonly unknown[]
}
  ? unknown
  : Uninferred<Result>
/** The same type, in whose branches `tsc` does not look for what the type parameters of an op are. */
export type Uninferred<T> = T extends infer Same ? Same : never
/**
 * The shape that a rule about the shape `S` gives, `never` if it is an error.
 * @example type Sum = Tensor<Ok<Broadcast<A, B>, A>>
 */
export type Ok<Result, S = readonly []> = { readonly s: S; readonly r: Result } extends {
  readonly s: readonly unknown[]
  readonly r: infer R
}
  ? Shaped<R>
  : never
type Shaped<R> = { readonly r: R } extends { readonly r: infer S extends Shape } ? S : never

/** The text of a shape in messages: `[batch, hidden]`. */
export type Show<S extends readonly Dim[]> = `[${List<S>}]`
/** Elements with commas between them. */
export type List<S extends readonly Dim[]> = S extends readonly [
  infer First extends Dim,
  ...infer Rest extends readonly Dim[],
]
  ? Rest extends readonly []
    ? `${First}`
    : `${First}, ${List<Rest>}`
  : ''
/** The twin of the type. @example show(['batch', 8]) is '[batch, 8]' */
export const show = (shape: Shape): string => `[${shape.join(', ')}]`
