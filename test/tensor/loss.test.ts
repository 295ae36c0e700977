import assert from 'node:assert/strict'
import { test } from 'node:test'
import { f32, i32, interpret, loss, metric, ShapeMismatch, type Node, type Tensor } from '../../src/tensor/index.ts'
import { sizeIn } from '../support/op-subjects.ts'
import { differenceOf, lossPrograms } from '../support/losses.ts'

for (const program of lossPrograms)
  test(`${program.what} is PyTorch's`, () => {
    const [found] = interpret([program.root], program.feeds, program.size)
    assert.equal(differenceOf(program, found!.data, 1e-9), undefined)
  })

test('a wrong number is found out', () => {
  const [program] = lossPrograms
  assert.notEqual(
    differenceOf(
      program!,
      program!.wanted.map((x, i) => (i === 3 ? x + 1e-3 : x)),
      1e-4,
    ),
    undefined,
  )
})

const evaluated = (root: Node, ...feeds: readonly (readonly [Node, readonly number[]])[]): readonly number[] => [
  ...interpret(
    [root],
    new Map(feeds.map(([leaf, data]) => [leaf, { sizes: leaf.shape.map(Number), data: Float64Array.from(data) }])),
    sizeIn({}),
  )[0]!.data,
]

test('a row with NaN, or with infinities that tie, is counted as argmax would', () => {
  const x = f32(4, 3)
  const y = i32(4)
  const found = evaluated(
    metric.accuracy(x, y),
    [x, [NaN, 1, 2, 1, NaN, 0, -Infinity, -Infinity, -Infinity, Infinity, Infinity, 0]],
    [y, [0, 0, 0, 1]],
  )
  assert.deepEqual(found, [0, 0, 1, 0])
})

test('losses of extreme logits are finite', () => {
  const x = f32(4)
  const y = f32(4)
  const feeds = [
    [x, [1e4, -1e4, 1e4, -1e4]],
    [y, [1, 0, 0, 1]],
  ] as const
  assert.deepEqual(evaluated(loss.focal(x, y), ...feeds), [0, 0, 1e4, 1e4])
  const wide = f32(1, 2)
  const other = f32(1, 2)
  assert.deepEqual(evaluated(loss.klDivergence(wide, other), [wide, [1e4, 0]], [other, [0, 1e4]]), [1e4])
})

test('the divergence of a distribution from itself is 0, and log-probabilities are logits', () => {
  const a = f32(1, 3)
  const b = f32(1, 3)
  const logs = [0.2, 0.3, 0.5].map(Math.log)
  const found = evaluated(loss.klDivergence(a, b), [a, [7, 7, 7]], [b, logs])
  const wanted = [0.2, 0.3, 0.5].reduce((sum, p) => sum + p * Math.log(p * 3), 0)
  assert.ok(Math.abs(found[0]! - wanted) < 1e-12)
  assert.ok(Math.abs(evaluated(loss.klDivergence(a, b), [a, logs], [b, logs.map(x => x + 5)])[0]!) < 1e-12)
})

test('a zero vector has the distance 1 from everything, and a finite gradient', () => {
  const a = f32(1, 2)
  assert.deepEqual(evaluated(loss.cosineDistance(a, a), [a, [0, 0]]), [1])
})

test('settings without a meaning are refused in one sentence', () => {
  const x = f32('batch', 'classes')
  const y = i32('batch')
  for (const [make, text] of [
    [() => loss.crossEntropy(x, y, { smoothing: 1 }), 'crossEntropy: smoothing is 1: it is at least 0, below 1'],
    [() => loss.huber(x, x, { delta: 0 }), 'huber: delta is 0: it is above 0'],
    [() => loss.focal(x, x, { gamma: -1 }), 'focal: gamma is -1: it is at least 0'],
    [() => loss.focal(x, x, { alpha: 2 }), 'focal: alpha is 2: it is from 0 to 1'],
    [() => metric.topK(x, y, 0), 'topK: k is 0: it is a whole number, at least 1'],
  ] as const)
    assert.throws(make, new RangeError(text))
  assert.throws(
    () => loss.contrastive(f32('images', 'texts') as Tensor<readonly [string, string]> as Tensor<readonly ['n', 'n']>),
    new ShapeMismatch('contrastive: [images, texts] is no square'),
  )
})
