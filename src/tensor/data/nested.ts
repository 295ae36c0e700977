import { DataMismatch } from '../node.ts'

type List = ArrayLike<unknown>
const isList = (x: unknown): x is List => Array.isArray(x) || (ArrayBuffer.isView(x) && !(x instanceof DataView))

/** The sizes of nested arrays, read along their first elements. @example sizesOfNested([[1, 2], [3, 4]]) // [2, 2] */
export const sizesOfNested = (data: unknown): readonly number[] =>
  isList(data) ? [data.length, ...(data.length === 0 ? [] : sizesOfNested(data[0]))] : []

const place = (at: readonly number[]): string => `data${at.map(i => `[${i}]`).join('')}`
const firstLike = (at: readonly number[]): string => place(at.map(() => 0))
const elements = (n: number): string => `${n} ${n === 1 ? 'element' : 'elements'}`

/**
 * Calls `visit` for each number of nested arrays, row-major, with words for its place.
 * @throws {DataMismatch} for a row whose length differs from that of the first row, or from its size
 */
export const walkNested = (
  data: unknown,
  sizes: readonly number[],
  visit: (at: number, x: unknown, where: () => string) => void,
): void => {
  let next = 0
  const walk = (x: unknown, at: readonly number[]): void => {
    const size = sizes[at.length]!
    if (!isList(x)) throw new DataMismatch(`tensor: ${place(at)} is no array, and ${firstLike(at)} is one`)
    if (x.length !== size) {
      const meant = at.every(i => i === 0) ? `its size is ${size}` : `${firstLike(at)} has ${size}`
      throw new DataMismatch(`tensor: ${place(at)} has ${elements(x.length)}, and ${meant}`)
    }
    const isInnermost = at.length === sizes.length - 1
    for (let i = 0; i < size; i++) {
      if (!isInnermost) walk(x[i], [...at, i])
      else if (isList(x[i]))
        throw new DataMismatch(`tensor: ${place([...at, i])} is an array, and ${firstLike([...at, i])} is none`)
      else visit(next++, x[i], () => place([...at, i]))
    }
  }
  walk(data, [])
}
