import assert from 'node:assert/strict'
import { test } from 'node:test'
import { f32, i32, init, jvp, nn, random, scalar, sum, type Node } from '../../src/index.ts'
import { gradients, interpret, whole, type Numbers } from '../../src/compiler.ts'
import { misfitIn } from '../../src/tensor/index.ts'
import { near } from '../support/calculus.ts'
import { sizeIn } from '../support/op-subjects.ts'

/** A function of the language for arguments that `tsc` refuses. */
const untyped = (f: unknown) => f as (...args: readonly unknown[]) => Node
const of = (sizes: readonly number[], ...data: readonly number[]): Numbers => ({ sizes, data: Float64Array.from(data) })
const valueOf = (root: Node, ...feeds: readonly (readonly [Node, Numbers])[]): readonly number[] => [
  ...interpret([root], new Map(feeds), sizeIn({}))[0]!.data,
]
const gradientOf = (root: Node, leaf: Node, ...feeds: readonly (readonly [Node, Numbers])[]): readonly number[] => {
  const [gradient] = gradients([sum(untyped((x: Node) => x)(root) as never)], [scalar(1)], [whole(leaf)]).gradients
  return valueOf(gradient!, ...feeds)
}

const image = f32('batch', 'height', 'width', 'in')
const w = f32(3, 3, 'in', 'out')
const refused: readonly (readonly [text: string, make: () => unknown])[] = [
  [
    'conv2d: the weight takes other channels, not in',
    () => untyped(nn.conv2d)(image, { weight: f32(3, 3, 'other', 'out') }, { padding: 'same' }),
  ],
  [
    'conv2d: [3, in, out] is not [rows, columns, in, out]',
    () => untyped(nn.conv2d)(image, { weight: f32(3, 'in', 'out') }),
  ],
  [
    'conv2d: [height, in] is not [..., height, width, channels]',
    () => untyped(nn.conv2d)(f32('height', 'in'), { weight: w }),
  ],
  [
    'conv2d: the number of windows of 3 on height has no name: specify as',
    () => untyped(nn.conv2d)(image, { weight: w }),
  ],
  [
    'conv2d: a window of 3 is larger than 2 with its padding',
    () => untyped(nn.conv2d)(f32('batch', 2, 8, 'in'), { weight: w }),
  ],
  [
    'conv2d: there are 3 windows of 3 on 5, not 4',
    () => untyped(nn.conv2d)(f32(1, 5, 5, 'in'), { weight: w }, { as: [4, 3] }),
  ],
  ['conv2d: the padding is no whole number', () => untyped(nn.conv2d)(image, { weight: w }, { padding: 0.5 })],
  [
    'conv2d: 3 groups of 8 channels are not 32',
    () => untyped(nn.conv2d)(f32('n', 4, 4, 32), { weight: f32(3, 3, 8, 64) }, { groups: 3 }),
  ],
  [
    'conv2d: 62 channels are no multiple of 4 groups',
    () => untyped(nn.conv2d)(f32('n', 4, 4, 32), { weight: f32(3, 3, 8, 62) }, { groups: 4 }),
  ],
  [
    'depthwiseConv2d: the weight takes other channels, not in',
    () => untyped(nn.depthwiseConv2d)(image, { weight: f32(3, 3, 'other') }),
  ],
  [
    'conv1d: [3, 3, in, out] is not [places, in, out]',
    () => untyped(nn.conv1d)(f32('batch', 'time', 'in'), { weight: w }),
  ],
  [
    'maxPool2d: a window of 5 is larger than 4 with its padding',
    () => untyped(nn.maxPool2d)(f32('batch', 4, 8, 'in'), 5),
  ],
  [
    'averagePool2d: a padding of 2 leaves a window of 2 without a place',
    () => nn.averagePool2d(f32('batch', 4, 8, 'in'), 2, { padding: 2 }),
  ],
  ['maxPool1d: [4] is not [..., time, channels]', () => untyped(nn.maxPool1d)(f32(4), 2)],
  ['globalMaxPool: [4, in] is not [..., height, width, channels]', () => untyped(nn.globalMaxPool)(f32(4, 'in'))],
  [
    'patchEmbedding: patches of 4 do not divide 10',
    () => nn.patchEmbedding(f32('batch', 8, 10, 3), nn.PatchEmbedding(3, 'hidden', { size: 4 })),
  ],
  ['windows: a window of 8 is larger than 7 with its padding', () => untyped(nn.windows)(f32(7), 0, { size: 8 })],
  ['stochasticDepth: a scalar has no examples', () => nn.stochasticDepth(scalar(1), 0.5)],
]
for (const [text, make] of refused) {
  test(`refused at run time: ${text}`, () => {
    assert.throws(make, { name: 'ShapeMismatch', message: text })
  })
}

