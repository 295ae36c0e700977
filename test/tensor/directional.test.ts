import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  add,
  f32,
  hvp,
  jvp,
  matmul,
  mul,
  relu,
  repeat,
  square,
  stopGradient,
  sum,
  tanh,
  type Node,
  type Tensor,
} from '../../src/index.ts'
import { interpret, type Numbers } from '../../src/compiler.ts'
import type { Equal, Expect } from '../support/expect-type.ts'
import { allEqual, dot, noise } from '../support/calculus.ts'

const size = (dim: number | string): number => ({ batch: 3, in: 4, out: 2 })[dim] ?? Number(dim)
const x = f32('batch', 'in')
const w = f32('in', 'out')
const v = f32('in', 'out')
const dx = f32('batch', 'in')
const leaves: readonly Node[] = [x, w, v, dx]
const feeds = new Map(leaves.map((leaf, i) => [leaf, noise(leaf.shape.map(size), i)]))
const values = (...roots: readonly Node[]): readonly Numbers[] => interpret(roots, feeds, size)

test('jvp gives the value and its derivative, in the types of the value', () => {
  const [y, dy] = jvp((a, b) => matmul(a, b), [x, w], [dx, v])
  const shape: Expect<Equal<typeof dy, Tensor<readonly ['batch', 'out']>>> = true
  assert.ok(shape)
  assert.ok(allEqual(values(y, dy), values(matmul(x, w), add(matmul(dx, w), matmul(x, v)))))
})

test('primals may be expressions, which are evaluated once', () => {
  const [y, dy] = jvp(a => square(a), [tanh(w)], [v])
  assert.ok(allEqual(values(y, dy), values(square(tanh(w)), mul(mul(tanh(w), v), 2))))
})

test('the Hessian of a quadratic is constant: hvp of Σ (xw)² along v is 2 xᵀ x v', () => {
  const [product] = hvp(at => sum(square(matmul(x, at))), [w], [v])
  const shape: Expect<Equal<typeof product, Tensor<readonly ['in', 'out']>>> = true
  assert.ok(shape)
  // ⟨H v, w⟩ = 2 ⟨x v, x w⟩
  const [made, xv, xw] = values(product, matmul(x, v), matmul(x, w))
  assert.ok(Math.abs(dot(made!, feeds.get(w)!) - 2 * dot(xv!, xw!)) < 1e-9)
})

const deep =
  (layers: number) =>
  (at: Tensor<readonly ['in', 'in']>): Tensor<readonly []> =>
    sum(
      square(
        repeat(
          Array.from({ length: layers }, () => at),
          x,
          (h, weight) => add(h, tanh(matmul(h, weight))),
        ),
      ),
    )
const square4 = f32('in', 'in')
const a = f32('in', 'in')
const b = f32('in', 'in')
for (const [i, leaf] of [square4, a, b].entries()) feeds.set(leaf, noise([4, 4], 20 + i))

test('a Hessian is symmetric, through layers that are called: ⟨H a, b⟩ = ⟨a, H b⟩', () => {
  for (const layers of [1, 2, 5]) {
    const [ha] = hvp(deep(layers), [square4], [a])
    const [hb] = hvp(deep(layers), [square4], [b])
    const [left, right] = values(ha, hb)
    const one = dot(left!, feeds.get(b)!)
    const other = dot(right!, feeds.get(a)!)
    assert.ok(Math.abs(one - other) <= 1e-9 * Math.abs(one), `${one} and ${other}`)
    assert.ok(Math.abs(one) > 1e-3, 'there is a curvature to compare')
  }
})

test('the derivative of a gradient along a tangent is the Hessian-vector product', () => {
  const [, along] = jvp(at => hvp(deep(2), [at], [a])[0], [square4], [b])
  const [, across] = jvp(at => hvp(deep(2), [at], [b])[0], [square4], [a])
  // third derivatives are symmetric too
  const [left, right] = values(along, across)
  assert.ok(allEqual([left!], [right!]))
})

test('where no derivative flows, a tangent gives zeros of the shape', () => {
  const [, stopped] = jvp(at => stopGradient(at), [w], [v])
  const [linear] = hvp(at => sum(relu(at)), [w], [v])
  for (const { sizes, data } of values(stopped, linear)) {
    assert.deepEqual(sizes, [4, 2])
    assert.ok(data.every(n => n === 0))
  }
})
