import * as E from '../../either/index.ts'
import { DataMismatch, ShapeMismatch } from '../node.ts'
import { checkShape, show, unifyAll, type Shape, type ShapeFault } from '../shape/index.ts'
import { count, type DataOf, type Value } from '../value.ts'
import { converterTo } from './convert.ts'
import { sizesOfNested, walkNested } from './nested.ts'
import type { NestedNumbers } from './read.ts'
import { rankFault, type Deepest, type RankError, type TypedNumbers } from './rank.ts'

/** The element types that numbers can be given as. */
export type DataDType = 'f32' | 'i32' | 'bool'
/** One index for each dim of a shape. */
export type Indices<S extends Shape> = { readonly [K in keyof S]: number }
/** The forms of numbers: nested arrays, whose rows may be typed arrays; one flat typed array; a number; a function. */
export type DataSource<S extends Shape> =
  NestedNumbers<number | boolean | TypedNumbers> | ((...index: Indices<S>) => number | boolean)

type Leaves<X, Seen extends readonly unknown[] = []> = Seen['length'] extends Deepest
  ? number
  : X extends TypedNumbers
    ? number
    : X extends readonly (infer E)[]
      ? Leaves<E, [...Seen, 0]>
      : X
/** The element type that numbers have unless one is specified: that of integer arrays, and of truth values. */
export type DefaultDType<X> = X extends {
  readonly [Symbol.toStringTag]: 'Float32Array' | 'Float64Array'
}
  ? 'f32'
  : X extends TypedNumbers
    ? 'i32'
    : X extends (...index: never) => infer R
      ? [R] extends [boolean]
        ? 'bool'
        : 'f32'
      : [Leaves<X>] extends [boolean]
        ? 'bool'
        : 'f32'

const isTyped = (data: unknown): data is TypedNumbers => ArrayBuffer.isView(data) && !(data instanceof DataView)
const isFloats = (data: TypedNumbers): boolean => data instanceof Float32Array || data instanceof Float64Array

const arrays = { f32: Float32Array, i32: Int32Array, bool: Uint8Array } as const

/** The sizes of a shape for flat data: the numbers in it, and the one dim that `length` determines. */
const sizesFor = (shape: Shape, length: number | undefined): readonly number[] => {
  const names = shape.filter(dim => typeof dim === 'string')
  if (names.length > (length === undefined ? 0 : 1))
    throw new DataMismatch(`tensor: the sizes of ${show(shape)} are not known: specify { sizes: […] }`)
  const known = shape.reduce<number>((n, dim) => (typeof dim === 'number' ? n * dim : n), 1)
  return shape.map(dim => (typeof dim === 'number' ? dim : Math.floor(length! / known)))
}

const checkRank = (shape: Shape, sizes: readonly number[]): void => {
  const wrong = rankFault(sizes, shape)
  if (wrong !== undefined) throw new ShapeMismatch(wrong)
}
/** Checks that sizes fit a shape: its numbers, and a name that occurs twice. */
const checkSizes = (shape: Shape, sizes: readonly number[]): void => {
  shape.forEach((dim, axis) => {
    if (typeof dim === 'number' && dim !== sizes[axis])
      throw new DataMismatch(`tensor: axis ${axis} of ${show(shape)} has the size ${sizes[axis]}`)
  })
  const bound = unifyAll([{ where: 'the data', shape, sizes }])
  if (E.isLeft(bound)) throw new DataMismatch(`tensor: ${bound.left}`)
}

/** The indices of an element. */
const indicesOf = (offset: number, sizes: readonly number[]): readonly number[] => {
  const at: number[] = []
  let rest = offset
  for (const size of sizes.toReversed()) {
    at.unshift(rest % size)
    rest = Math.floor(rest / size)
  }
  return at
}

type Write = (at: number, x: unknown, where: () => string) => void

/** Reads every number of the data, with words for its place. */
const readInto = (data: unknown, sizes: readonly number[], write: Write): void => {
  const n = count(sizes)
  if (isTyped(data)) {
    if (data.length !== n)
      throw new DataMismatch(`tensor: there are ${data.length} numbers, and the sizes [${sizes.join(', ')}] take ${n}`)
    for (let i = 0; i < n; i++) write(i, data[i], () => `data[${i}]`)
  } else if (Array.isArray(data)) walkNested(data, sizes, write)
  else
    for (let i = 0; i < n; i++) {
      const index = indicesOf(i, sizes)
      const x: unknown = typeof data === 'function' ? data(...index) : data
      write(i, x, () => (typeof data === 'function' ? `the result at [${index.join(', ')}]` : 'the data'))
    }
}

const dtypeOf = (data: unknown, first: unknown): DataDType =>
  isTyped(data) ? (isFloats(data) ? 'f32' : 'i32') : typeof first === 'boolean' ? 'bool' : 'f32'

const firstOf = (data: unknown, sizes: readonly number[]): unknown =>
  typeof data === 'function'
    ? data(...sizes.map(() => 0))
    : Array.isArray(data) || isTyped(data)
      ? firstOf(data[0], sizes)
      : data

/**
 * Data with the names of its dims, for a batch, a weight or a state. The numbers are one of
 *
 * - nested arrays, one level for each dim; the innermost may be typed arrays;
 * - a flat typed array, row-major, with `sizes` unless the shape has at most one name;
 * - a function of the indices, with `sizes`;
 * - one number, which fills `sizes`; without a shape it is a scalar.
 *
 * Without `dtype`, truth values give `bool`, arrays of integers (`Int32Array`, `Uint8Array`, …) `i32`, and everything
 * else `f32`.
 * @throws {ShapeMismatch} for a bad shape or another number of axes, {@link DataMismatch} for rows of different length,
 * sizes that differ from the numbers in the shape, a fraction as i32 or a number beyond the range of the type; each
 * names the place
 * @example const x = tensor([[1, 2], [3, 4]], ['batch', 'features'])
 */
export const tensor = <
  const S extends Shape = readonly [],
  X extends DataSource<S> = DataSource<S>,
  D extends DataDType = DefaultDType<X>,
>(
  data: X & RankError<X, S>,
  shape?: S & ShapeFault<S>,
  options: { readonly dtype?: D; readonly sizes?: readonly number[] } = {},
): Value<Readonly<S>, D> => {
  const dims: Shape = shape ?? []
  const fault = checkShape(dims)
  if (E.isLeft(fault)) throw new ShapeMismatch(`tensor: ${fault.left}`)
  const nested = Array.isArray(data) ? sizesOfNested(data) : undefined
  if (nested !== undefined) checkRank(dims, nested)
  const sizes = options.sizes ?? nested ?? sizesFor(dims, lengthOf(data))
  checkRank(dims, sizes)
  checkSizes(dims, sizes)
  const dtype = options.dtype ?? dtypeOf(data, firstOf(data, sizes))
  const into: DataOf<DataDType> = new arrays[dtype](count(sizes))
  const convert = converterTo(dtype)
  readInto(data, sizes, (at, x, where) => {
    into[at] = convert(x, where)
  })
  // the array is that of the dtype, which the type states
  return { shape: dims, sizes: [...sizes], dtype, data: into } as unknown as Value<Readonly<S>, D>
}

const lengthOf = (data: unknown): number | undefined => (isTyped(data) ? data.length : undefined)