test('what only sizes can decide is refused when they are bound, with the names of dims', () => {
  const sizes = { batch: 1, in: 1, out: 1, height: 7, width: 8, h: 4, w: 4 }
  const named = nn.conv2d(image, { weight: w }, { stride: 2, padding: 'same', as: ['h', 'w'] })
  const misfit = (root: Node, of: Readonly<Record<string, number>>): string | undefined => misfitIn([root], sizeIn(of))
  assert.equal(misfit(named, sizes), undefined)
  assert.equal(
    misfit(named, { ...sizes, w: 3 }),
    'conv: windows: there are 4 windows of 3 on width, which is 8, not w, which is 3',
  )
  const valid = nn.windows(f32('time'), 0, { size: 'span', as: 'count' })
  assert.equal(
    misfit(valid, { time: 3, span: 5, count: 1 }),
    'windows: a window of span, which is 5, is larger than time, which is 3, with its padding',
  )
})

test('a place in the padding is never the largest, and NaN is', () => {
  const x = f32(1, 3, 3, 1)
  const pooled = nn.maxPool2d(x, 3, { stride: 2, padding: 1 })
  assert.deepEqual(valueOf(pooled, [x, of([1, 3, 3, 1], -9, -8, -7, -6, -5, -4, -3, -2, -1)]), [-5, -4, -2, -1])
  assert.deepEqual(
    valueOf(pooled, [x, of([1, 3, 3, 1], -Infinity, -Infinity, 1, -Infinity, -Infinity, 2, Number.NaN, 3, 4)]),
    [-Infinity, 2, Number.NaN, 4],
  )
})

test('equal maxima of a window share its gradient', () => {
  const x = f32(1, 2, 2, 1)
  assert.deepEqual(gradientOf(nn.maxPool2d(x, 2), x, [x, of([1, 2, 2, 1], 5, 1, 5, 5)]), [0.25, 0, 0.25, 0.5])
})

test('a convolution is linear: its derivative along a direction is the convolution of the direction', () => {
  const x = f32(1, 5, 4, 2)
  const dx = f32(1, 5, 4, 2)
  const weight = f32(3, 3, 2, 3)
  const f = (image: typeof x) => nn.conv2d(image, { weight }, { padding: 'same', stride: 2 })
  const data = (n: number, seed: number): Numbers => of([n], ...Array.from({ length: n }, (_, i) => Math.sin(i * seed)))
  const feeds = [
    [x, { ...data(40, 1), sizes: [1, 5, 4, 2] }],
    [dx, { ...data(40, 2), sizes: [1, 5, 4, 2] }],
    [weight, { ...data(54, 3), sizes: [3, 3, 2, 3] }],
  ] as const
  const along = valueOf(jvp(f, [x], [dx])[1], ...feeds)
  valueOf(f(dx), ...feeds).forEach((v, i) => assert.ok(near(along[i]!, v)))
})

test('stochastic depth drops whole examples, keeps the expectation, and its gradient is dropped alike', () => {
  const x = f32(64, 2, 3)
  const key = random.key(7)
  const stream = i32(1)
  const sizes = [64, 2, 3]
  const data = Array.from({ length: 384 }, (_, i) => 1 + i / 100)
  const dropped = untyped(nn.stochasticDepth)(x, key, stream, { rate: 0.25 })
  const value = valueOf(dropped, [x, of(sizes, ...data)], [stream, of([1], 3)])
  const gradient = gradientOf(dropped, x, [x, of(sizes, ...data)], [stream, of([1], 3)])
  const factors = Array.from({ length: 64 }, (_, i) => gradient[6 * i]!)
  assert.ok(factors.every(f => f === 0 || near(f, 4 / 3)))
  const kept = factors.filter(f => f !== 0).length
  assert.ok(kept > 38 && kept < 58, String(kept))
  gradient.forEach((g, i) => assert.equal(g, factors[Math.floor(i / 6)]))
  value.forEach((v, i) => assert.ok(near(v, data[i]! * factors[Math.floor(i / 6)]!)))
})

test('the first weights of convolutions have the variance 2 / inputs of a window, and biases are 0', () => {
  const params = {
    plain: nn.Conv2d('in', 'out', { size: 3 }),
    single: nn.DepthwiseConv2d('out', { size: [5, 3] }),
    line: nn.Conv1d('in', 'out', { size: 7, bias: false }),
  }
  const weights = init.params({ params }, { seed: 0, dims: { in: 32, out: 256 } })
  const variance = (data: ArrayLike<number>): number =>
    Array.from(data).reduce((total, v) => total + v * v, 0) / data.length
  for (const [{ data }, inputs] of [
    [weights.plain.weight, 9 * 32],
    [weights.single.weight, 15],
    [weights.line.weight, 7 * 32],
  ] as const)
    assert.ok(Math.abs((variance(data) * inputs) / 2 - 1) < 0.06, String(variance(data) * inputs))
  assert.ok(weights.plain.bias.data.every(v => v === 0))
})
