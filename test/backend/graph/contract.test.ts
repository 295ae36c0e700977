import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeholder, u, type Contraction, type Shape } from '../../../src/tensor/index.ts'
import { emptyBody, graphLowerings, lowered, sizesIn, type Size } from '../../../src/backend/graph/index.ts'

/**
 * The ops that a contraction becomes, without those that only view data or compute sizes. `batch` and `seq` are known
 * when the graph runs.
 */
const opsOf = (letters: Contraction, a: Shape, b: Shape): readonly string[] => {
  const body = emptyBody('function', ['batch', 'seq', 'a', 'b'])
  const x = placeholder(a, 'f32')
  const y = placeholder(b, 'f32')
  const sizes: Readonly<Record<string, Size>> = {
    heads: 3,
    group: 3,
    width: 64,
    hidden: 576,
    inner: 1536,
    ...Object.fromEntries(['batch', 'seq'].map(name => [name, { node: name, text: name, type: 'i32' }])),
  }
  const given = new Map([x, y].map((leaf, i) => [leaf, { node: 'ab'[i]!, text: 'ab'[i]!, type: 'f32' as const }]))
  lowered(graphLowerings, [u.contract(x, y, letters)], given, {
    body,
    size: sizesIn(body, name => sizes[name]!),
    compute: 'f32',
  })
  const looking = new Set(['Const', 'Pack', 'Mul', 'Reshape'])
  return body
    .nodes()
    .map(({ op }) => op)
    .filter(op => !looking.has(op))
}

const tokens: Shape = ['batch', 'seq', 'hidden']
const weight: Shape = ['hidden', 'inner']
const wide: Shape = ['batch', 'seq', 'inner']
const queries: Shape = ['batch', 'heads', 'group', 'seq', 'width']
const keys: Shape = ['batch', 'heads', 'seq', 'width']
const scores: Shape = ['batch', 'heads', 'group', 'seq', 'seq']
const products: readonly (readonly [what: string, letters: Contraction, a: Shape, b: Shape, op: string])[] = [
  ['a projection', { a: 'bsi', b: 'io', out: 'bso' }, tokens, weight, 'MatMul'],
  ['what flows back through it', { a: 'bso', b: 'io', out: 'bsi' }, wide, weight, 'MatMul'],
  ['the gradient of its weight', { a: 'bsi', b: 'bso', out: 'io' }, tokens, wide, 'MatMul'],
  ['the scores of grouped queries', { a: 'bhgqd', b: 'bhkd', out: 'bhgqk' }, queries, keys, 'BatchMatMulV2'],
  ['their weighted values', { a: 'bhgqk', b: 'bhkd', out: 'bhgqd' }, scores, keys, 'BatchMatMulV2'],
  ['the gradient of keys', { a: 'bhgqk', b: 'bhgqd', out: 'bhkd' }, scores, queries, 'BatchMatMulV2'],
]
for (const [what, letters, a, b, op] of products) {
  test(`${what}, ${letters.a},${letters.b}->${letters.out}, is one ${op} and moves nothing`, () =>
    assert.deepEqual(opsOf(letters, a, b), [op]))
}

test('a product whose letters lie otherwise moves what it must', () => {
  const moved = opsOf({ a: 'bsi', b: 'io', out: 'sbo' }, tokens, weight)
  assert.deepEqual([...moved].sort(), ['MatMul', 'Transpose'])
})
