import assert from 'node:assert/strict'
import { test } from 'node:test'
import { f32, integer, nn, random, reshape, type Node } from '../../src/index.ts'
import { interpret, placeholder, type Numbers } from '../../src/compiler.ts'
import { differentiate } from '../support/calculus.ts'
import { devices } from '../support/devices.ts'
import { resultsOf } from '../support/graph-results.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { sizeIn, type Instance } from '../support/op-subjects.ts'
import { runOn } from '../support/run-on.ts'
import { cosines, goldenOf, on, type Built } from '../support/shape-ops.ts'

/** Every case of the golden file, as a user writes it: with numbers, or with names for sizes. */
const built: { readonly [name: string]: Built } = {
  conv: on([f32('n', 'h6', 'w5', 3), f32(3, 3, 3, 4)], (x, w) => nn.conv2d(x, { weight: w }, { padding: 'same' })),
  valid: on([f32(2, 6, 5, 'c3'), f32(3, 2, 'c3', 'o4')], (x, w) => nn.conv2d(x, { weight: w })),
  strides: on([f32(2, 7, '2*o4', 3), f32(3, 3, 3, 4)], (x, w) =>
    nn.conv2d(x, { weight: w }, { stride: 2, padding: 1 }),
  ),
  sameStrides: on([f32(2, '2*o4', 'w7', 3), f32(3, 3, 3, 4)], (x, w) =>
    nn.conv2d(x, { weight: w }, { stride: 2, padding: 'same', as: ['o4', 'half7'] }),
  ),
  sameEven: on([f32(1, 5, 'o4', 2), f32(2, 4, 2, 3)], (x, w) => nn.conv2d(x, { weight: w }, { padding: 'same' })),
  pairs: on([f32(2, 7, 6, 2), f32(2, 3, 2, 3)], (x, w) =>
    nn.conv2d(
      x,
      { weight: w },
      {
        stride: [2, 1],
        padding: [
          [0, 2],
          [1, 0],
        ],
      },
    ),
  ),
  dilation: on([f32(2, 'w7', 'w7', 3), f32(3, 3, 3, 4)], (x, w) =>
    nn.conv2d(x, { weight: w }, { dilation: 2, padding: 'same' }),
  ),
  dilations: on([f32(1, 8, 7, 2), f32(2, 3, 2, 3)], (x, w) =>
    nn.conv2d(x, { weight: w }, { dilation: [3, 1], stride: [1, 2] }),
  ),
  groups: on([f32(2, 5, 5, 6), f32(3, 3, 2, 9)], (x, w) => nn.conv2d(x, { weight: w }, { groups: 3, padding: 1 })),
  multiplier: on([f32(2, 5, 5, 'c3'), f32(3, 3, 1, 'c3*n')], (x, w) =>
    nn.conv2d(x, { weight: w }, { groups: 'c3', padding: 'same' }),
  ),
  pointwise: on([f32(2, 4, 3, 5), f32(1, 1, 5, 4)], (x, w) => nn.conv2d(x, { weight: w })),
  pointwiseStrides: on([f32(2, 5, 4, 3), f32(1, 1, 3, 4)], (x, w) => nn.conv2d(x, { weight: w }, { stride: 2 })),
  depthwise: on([f32('n', 'h6', 'w5', 'w5'), f32(3, 3, 'w5')], (x, w) =>
    nn.depthwiseConv2d(x, { weight: w }, { padding: 1 }),
  ),
  depthwiseStrides: on([f32(2, 7, 6, 5), f32(3, 3, 5)], (x, w) =>
    nn.depthwiseConv2d(x, { weight: w }, { stride: 2, padding: 'same' }),
  ),
  depthwisePairs: on([f32(1, 7, 6, 3), f32(3, 2, 3)], (x, w) =>
    nn.depthwiseConv2d(x, { weight: w }, { stride: [2, 1] }),
  ),
  depthwiseDilation: on([f32(1, 7, 6, 3), f32(3, 2, 3)], (x, w) =>
    nn.depthwiseConv2d(x, { weight: w }, { dilation: 2 }),
  ),
  conv1d: on([f32('n', 'h9', 3), f32(3, 3, 4)], (x, w) => nn.conv1d(x, { weight: w }, { dilation: 2, padding: 2 })),
  conv1dStrides: on([f32(2, 9, 4), f32(4, 2, 6)], (x, w) =>
    nn.conv1d(x, { weight: w }, { stride: 2, groups: 2, padding: [1, 2] }),
  ),
  frames: on([f32('n', 'c3', 5, 'o4', 2), f32(3, 3, 2, 3)], (x, w) => nn.conv2d(x, { weight: w }, { padding: 'same' })),
  unbatched: on([f32(5, 4, 2), f32(3, 3, 2, 3)], (x, w) => nn.conv2d(x, { weight: w })),
  patches: on([f32(2, 'c3*2', 'n*2', 3), f32(2, 2, 3, 5), f32(5)], (x, weight, bias) =>
    nn.patchEmbedding(x, { weight, bias }),
  ),
  windows: on([f32(2, 7, 3)], x => nn.windows(x, 1, { size: 3, stride: 2 })),
  maxPool: on([f32(2, 7, 6, 3)], x => nn.maxPool2d(x, 3, { stride: 2, padding: 1 })),
  maxPoolWhole: on([f32(2, '2*c3', 'w5', 3)], x => nn.maxPool2d(x, 2, { as: ['c3', 'n'] })),
  averagePool: on([f32(2, 'w7', 6, 3)], x => nn.averagePool2d(x, 3, { stride: 2, padding: 1, as: ['o4', 3] })),
  averagePoolValid: on([f32(2, 7, 6, 3)], x => nn.averagePool2d(x, 3, { stride: 1 })),
  maxPool1d: on([f32(2, 9, 3)], x => nn.maxPool1d(x, 3, { stride: 2, padding: 1 })),
  averagePool1d: on([f32(2, 9, 3)], x => nn.averagePool1d(x, 2)),
  globalAverage: on([f32('n', 'o4', 3, 5)], x => nn.globalAveragePool(x)),
  globalMax: on([f32(2, 4, 3, 5)], x => nn.globalMaxPool(x)),
  stochasticDepth: on([f32('n8', 'c3', 2, 2)], x =>
    nn.stochasticDepth(x, random.key(7), reshape(integer(3), [1]), { rate: 0.25 }),
  ),
  squeezeExcite: on([f32(2, 4, 3, 6), f32(6, 2), f32(2), f32(2, 6), f32(6)], (x, w1, b1, w2, b2) =>
    nn.squeezeExcite(x, { reduce: { weight: w1, bias: b1 }, expand: { weight: w2, bias: b2 } }),
  ),
}

