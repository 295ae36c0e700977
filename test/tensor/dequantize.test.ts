import assert from 'node:assert/strict'
import { test } from 'node:test'
import { staticNodes } from '../../src/compile/prepare.ts'
import { rewrite, type Rule } from '../../src/compile/index.ts'
import {
  dequantize,
  dynamicMap,
  f32,
  gradients,
  i32,
  interpret,
  matmul,
  nf4Codebook,
  transpose,
  whole,
  type Dim,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'

const size = (dim: Dim): number => Number(dim)
const of = (...data: readonly number[]): Numbers => ({ sizes: [data.length], data: Float64Array.from(data) })
const evaluated = (root: Node, ...feeds: readonly (readonly [Node, Numbers])[]): readonly number[] => [
  ...interpret([root], new Map(feeds), size)[0]!.data,
]
const codes = i32(8)
const absmax = f32(1)
/** Words whose fields are 0 to 15 in turn: element 8 k + j of a block is field k of word j. */
const counted = of(
  ...Array.from({ length: 8 }, (_, j) =>
    Array.from({ length: 8 }, (_, k) => ((8 * k + j) & 15) << (4 * k)).reduce((word, field) => word | field),
  ),
)

test('a field of eight words is eight elements side by side, times the scale of the block', () => {
  const found = evaluated(dequantize([4, 16], { codes, absmax }), [codes, counted], [absmax, of(-2)])
  assert.deepEqual(
    found.map(v => v + 0),
    Array.from({ length: 64 }, (_, i) => -2 * nf4Codebook[i % 16]! + 0),
  )
})

test('what fills the last block is left out', () => {
  assert.deepEqual(
    evaluated(dequantize([3], { codes, absmax }), [codes, counted], [absmax, of(1)]),
    nf4Codebook.slice(0, 3),
  )
})

test('quantized scales are bytes, the first in the lowest bits, times a scale, from an offset', () => {
  const three = i32(24)
  const absmax_codes = i32(1)
  const nested_absmax = f32(1)
  const nested_offset = f32(1)
  const words = of(...Array.from({ length: 24 }, (_, i) => counted.data[i % 8]!))
  const bytes = (200 << 16) | (100 << 8) | 255
  const found = evaluated(
    dequantize([3, 64], { codes: three, absmax_codes, nested_absmax, nested_offset }),
    [three, words],
    [absmax_codes, of(bytes)],
    [nested_absmax, of(0.5)],
    [nested_offset, of(3)],
  )
  // element 15 of a block is its scale
  assert.deepEqual(
    [found[15], found[64 + 15], found[128 + 15]],
    [255, 100, 200].map(code => dynamicMap[code]! * 0.5 + 3),
  )
})

test('a wrong size is one sentence, and so is a wrong declaration', () => {
  assert.throws(() => evaluated(dequantize([65], { codes, absmax }), [codes, counted], [absmax, of(1)]), {
    message: 'dequantize: 65 elements are packed in 16 codes, not in 8',
  })
  assert.throws(() => dequantize(['out', 'in'], { codes: f32('words'), absmax }), {
    name: 'ShapeMismatch',
    message: 'dequantize: codes is [words] of f32, not a vector of i32',
  })
  assert.throws(() => dequantize(['out', 'in'], { codes, absmax: f32('blocks', 2) }), {
    name: 'ShapeMismatch',
    message: 'dequantize: absmax is [blocks, 2] of f32, not a vector of f32',
  })
})

test('nothing flows back into what is packed, and everything through it to what it is multiplied with', () => {
  const x = f32(2, 8)
  const w = dequantize([8, 8], { codes, absmax })
  const dy = f32(2, 8)
  const y = matmul(x, w)
  const [dx, ds] = gradients([y], [dy], [whole(x), whole(absmax)]).gradients
  const feeds = [
    [codes, counted],
    [absmax, of(1)],
    [dy, { sizes: [2, 8], data: Float64Array.from({ length: 16 }, (_, i) => i) }],
  ] as const
  assert.deepEqual(evaluated(ds!, ...feeds), [0])
  assert.deepEqual(evaluated(dx!, ...feeds), evaluated(matmul(dy, transpose(w, [1, 0])), ...feeds))
})

test('what is unpacked is not static, and neither is what follows from it, while the rest of the frozen is', () => {
  const w = dequantize([8, 8], { codes, absmax })
  const turned = transpose(w, [1, 0])
  const v = f32(8, 8)
  const other = transpose(v, [1, 0])
  const found = staticNodes([turned, other], () => true)
  assert.deepEqual(
    [w, turned, other, codes, absmax].map(n => found.has(n)),
    [false, false, true, true, true],
  )
  const asked = new Map<Node, boolean>()
  const asking: Rule = {
    name: 'asking',
    apply: (n, { isStatic }) => {
      asked.set(n, isStatic(n))
      return undefined
    },
  }
  rewrite([turned, other], [asking], { size, isStatic: n => n.inputs.length === 0 })
  assert.deepEqual(
    [w, turned, other].map(n => asked.get(n)),
    [false, false, true],
  )
})
