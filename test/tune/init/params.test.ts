import assert from 'node:assert/strict'
import { test } from 'node:test'
import { f32, i32, type Value } from '../../../src/tensor/index.ts'
import * as init from '../../../src/tune/init/index.ts'
import { isAbout } from '../../../src/tune/init/pattern.ts'
import type { Equal } from '../../support/expect-type.ts'

const layer = () => ({ up: f32('hidden', 'ffn'), bias: f32('ffn') })
const declared = {
  params: {
    layers: [layer(), layer()],
    gain: init.leaf(init.ones(), 'hidden'),
    head: f32('hidden', 'classes'),
    scale: f32(),
  },
  dims: { hidden: 4, classes: 3 },
}
const dims = { ffn: 5 }

test('every leaf gets a value with its names and sizes; the type is that of the weights', () => {
  const weights = init.params(declared, { seed: 0, dims })
  assert.ok(true satisfies Equal<typeof weights.head, Value<readonly ['hidden', 'classes'], 'f32'>>)
  assert.deepEqual(weights.head.shape, ['hidden', 'classes'])
  assert.deepEqual(weights.head.sizes, [4, 3])
  assert.deepEqual(
    weights.layers.map(({ up, bias }) => [up.sizes, bias.sizes]),
    [
      [[4, 5], [5]],
      [[4, 5], [5]],
    ],
  )
})

test('without an initializer a declaration decides; otherwise matrices are uniform, vectors and numbers zero', () => {
  const weights = init.params(declared, { seed: 0, dims })
  assert.deepEqual(weights.gain.data, Float32Array.of(1, 1, 1, 1))
  assert.deepEqual([weights.scale.data, weights.layers[0]!.bias.data], [new Float32Array(1), new Float32Array(5)])
  const head = init.glorotUniform()({ seed: 0, path: 'head', sizes: [4, 3] })
  assert.deepEqual(weights.head.data, head)
})

test('patterns choose leaves: a path goes first, then the last pattern', () => {
  const weights = init.params(declared, {
    seed: 0,
    dims,
    leaves: {
      'layers.1.bias': init.constant(7),
      '**': init.constant(1),
      'layers.*.up': init.constant(2),
      '**.bias': init.constant(3),
      'sc*': init.constant(4),
    },
  })
  assert.deepEqual(
    [weights.layers[0]!.up, weights.layers[1]!.up, weights.layers[0]!.bias, weights.layers[1]!.bias].map(
      v => v.data[0],
    ),
    [2, 2, 3, 7],
  )
  assert.deepEqual(
    [weights.gain, weights.head, weights.scale].map(v => v.data[0]),
    [1, 1, 4],
  )
})

test('a star is a part of one key, two stars any number of keys', () => {
  for (const [pattern, path, is] of [
    ['up', 'up', true],
    ['up', 'layers.up', false],
    ['layers.*.up', 'layers.0.up', true],
    ['layers.*.up', 'layers.0.mlp.up', false],
    ['layers.**.up', 'layers.0.mlp.up', true],
    ['layers.**.up', 'layers.up', true],
    ['**', 'a.b.c', true],
    ['**.bias', 'bias', true],
    ['**.bias', 'a.biases', false],
    ['**.b*s', 'a.bias', true],
    ['a.*', 'a', false],
    ['a+b', 'aab', false],
    ['a+b', 'a+b', true],
  ] as const)
    assert.equal(isAbout(pattern, path), is, `${pattern} ${path}`)
})

test('a leaf does not depend on the others: neither on their number nor on their order', () => {
  const { head } = init.params(declared, { seed: 5, dims })
  const alone = init.params({ params: { head: f32('hidden', 'classes') }, dims: declared.dims }, { seed: 5 })
  assert.deepEqual(alone.head, head)
  const [first, second] = init.params(declared, { seed: 5, dims }).layers
  assert.notDeepEqual(first!.up.data, second!.up.data)
})

test('a leaf in two places has one value, which a pattern about either place chooses', () => {
  const table = f32('vocab', 'hidden')
  const tied = { params: { embed: table, head: table }, dims: { vocab: 3, hidden: 2 } }
  const weights = init.params(tied, { seed: 0, leaves: { head: init.ones() } })
  assert.equal(weights.embed, weights.head)
  assert.deepEqual(weights.embed.data, new Float32Array(6).fill(1))
})

test('what is missing, unknown or of another type is refused in one sentence', () => {
  for (const [make, text] of [
    [() => init.params(declared, { seed: 0 }), 'init: ffn, of layers.0.up, has no size: specify dims: { "ffn": … }'],
    [
      () => init.params({ params: { up: f32('a', 'b*c') } }, { seed: 0, dims: { b: 2 } }),
      'init: a and c, of up and others, have no size: specify dims: { "a": …, "c": … }',
    ],
    [
      () => init.params(declared, { seed: 0, dims: { ffn: 5, hidden: 8 } }),
      'init: hidden is 4 in the model but 8 in dims',
    ],
    [
      () => init.params(declared, { seed: 0, dims: { ffn: 0 } }),
      'init: layers.0.up: dim ffn is 0: a size is a positive whole number',
    ],
    [
      () => init.params(declared, { seed: 0, dims, leaves: { 'layers.*.upp': init.ones() } }),
      'init: no parameter is called "layers.*.upp": there are layers.0.up, layers.0.bias, layers.1.up, layers.1.bias, gain, head, scale',
    ],
    [() => init.params({ params: { ids: i32(2) } }, { seed: 0 }), 'init: ids is i32, and first values are f32'],
    [() => init.params(declared, { seed: 0.5, dims }), 'init: the seed is 0.5: it is a whole number'],
    [
      () => init.params({ params: { w: f32(2) } }, { seed: 0, leaves: { w: () => new Float32Array(3) } }),
      'init: the initializer of w gives 3 numbers, and its sizes are [2]',
    ],
    [
      () => init.params({ params: { w: f32(2) } }, { seed: 0, leaves: { w: init.orthogonal() } }),
      'init: orthogonal needs a matrix, and the sizes of w are [2]',
    ],
  ] as const)
    assert.throws(make, new RangeError(text))
})
