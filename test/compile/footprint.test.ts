import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peakOf } from '../../src/compile/index.ts'
import { chunked } from '../../src/compile/chunk/pass.ts'
import type { Measure } from '../../src/compile/loop/peak.ts'
import {
  bytesPerElement,
  call,
  count,
  looped,
  placeholder,
  u,
  type Block,
  type Dim,
  type Node,
} from '../../src/tensor/index.ts'

const sizes: Readonly<Record<string, number>> = { a: 10, wide: 100, rows: 7 }
const size = (dim: Dim): number => (typeof dim === 'number' ? dim : sizes[dim]!)
const measure: Measure = { size, bytes: (n, of) => count(n.shape.map(of)) * bytesPerElement[n.dtype] }
const vector = (): Node => placeholder(['a'], 'f32')
const bytes = 40

test('a value is held from its making to its last reader, and what a program is given is not counted', () => {
  const x = vector()
  const y = u.mul(x, 2)
  const z = u.mul(y, 3)
  // y and z at once, then z and its successor; the scalars 2, 3 and 4 are made on the way
  const withScalars = peakOf([u.mul(z, 4)], measure)
  assert.ok(withScalars >= 2 * bytes && withScalars <= 2 * bytes + 3 * 4)
  assert.equal(peakOf([x], measure), 0)
  // read again at the end, y lives through everything that comes between
  assert.ok(peakOf([u.add(u.mul(z, 4), y)], measure) >= 3 * bytes)
})

test('a view holds nothing, and keeps what it looks at', () => {
  const x = placeholder([4, 'a'], 'f32')
  const y = u.mul(x, 2)
  const view = u.slice(y, 0, { as: 1, start: [1] })
  const before = peakOf([y], measure)
  assert.equal(peakOf([u.reshape(view, ['a'])], measure), before)
})

const square = (fused: boolean): Block => {
  const p = vector()
  const q = u.add(p, p)
  return { name: 'square', parameters: [p], outputs: [u.add(q, q)], ...(fused ? { fused } : {}) }
}

test('what lives only within a fused block is never held', () => {
  const [plain] = call(square(false), [vector()])
  const [fused] = call(square(true), [vector()])
  assert.equal(peakOf([plain!], measure), 2 * bytes)
  assert.equal(peakOf([fused!], measure), bytes)
})

test('a loop holds one turn, beside what it yields for all layers', () => {
  const p = vector()
  const w = vector()
  const next = u.add(p, w)
  const block: Block = { name: 'layer', parameters: [p, w], outputs: [u.add(next, next), next] }
  const loop = {
    block,
    count: 5,
    feeds: [{ kind: 'carried', output: 0 }, { kind: 'layered' }],
    reverse: false,
  } as const
  const [last, stack] = looped(loop, [vector(), placeholder([5, 'a'], 'f32')])
  assert.equal(peakOf([last!], measure), 3 * bytes)
  assert.equal(peakOf([last!, stack!], measure), (1 + 5 + 2) * bytes)
})

test('a chunk holds the rows of one piece, whatever number of rows there are', () => {
  const h = placeholder(['rows', 'a'], 'f32')
  const w = placeholder(['a', 'wide'], 'f32')
  const z = u.contract(h, w, { a: 'ra', b: 'aw', out: 'rw' })
  const total = u.sum(u.mul(z, z), [1])
  const whole = peakOf([total], measure)
  const pieces = peakOf(chunked([total], { size, largest: 1000, rows: 2 }), measure)
  assert.ok(whole >= 2 * 7 * 400)
  assert.ok(pieces >= 2 * 2 * 400 && pieces < 3 * 2 * 400)
})
