import { factors, type Dim, type Shape } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'

/** A size that is known when the graph is written, or an int32 scalar that is known when it runs. */
export type Size = number | Ref

export const sizeRef = (body: Body, size: Size): Ref => (typeof size === 'number' ? body.constant(size, 'i32') : size)

/** An int32 vector of sizes. @example vectorOf(body, [2, batch]) */
export const vectorOf = (body: Body, sizes: readonly Size[]): Ref => {
  const known = sizes.filter(size => typeof size === 'number')
  return known.length === sizes.length
    ? body.constant(known, 'i32')
    : body.apply(
        'Pack',
        sizes.map(size => sizeRef(body, size)),
      )
}

/** Sizes of dims from those of names: a product with sizes that are not yet known is computed in the graph. */
export const sizesIn =
  (body: Body, named: (name: string) => Size): ((dim: Dim) => Size) =>
  dim =>
    factors(dim)
      .map(factor => (typeof factor === 'number' ? factor : named(factor)))
      .reduce<Size>(
        (product, size) =>
          typeof product === 'number' && typeof size === 'number'
            ? product * size
            : product === 1
              ? size
              : body.apply('Mul', [sizeRef(body, product), sizeRef(body, size)]),
        1,
      )

/** The sum of the sizes of dims. */
export const sumOfSizes = (body: Body, sizes: readonly Size[]): Size =>
  sizes.reduce(
    (sum, size) =>
      typeof sum === 'number' && typeof size === 'number'
        ? sum + size
        : sum === 0
          ? size
          : size === 0
            ? sum
            : body.apply('AddV2', [sizeRef(body, sum), sizeRef(body, size)]),
    0,
  )

/** The sizes of a shape, as an int32 vector. */
export const shapeOf = (dims: Shape, { body, size }: { readonly body: Body; readonly size: (dim: Dim) => Size }): Ref =>
  vectorOf(body, dims.map(size))
