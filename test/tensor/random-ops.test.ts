import assert from 'node:assert/strict'
import { test } from 'node:test'
import { random, type Node, type RandomKey } from '../../src/index.ts'
import { interpret, randomWords } from '../../src/compiler.ts'
import { sizeIn } from '../support/op-subjects.ts'

const valueOf = (root: Node): readonly number[] => [...interpret([root], new Map(), sizeIn({ n: 6 }))[0]!.data]
const mean = (of: readonly number[]): number => of.reduce((sum, v) => sum + v, 0) / of.length

/** The largest distance between the distribution of numbers and a distribution function (Kolmogorov, Smirnov). */
const distance = (found: readonly number[], distribution: (x: number) => number): number =>
  found
    .toSorted((a, b) => a - b)
    .reduce((most, x, i) => Math.max(most, Math.abs(distribution(x) - (i + 0.5) / found.length)), 0)
/** An upper bound of the distance with probability 0.9999, whatever the distribution. */
const bound = (n: number): number => 2.23 / Math.sqrt(n)

/** The normal distribution function (Abramowitz and Stegun, 7.1.26), to 1e-7. */
const normalDistribution = (x: number): number => {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2)
  const tail =
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) *
    t *
    Math.exp((-x * x) / 2)
  return x < 0 ? tail / 2 : 1 - tail / 2
}

test('a key is a seed in two halves: equal seeds give equal numbers, others give others', () => {
  assert.deepEqual(valueOf(random.key(5)), [5, 0, 0])
  assert.deepEqual(valueOf(random.key(-1)), [-1, -1, 0])
  assert.deepEqual(valueOf(random.key(2 ** 40 + 3)), [3, 256, 0])
  const drawn = (key: RandomKey, stream?: number): string =>
    valueOf(random.uniform(key, ['n'], stream === undefined ? {} : { stream })).join()
  assert.equal(drawn(random.key(1)), drawn(random.key(1), 0))
  const different = [
    drawn(random.key(1)),
    drawn(random.key(2)),
    drawn(random.key(1 + 2 ** 32)),
    drawn(random.key(1), 1),
    drawn(random.fold(random.key(1), 0)),
    drawn(random.fold(random.key(1), 1)),
    drawn(random.fold(random.fold(random.key(1), 1), 0)),
  ]
  assert.equal(new Set(different).size, different.length)
  assert.throws(() => random.key(0.5), { message: 'random.key: the seed is a whole number, not 0.5' })
})

test('uniform numbers are the upper 24 bits of the random words', () => {
  const words = randomWords({ seedLow: 7, seedHigh: 0, draw: 0, stream: 0 }, 1000)
  const found = valueOf(random.uniform(random.key(7), [1000]))
  words.forEach((word, i) => assert.equal(found[i], ((word >> 8) + 2 ** 23) / 2 ** 24))
  assert.ok(found.every(v => v >= 0 && v < 1 && Math.fround(v) === v))
  const moved = valueOf(random.uniform(random.key(7), [1000], { low: -3, high: 5 }))
  moved.forEach((v, i) => assert.equal(v, found[i]! * 8 - 3))
})

test('the distributions are uniform, normal and of the probability', () => {
  const n = 40000
  const uniform = valueOf(random.uniform(random.key(1), [n]))
  assert.ok(distance(uniform, x => x) < bound(n))
  const normal = valueOf(random.normal(random.key(2), [n]))
  assert.ok(distance(normal, normalDistribution) < bound(n))
  const moved = valueOf(random.normal(random.key(2), [n], { mean: 3, deviation: 0.5 }))
  moved.forEach((v, i) => assert.ok(Math.abs(v - (normal[i]! * 0.5 + 3)) < 1e-12))
  for (const probability of [0.1, 0.5, 0.9]) {
    const found = mean(valueOf(random.bernoulli(random.key(3), [n], probability)))
    assert.ok(Math.abs(found - probability) < 4 * Math.sqrt((probability * (1 - probability)) / n), `${found}`)
  }
  // the same law refutes another distribution
  assert.ok(distance(uniform, x => x * x) > bound(n))
  assert.ok(distance(normal, x => normalDistribution(x / 1.05)) > bound(n))
})

test('what is certain is certain', () => {
  assert.ok(valueOf(random.bernoulli(random.key(0), [1000], 1)).every(v => v === 1))
  assert.ok(valueOf(random.bernoulli(random.key(0), [1000], 0)).every(v => v === 0))
  for (const probability of [-0.1, 1.1, Number.NaN])
    assert.throws(() => random.bernoulli(random.key(0), [2], probability), RangeError)
})
