import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  dropout,
  f32,
  gradients,
  i32,
  inputDropout,
  interpret,
  isTrainingStream,
  philox,
  randomBits,
  randomWords,
  ShapeMismatch,
  topological,
  whole,
  wordsPurpose,
  u,
  type Draw,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'
import { sizeIn } from '../support/op-subjects.ts'
import { noise } from '../support/calculus.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const draws: fc.Arbitrary<Draw> = fc.record({ seedLow: word, seedHigh: word, draw: word, stream: word })
const rates = fc.constantFrom(0, 0.05, 0.1, 0.5, 0.9)
const vector = (...data: readonly number[]): Numbers => ({ sizes: [data.length], data: Float64Array.from(data) })

const key = i32(3)
const stream = i32(1)
const fed = (
  { seedLow, seedHigh, draw, stream: of }: Draw,
  more: readonly (readonly [Node, Numbers])[] = [],
): ReadonlyMap<Node, Numbers> =>
  new Map<Node, Numbers>([[key, vector(seedLow, seedHigh, draw)], [stream, vector(of)], ...more])
const evaluated = (root: Node, feeds: ReadonlyMap<Node, Numbers>): readonly number[] => [
  ...interpret([root], feeds, sizeIn({}))[0]!.data,
]
/** The kept elements of `n` ones. */
const kept = (n: number, rate: number, draw: Draw): readonly number[] => {
  const x = f32(n)
  return evaluated(dropout(x, key, stream, { rate }), fed(draw, [[x, vector(...Array<number>(n).fill(1))]]))
}

test('word i of a draw is word i mod 4 of the Philox block i / 4, whatever the shape', () => {
  const blocks = (purpose: number) =>
    fc.property(draws, fc.integer({ min: 1, max: 40 }), (draw, n) => {
      const expected = Array.from(
        { length: n },
        (_, i) =>
          philox([draw.seedLow >>> 0, draw.seedHigh >>> 0], [i >>> 2, purpose, draw.draw >>> 0, draw.stream >>> 0])[
            i % 4
          ]! | 0,
      )
      assert.deepEqual([...randomWords(draw, n)], expected)
      assert.deepEqual(evaluated(randomBits(key, stream, [n]), fed(draw)), expected)
      assert.deepEqual(evaluated(randomBits(key, stream, [n, 2]), fed(draw)).slice(0, n), expected)
    })
  fc.assert(blocks(wordsPurpose))
  assert.equal(fc.check(blocks(0)).failed, true, 'permutations draw from the blocks with purpose 0')
})

test('known words: they are the same for ever', () => {
  assert.deepEqual(
    [...randomWords({ seedLow: 0, seedHigh: 0, draw: 0, stream: 0 }, 5)],
    [-489088836, 976706674, -228321945, 215553457, 310671626],
  )
  assert.deepEqual(
    [...randomWords({ seedLow: 1, seedHigh: 2, draw: 3, stream: -4 }, 5)],
    [-1163066044, 1327947192, -732004682, 1987096292, 1250335382],
  )
})

/** Masks of 64 elements at a half: two that are drawn apart are equal once in 2^64 times. */
const differ = (mask: (draw: Draw) => readonly number[], part: keyof Draw) =>
  fc.property(draws, word, (draw, other) => {
    fc.pre(draw[part] !== other)
    return mask(draw).join() !== mask({ ...draw, [part]: other }).join()
  })
for (const part of ['seedLow', 'seedHigh', 'draw', 'stream'] as const) {
  test(`another ${part} drops other elements; a generator that ignores it is refuted`, () => {
    fc.assert(differ(draw => kept(64, 0.5, draw), part))
    assert.equal(fc.check(differ(draw => kept(64, 0.5, { ...draw, [part]: 0 }), part)).failed, true)
  })
}