const sizes = { n: 2, n8: 8, h6: 6, w5: 5, c3: 3, o4: 4, w7: 7, half7: 4, h9: 9 }
const instanceOf = (root: Node, feeds: ReadonlyMap<Node, Numbers>): Instance => ({
  root,
  leaves: [...feeds.keys()],
  differentiable: [],
  feeds,
  sizes,
  size: sizeIn(sizes),
})

/** Every golden value and gradient, as an expression with data, and what it is. */
const golden = goldenOf('conv', built).flatMap(({ name, leaves, root, inputs, result, gradients }) => {
  const given = leaves.map((leaf, i) => [leaf, inputs[i]!] as const)
  const dy = placeholder(root.shape, 'f32')
  const fed = new Map([...given, [dy, cosines(result.sizes, result.data.length)] as const])
  return [
    { name, instance: instanceOf(root, new Map(given)), expected: result },
    ...differentiate(root, dy, leaves).map((gradient, i) => ({
      name: `the gradient ${i} of ${name}`,
      instance: instanceOf(gradient, fed),
      expected: gradients[i]!,
    })),
  ]
})

const holds = (what: string, found: ArrayLike<number>, { data }: Numbers, tolerance: number): void => {
  assert.equal(found.length, data.length, what)
  data.forEach((v, i) =>
    assert.ok(
      Math.abs(found[i]! - v) <= tolerance * Math.max(1, Math.abs(v)),
      `${what}[${i}]: ${found[i]} is not ${v}`,
    ),
  )
}

test('convolutions and pooling have PyTorch’s values and gradients by their definitions', () => {
  for (const { name, instance, expected } of golden) {
    const [found] = interpret([instance.root], instance.feeds, instance.size)
    assert.deepEqual(found!.sizes, expected.sizes, name)
    holds(name, found!.data, expected, 1e-8)
  }
})

for (const [title, open] of devices) {
  const skip = title === 'tfjs node' && noNode !== undefined ? noNode : false
  test(`convolutions and pooling have PyTorch’s values and gradients on ${title}`, { skip }, async () => {
    const device = await open()
    for (const { name, instance, expected } of golden)
      holds(name, await runOn(device, instance), expected, title === 'reference' ? 1e-5 : 1e-4)
    await device.dispose()
  })
}

for (const when of ['static', 'fed'] as const) {
  nodeTest(`convolutions and pooling have PyTorch’s values and gradients in a graph with ${when} sizes`, async () => {
    const results = await resultsOf(
      golden.map(({ instance }) => instance),
      { sizes: when },
    )
    golden.forEach(({ name, expected }, k) => {
      assert.deepEqual(results[k]!.sizes, expected.sizes, name)
      holds(name, results[k]!.data, expected, 1e-4)
    })
  })
}
