import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  called,
  emptyBody,
  emptyLibrary,
  sizesIn,
  sumOfSizes,
  vectorOf,
  type Body,
  type Ref,
} from '../../../src/backend/graph/index.ts'

const placeholder = (body: Body): Ref => body.apply('Placeholder', [], { dtype: { type: 'f32' } })

test('inputs are written as a function and as the main graph have them', () => {
  const texts = (kind: 'function' | 'graph'): readonly string[] => {
    const body = emptyBody(kind)
    const x = placeholder(body)
    const [, second] = body.add('Split', [body.constant(0, 'i32'), x], { num_split: { int: 2 } }).outputs
    return [
      second!.text,
      body.add('SparseSoftmaxCrossEntropyWithLogits', [x, body.constant([0], 'i32')]).outputs[1]!.text,
    ]
  }
  assert.deepEqual(texts('function'), ['Split:output:1', 'SparseSoftmaxCrossEntropyWithLogits:backprop:0'])
  assert.deepEqual(texts('graph'), ['Split:1', 'SparseSoftmaxCrossEntropyWithLogits:1'])
})

test('equal constants and sizes are one node; equal values of floats, reads and effects are not', () => {
  const body = emptyBody('function')
  const x = placeholder(body)
  assert.equal(body.constant([1, 2], 'i32'), body.constant([1, 2], 'i32'))
  assert.notEqual(body.constant(1, 'i32'), body.constant(1, 'f32'))
  assert.notEqual(body.constant(1, 'i32'), body.constant([1], 'i32'))
  assert.equal(body.apply('Shape', [x]), body.apply('Shape', [x]))
  assert.notEqual(body.apply('Neg', [x]), body.apply('Neg', [x]))
  const handle = body.apply('VarHandleOp', [], {
    dtype: { type: 'i32' },
    shape: { shape: [] },
    shared_name: { text: 'v' },
  })
  const read = (): Ref => body.apply('ReadVariableOp', [handle], { dtype: { type: 'i32' } })
  assert.notEqual(read(), read())
  const names = body.nodes().map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
})

test('inputs that do not fit an op are refused', () => {
  const body = emptyBody('function')
  const x = placeholder(body)
  const i = body.constant(1, 'i32')
  assert.throws(() => body.apply('AddV2', [x, i]), /AddV2 does not take \[f32, i32\]/)
  assert.throws(() => body.apply('AddV2', [x]), /AddV2 does not take/)
  assert.throws(() => body.apply('Neg', [x, x]), /Neg does not take/)
  assert.throws(() => body.apply('LogicalAnd', [x, x]), /LogicalAnd does not take/)
  assert.throws(() => body.apply('Cast', [x]), /Cast needs the attribute DstT/)
  assert.throws(() => body.apply('NoOp', []), /NoOp has no result/)
})

test('the same function twice is one, and a function knows its effects', () => {
  const library = emptyLibrary()
  const square = (name: string) =>
    library.define({ name, parameters: ['f32'], write: (body, [x]) => [body.apply('Mul', [x!, x!])] })
  assert.equal(square('one'), square('two'))
  assert.equal(library.functions().length, 1)
  const handle = (body: Body): Ref =>
    body.apply('VarHandleOp', [], { dtype: { type: 'f32' }, shape: { shape: [] }, shared_name: { text: 'v' } })
  const writing = library.define({
    name: 'writing',
    parameters: ['f32'],
    write: (body, [x]) => {
      body.add('AssignVariableOp', [handle(body), x!])
      return [x!]
    },
  })
  const caller = library.define({
    name: 'caller',
    parameters: ['f32'],
    write: (body, [x]) => called(body, writing, [x!]).outputs,
  })
  assert.deepEqual([square('three').stateful, writing.stateful, caller.stateful], [false, true, true])
  assert.deepEqual(
    library.functions().map(({ control_ret }) => Object.keys(control_ret)),
    [[], ['AssignVariableOp'], ['StatefulPartitionedCall']],
  )
})

test('sizes that are known are constants, others are computed', () => {
  const body = emptyBody('function')
  const batch = body.apply('Size', [placeholder(body)])
  const size = sizesIn(body, name => (name === 'batch' ? batch : 3))
  assert.equal(size('seq*2'), 6)
  assert.equal(size(1), 1)
  assert.equal(size('batch'), batch)
  assert.equal(size('batch*seq'), size('batch*seq'))
  assert.equal(sumOfSizes(body, [2, 3]), 5)
  assert.equal(sumOfSizes(body, [0, batch]), batch)
  const ops = (): readonly string[] => body.nodes().map(({ op }) => op)
  assert.ok(!ops().includes('Pack'))
  vectorOf(body, [2, 3])
  assert.ok(!ops().includes('Pack'))
  vectorOf(body, [2, batch])
  assert.ok(ops().includes('Pack'))
})
