import assert from 'node:assert/strict'
import { isValue, leaves } from '../../src/compiler.ts'

/** The largest distance between numbers in the same place; NaN does not count. */
export const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.equal(a.length, b.length)
  return Array.from(a).reduce(
    (most, v, i) => Math.max(most, Number.isNaN(v - b[i]!) ? Infinity : Math.abs(v - b[i]!)),
    0,
  )
}
/** The same for two trees of values. */
export const apart = (a: unknown, b: unknown): number => {
  const [one, other] = [leaves(a, isValue), leaves(b, isValue)]
  assert.deepEqual(
    one.map(([path, { sizes }]) => [path, sizes]),
    other.map(([path, { sizes }]) => [path, sizes]),
  )
  return one.reduce((most, [, { data }], i) => Math.max(most, distance(data, other[i]![1].data)), 0)
}
