import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  composites,
  is,
  node,
  placeholder,
  primitives,
  ShapeMismatch,
  structureOf,
  u,
  type Node,
  type Op,
} from '../../src/tensor/index.ts'
import { elementwiseOps } from '../../src/tensor/op/elementwise.ts'
import { functionOps } from '../../src/tensor/op/functions.ts'
import { instances, subjects } from '../support/op-subjects.ts'

/** Verbs whose operands stand first, as functions of them and of attributes. */
const verbs: { readonly [name: string]: unknown } = u
const applied = (name: string, ...args: readonly unknown[]): Node =>
  (verbs[name] as (...all: readonly unknown[]) => Node)(...args)
const same = (a: Node, b: Node, leaves: readonly Node[]): boolean =>
  structureOf([a], leaves) === structureOf([b], leaves)

test('every op has an untyped verb of its name, and no verb stands for nothing', () => {
  assert.deepEqual(Object.keys(u).sort(), Object.keys({ ...primitives, ...composites }).sort())
  assert.ok(Object.values(u).every(verb => typeof verb === 'function'))
})

for (const [name, op] of Object.entries({ ...elementwiseOps, ...functionOps, ...composites })) {
  test(`the verb ${name} applies ${name}`, () => {
    fc.assert(
      fc.property(instances(subjects[name as keyof typeof subjects]), ({ root }) => {
        const attributes = Object.keys(root.attributes as object).length === 0 ? [] : [root.attributes]
        const made = applied(name, ...root.inputs, ...attributes)
        return is(made, op as Op) && same(made, root, root.inputs)
      }),
      { numRuns: 20 },
    )
  })
}

test('the arity of an elementwise op is the number of its operands, and another number is refused', () => {
  for (const [name, op] of Object.entries({ ...elementwiseOps, ...functionOps })) {
    fc.assert(
      fc.property(instances(subjects[name as keyof typeof subjects]), ({ root }) => {
        assert.equal(op.arity, root.inputs.length)
        assert.throws(() => node(op, [...root.inputs, ...root.inputs], {}), ShapeMismatch)
      }),
      { numRuns: 5 },
    )
  }
})

test('a number among operands is a scalar of their dtype', () => {
  const x = placeholder(['a'], 'f32')
  const i = placeholder(['a'], 'i32')
  assert.ok(same(u.mul(x, 0.5), u.mul(x, u.constant(0.5)), [x]))
  assert.ok(same(u.sub(1, x), u.sub(u.constant(1), x), [x]))
  assert.ok(same(u.add(i, 2), u.add(i, u.constant(2, [], 'i32')), [i]))
  const both = placeholder(['a'], 'bool')
  assert.ok(same(u.select(both, 0, x), u.select(both, u.constant(0), x), [both, x]))
})

test('a verb is a function for `reduce` and `map`: it takes its operands, and nothing that comes after them', () => {
  const [a, b, c] = ['a', 'a', 'a'].map(dim => placeholder([dim], 'f32')) as [Node, Node, Node]
  assert.ok(same([a, b, c].reduce(u.add), u.add(u.add(a, b), c), [a, b, c]))
  assert.ok(same([a, b].map(u.neg)[1]!, u.neg(b), [b]))
})

test('what changes nothing is the node itself', () => {
  const x = placeholder(['a', 'b'], 'f32')
  for (const made of [u.cast(x, 'f32'), u.reshape(x, ['a', 'b']), u.broadcastTo(x, ['a', 'b']), u.transpose(x, [0, 1])])
    assert.equal(made, x)
  assert.equal(u.reshape(u.reshape(x, ['b', 'a'].map(() => 'a*b').slice(1)), ['a', 'b']).inputs[0], x)
})
