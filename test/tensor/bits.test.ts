import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bits, compile, i32, model, tensor } from '../../src/index.ts'

const words = fc.array(fc.tuple(fc.integer(), fc.integer()), { minLength: 1, maxLength: 20 })
const least = -(2 ** 31)
const edges = [least, least + 1, -1, 0, 1, 2 ** 30, 2 ** 31 - 1]
/** The number of ones, by Kernighan's method. */
const ones = (x: number): number => {
  let found = 0
  for (let rest = x; rest !== 0; rest &= rest - 1) found++
  return found
}

for (const target of ['reference', 'cpu', 'wasm'] as const)
  test(`and, or, xor and count are those of two's complement on ${target}`, async () => {
    const both = { a: i32('n'), b: i32('n') }
    const all = model({
      params: {},
      batch: both,
      forward: (_, { a, b }) => ({
        and: bits.and(a, b),
        or: bits.or(a, b),
        xor: bits.xor(a, b),
        count: bits.count(a),
      }),
    })
    await using run = await compile(all, { target, weights: {} })
    const check = async (pairs: readonly (readonly [number, number])[]): Promise<void> => {
      const [a, b] = [0, 1].map(k =>
        tensor(
          Int32Array.from(pairs, pair => pair[k]!),
          ['n'],
        ),
      )
      const found = await run.predict({ a: a!, b: b! })
      assert.deepEqual(Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, [...data]])), {
        and: pairs.map(([x, y]) => x & y),
        or: pairs.map(([x, y]) => x | y),
        xor: pairs.map(([x, y]) => x ^ y),
        count: pairs.map(([x]) => ones(x)),
      })
    }
    await check(edges.flatMap(x => edges.map(y => [x, y] as const)))
    await fc.assert(fc.asyncProperty(words, check), { numRuns: 20 })
  })
