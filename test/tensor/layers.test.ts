import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  f32,
  gradients,
  interpret,
  nn,
  scalar,
  topological,
  u,
  whole,
  type Node,
  type Numbers,
  type Shape,
} from '../../src/tensor/index.ts'
import { sizeIn } from '../support/op-subjects.ts'

const numbers = (sizes: readonly number[], data: readonly number[]): Numbers => ({
  sizes,
  data: Float64Array.from(data),
})
const evaluated = (roots: readonly Node[], feeds: ReadonlyMap<Node, Numbers>): readonly (readonly number[])[] =>
  // −0 is 0
  interpret(roots, feeds, sizeIn({})).map(({ data }) => [...data].map(x => x + 0))
/** A function of the language, called with what `tsc` would refuse. */
const untyped = (f: unknown) => f as (...args: readonly unknown[]) => Node

/** The probabilities of one row, and the gradient of the sum of their products with 1, 2, 3, … */
const visible = (row: readonly number[]): readonly (readonly number[])[] => {
  const x = f32(row.length)
  const weights = u.constant(
    row.map((_, i) => i + 1),
    [row.length],
  )
  const y = u.visibleSoftmax(x)
  const { gradients: g } = gradients([u.sum(u.mul(y, weights), [0])], [scalar(1)], [whole(x)])
  return evaluated([y, ...g], new Map([[x, numbers([row.length], row)]]))
}

test('a score below −10³⁰ has no part in a softmax, and a row of them is 0 with a gradient of 0', () => {
  for (const hidden of [-Infinity, -3e38, -1.1e30]) {
    assert.deepEqual(visible([hidden, hidden, hidden]), [
      [0, 0, 0],
      [0, 0, 0],
    ])
    assert.deepEqual(visible([hidden, -1e4, hidden]), [
      [0, 1, 0],
      [0, 0, 0],
    ])
    const [all, slope] = visible([hidden, 0, 1])
    const e = Math.exp(-1)
    const close = (found: number, expected: number): boolean => Math.abs(found - expected) < 1e-12
    assert.ok(close(all![0]!, 0) && close(all![1]!, e / (1 + e)) && close(all![2]!, 1 / (1 + e)))
    assert.ok(close(slope![0]!, 0) && close(slope![2]!, e / (1 + e) ** 2) && close(slope![1]!, -slope![2]!))
  }
})

test('without a hidden score it is the softmax, whatever is added to a row; a mutant that adds 1 to a sum is refuted', () => {
  const law = (more: number) =>
    fc.property(
      fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: -9, max: 9 }),
      (row, shift) => {
        const e = row.map(x => Math.exp(x - Math.max(...row)))
        const total = e.reduce((sum, x) => sum + x, more)
        return visible(row.map(x => x + 1e6 * shift))[0]!.every((p, i) => Math.abs(p - e[i]! / total) < 1e-9)
      },
    )
  fc.assert(law(0))
  assert.ok(fc.check(law(1)).failed)
})

test('a layer norm keeps its input for the backward pass, and nothing else of its size', () => {
  const x = f32('batch', 'hidden')
  const dy = f32('batch', 'hidden')
  const { gradients: g } = gradients([nn.standardize(x)], [dy], [whole(x)])
  assert.deepEqual(
    topological(g).map(n => n.op.name),
    ['parameter', 'parameter', 'standardizeGrad'],
  )
})

const shapeOf = (x: Node): string => x.shape.join(', ')
test('declared leaves have the names and the shapes of their layer', () => {
  const listed = (tree: object): readonly string[] =>
    Object.entries(tree).map(([name, leaf]) => `${name} [${shapeOf(leaf as Node)}]`)
  assert.deepEqual(listed(nn.Linear('in', 'out')), ['weight [in, out]', 'bias [out]'])
  assert.deepEqual(listed(nn.Linear('in', 'out', { bias: false })), ['weight [in, out]'])
  assert.deepEqual(listed(nn.LayerNorm('hidden', { bias: false })), ['weight [hidden]'])
  const { key, output } = nn.MultiHeadAttention('hidden', {
    heads: 'kvHeads*group',
    headDim: 'headDim',
    kvHeads: 'kvHeads',
  })
  assert.deepEqual(listed(key), ['weight [hidden, kvHeads*headDim]', 'bias [kvHeads*headDim]'])
  assert.deepEqual(listed(output), ['weight [kvHeads*group*headDim, hidden]', 'bias [hidden]'])
})

const q = (heads: Shape[number]): Node => u.parameter([2, heads, 3, 4], 'f32')
for (const [name, made, text] of [
  [
    'a linear layer of other inputs',
    () => untyped(nn.linear)(f32('batch', 'hidden'), nn.Linear('ffn', 'hidden')),
    'matmul: inner dims hidden and ffn differ',
  ],
  [
    'a layer norm of other features',
    () => untyped(nn.layerNorm)(f32('batch', 'hidden'), nn.LayerNorm('ffn')),
    'layerNorm: the weight is [ffn], not [hidden]',
  ],
  [
    'groups that do not divide the channels',
    () => nn.groupNorm(f32(2, 10), nn.GroupNorm(10), { groups: 4 }),
    'groupNorm: 10 channels are not 4 groups of equal size',
  ],
  [
    'groups with a name that the channels lack',
    () => nn.groupNorm(f32('batch', 'channels'), nn.GroupNorm('channels'), { groups: 'groups' }),
    'groupNorm: channels channels are not groups groups of equal size',
  ],
  [
    'a group norm without a batch',
    () => nn.groupNorm(f32('channels'), nn.GroupNorm('channels'), { groups: 1 }),
    'groupNorm: [channels] has no batch and channels',
  ],
  [
    'positions of other features',
    () => untyped(nn.position)(f32('batch', 'seq', 'hidden'), nn.Position('positions', 'ffn')),
    'position: [batch, seq, hidden] has no rows of [ffn]',
  ],
  [
    'rotary positions of a head without a half',
    () => nn.rotary(f32('batch', 'seq', 'headDim')),
    'rotary: headDim has no half: write it as 2*half, or specify the half',
  ],
  [
    'heads that are no multiple',
    () => untyped(nn.attention)(q(3), q(2), q(2)),
    'attention: 3 heads are no multiple of 2 heads of keys',
  ],
  [
    'heads with other names',
    () => untyped(nn.attention)(q('heads'), q('kvHeads'), q('kvHeads')),
    'attention: heads heads are no multiple of kvHeads heads of keys',
  ],
  [
    'a mask of other keys',
    () => untyped(nn.attention)(q(2), q(2), q(2), { mask: f32(3, 4) }),
    'attention: the mask: broadcast: dims 4 and 3 differ in [3, 4] and [2, 2, 3, 3]',
  ],
  [
    'an attention to nothing',
    () => untyped(nn.attention)(f32('batch', 'seq'), f32('batch', 'seq'), f32('batch', 'seq')),
    'attention: queries [batch, seq] and keys [batch, seq] are not [batch, heads, position, headDim]',
  ],
] as const)
  test(`${name}: refused with one sentence`, () => {
    assert.throws(made, { name: 'ShapeMismatch', message: text })
  })
