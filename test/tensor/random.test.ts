import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  chooseColumns,
  hashName,
  permutation,
  philox,
  uniform,
  type PhiloxKey,
  type PhiloxWords,
} from '../../src/tensor/random.ts'

/** Random123's known answers for philox4x32, ten rounds. */
const knownAnswers: readonly (readonly [PhiloxKey, PhiloxWords, PhiloxWords])[] = [
  [
    [0, 0],
    [0, 0, 0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0xa4093822, 0x299f31d0],
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
]

test('philox gives the known answers of Random123', () => {
  for (const [key, counter, answer] of knownAnswers) assert.deepEqual(philox(key, counter), answer)
})

const seeds = fc.maxSafeNat()
const streams = fc.nat()

const isOrder = (order: Int32Array): boolean => [...order].sort((a, b) => a - b).every((value, i) => value === i)

test('a permutation holds every index once and is a function of seed and stream', () => {
  fc.assert(
    fc.property(seeds, streams, fc.nat(200), (seed, stream, n) => {
      const order = permutation(seed, stream, n)
      assert.equal(order.length, n)
      assert.ok(isOrder(order))
      assert.deepEqual(permutation(seed, stream, n), order)
    }),
  )
  assert.notDeepEqual(permutation(0, 0, 50), permutation(0, 1, 50))
  assert.notDeepEqual(permutation(0, 0, 50), permutation(1, 0, 50))
  assert.notDeepEqual(permutation(0, 0, 50), permutation(2 ** 32, 0, 50), 'the upper bits of a seed count')
})

test('mutant: drawing with replacement is not a permutation', () => {
  const withReplacement = (seed: number, n: number): Int32Array =>
    Int32Array.from(uniform(seed, 0, n), u => Math.floor(u * n))
  assert.throws(() =>
    fc.assert(fc.property(seeds, fc.integer({ min: 2, max: 200 }), (seed, n) => isOrder(withReplacement(seed, n)))),
  )
})

/** Chi-squared of the place where index 0 lands, over many streams; 7 degrees of freedom, 24.3 is the 0.1% point. */
const chiSquared = (place: (stream: number) => number): number => {
  const [cells, draws] = [8, 4000]
  const seen = new Float64Array(cells)
  for (let stream = 0; stream < draws; stream++) seen[place(stream)]! += 1
  return seen.reduce((sum, count) => sum + (count - draws / cells) ** 2 / (draws / cells), 0)
}

test('every place is equally likely, and a biased shuffle is found out', () => {
  assert.ok(chiSquared(stream => permutation(7, stream, 8).indexOf(0)) < 24.3)
  const sortedByCoin = (stream: number): number => {
    const coins = uniform(7, stream, 64)
    let next = 0
    return [0, 1, 2, 3, 4, 5, 6, 7].sort(() => (coins[next++] ?? 0) - 0.5).indexOf(0)
  }
  assert.ok(chiSquared(sortedByCoin) > 24.3)
})

test('chosen columns are sorted, distinct, in range, and depend on seed and module name alone', () => {
  fc.assert(
    fc.property(seeds, fc.string(), fc.integer({ min: 1, max: 600 }), fc.nat(600), (seed, name, width, wish) => {
      const rank = Math.min(wish, width)
      const columns = chooseColumns(seed, name, width, rank)
      assert.equal(columns.length, rank)
      columns.forEach((column, i) =>
        assert.ok(column >= 0 && column < width && (i === 0 || column > (columns[i - 1] ?? width))),
      )
      assert.deepEqual(chooseColumns(seed, name, width, rank), columns)
    }),
  )
  assert.notDeepEqual(chooseColumns(0, 'q_proj', 576, 8), chooseColumns(0, 'k_proj', 576, 8))
  assert.notDeepEqual(chooseColumns(0, 'q_proj', 576, 8), chooseColumns(1, 'q_proj', 576, 8))
  assert.throws(() => chooseColumns(0, 'q_proj', 4, 5), /q_proj: cannot choose 5 of 4 columns/)
})

test('the hash of a name is FNV-1a', () => {
  assert.equal(hashName(''), 0x811c9dc5)
  assert.equal(hashName('a'), 0xe40c292c)
  assert.equal(hashName('foobar'), 0xbf9cf968)
})

test('uniform floats lie in [0, 1) with mean 1/2 and variance 1/12', () => {
  const values = uniform(3, 5, 20000)
  assert.ok(values.every(value => value >= 0 && value < 1))
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
  assert.ok(Math.abs(mean - 1 / 2) < 0.01 && Math.abs(variance - 1 / 12) < 0.005)
})