test('the mean is preserved and the rate is the share of what is dropped; without the scale it is refuted', () => {
  const n = 40_000
  for (const rate of [0.05, 0.1, 0.5, 0.9]) {
    const mask = kept(n, rate, { seedLow: 7, seedHigh: 0, draw: 1, stream: 5 })
    const deviation = Math.sqrt(rate / (1 - rate) / n)
    const mean = (of: readonly number[]): number => of.reduce((sum, v) => sum + v, 0) / n
    assert.ok(Math.abs(mean(mask) - 1) < 4 * deviation, `${rate}: ${mean(mask)}`)
    assert.ok(Math.abs(mean(mask.map(v => v * (1 - rate))) - 1) > 4 * deviation)
    assert.ok(Math.abs(mean(mask.map(v => Number(v === 0))) - rate) < 4 * Math.sqrt((rate * (1 - rate)) / n))
    assert.ok(mask.every(v => v === 0 || Math.abs(v - 1 / (1 - rate)) < 1e-12))
  }
})

test('a rate of 0 is the identity', () => {
  fc.assert(fc.property(draws, draw => kept(50, 0, draw).every(v => v === 1)))
})

/** dx = dy · mask / (1 − rate), with the mask of the forward pass; the mutant draws again. */
const backward = (redraws: 0 | 1) =>
  fc.property(draws, rates, fc.integer(), (draw, rate, seed) => {
    const x = f32(30)
    const dy = f32(30)
    const cotangent = noise([30], seed)
    const {
      gradients: [dx],
    } = gradients([dropout(x, key, stream, { rate })], [dy], [whole(x)])
    const found = evaluated(dx!, fed({ ...draw, draw: draw.draw + redraws }, [[dy, cotangent]]))
    const mask = kept(30, rate, draw)
    // nothing that was computed forward is read, not even x
    return !topological([dx!]).includes(x) && found.every((v, i) => Math.abs(v - cotangent.data[i]! * mask[i]!) < 1e-9)
  })
test('what flows back is dropped as what flowed forward, from the key alone; another draw is refuted', () => {
  fc.assert(backward(0))
  assert.equal(fc.check(backward(1)).failed, true)
})

test('a marked factor is itself, and so is its gradient', () => {
  fc.assert(
    fc.property(draws, fc.integer(), (draw, seed) => {
      const a = f32(12)
      const dy = f32(12)
      const marked = inputDropout(a, key, stream, { rate: 0.5 })
      const values = noise([12], seed)
      const cotangent = noise([12], seed + 1)
      const {
        gradients: [da],
      } = gradients([marked], [dy], [whole(a)])
      assert.deepEqual(evaluated(marked, fed(draw, [[a, values]])), [...values.data])
      assert.deepEqual(evaluated(da!, fed(draw, [[dy, cotangent]])), [...cotangent.data])
    }),
  )
})

test('what a session drops is itself, and so is its gradient, marked with the same stream', () => {
  const x = f32(12)
  const dy = f32(12)
  const marked = dropout(x, 0.5)
  const other = dropout(x, 0.5)
  const {
    gradients: [dx],
  } = gradients([marked], [dy], [whole(x)])
  const values = noise([12], 1)
  const drawn: readonly (readonly [Node, Numbers])[] = [
    [x, values],
    [marked.inputs[1]!, vector(0, 0, 0)],
    [marked.inputs[2]!, vector(0)],
  ]
  assert.deepEqual(evaluated(marked, new Map(drawn)), [...values.data])
  assert.equal(dx!.op, marked.op)
  assert.deepEqual(dx!.inputs, [dy, ...marked.inputs.slice(1)])
  assert.equal(marked.inputs[1], other.inputs[1])
  assert.notEqual(marked.inputs[2], other.inputs[2])
  assert.ok(isTrainingStream(marked.inputs[2]!) && !isTrainingStream(marked.inputs[1]!) && !isTrainingStream(stream))
})

test('a rate that is none, and a key or a stream of other sizes, are shape errors with one text', () => {
  const x = f32('batch', 'hidden')
  const floats: Node = f32(3)
  for (const rate of [1, -0.1, Number.NaN]) {
    assert.throws(
      () => dropout(x, key, stream, { rate }),
      new ShapeMismatch(`dropout: the rate is at least 0 and below 1, not ${rate}`),
    )
  }
  assert.throws(
    () => u.dropout(x, floats, stream, { rate: 0.1 }),
    new ShapeMismatch('dropout: randomBits: the key is f32 [3], not i32 [3]'),
  )
  assert.throws(
    () => u.dropout(x, key, key, { rate: 0.1 }),
    new ShapeMismatch('dropout: randomBits: the stream is i32 [3], not i32 [1]'),
  )
})
