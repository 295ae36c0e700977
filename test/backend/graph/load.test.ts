import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import * as tfjs from '@tensorflow/tfjs-core'
import { SessionError, type Buffer } from '../../../src/backend/index.ts'
import {
  after,
  branch,
  called,
  emptyBody,
  emptyLibrary,
  loadGraph,
  whileLoop,
  type Body,
  type Graph,
  type Ref,
} from '../../../src/backend/graph/index.ts'
import { nodeTest } from '../../support/native-library.ts'
import { native } from '../../support/graph-results.ts'

/** The temporary folders of this process: others may load graphs at the same time. */
const folders = async (): Promise<readonly string[]> =>
  (await readdir(tmpdir())).filter(name => name.startsWith('.partensor.') && name.includes(`-${process.pid}-`))
const f32 = (...data: readonly number[]): Buffer => ({
  sizes: [data.length],
  dtype: 'f32',
  data: Float32Array.from(data),
})

const variable = (body: Body): Ref =>
  body.apply('VarHandleOp', [], { dtype: { type: 'f32' }, shape: { shape: [2] }, shared_name: { text: 'total' } })

/** A variable that is set, added to and read, and a loop and a choice. */
const accumulator = (): Graph => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const x = main.apply('Placeholder', [], { dtype: { type: 'f32' } }, { name: 'x' })
  const read = (body: Body, anchor: Ref | { readonly node: string }): Ref =>
    body.apply('ReadVariableOp', [variable(body)], { dtype: { type: 'f32' } }, { control: [anchor] })
  const set = library.define({
    name: 'set',
    parameters: ['f32'],
    write: (body, [p]) => [read(body, body.add('AssignVariableOp', [variable(body), p!]))],
  })
  // nothing reads the result of the assignment: it is kept as an effect
  const add = library.define({
    name: 'add',
    parameters: ['f32'],
    write: (body, [p]) => {
      body.add('AssignAddVariableOp', [variable(body), p!])
      return [p!]
    },
  })
  const condition = library.define({
    name: 'below',
    parameters: ['i32', 'f32'],
    write: (body, [i]) => [body.apply('Less', [i!, body.constant(5, 'i32')])],
  })
  const turn = library.define({
    name: 'double',
    parameters: ['i32', 'f32'],
    write: (body, [i, p]) => [
      body.apply('AddV2', [i!, body.constant(1, 'i32')]),
      body.apply('Mul', [p!, body.constant(2, 'f32')]),
    ],
  })
  const loop = library.define({
    name: 'loop',
    parameters: ['f32'],
    write: (body, [p]) => [whileLoop(body, condition, turn, [body.constant(0, 'i32'), p!]).outputs[1]!],
  })
  const negated = library.define({
    name: 'negated',
    parameters: ['f32'],
    write: (body, [p]) => [body.apply('Neg', [p!])],
  })
  const same = library.define({ name: 'same', parameters: ['f32'], write: (_, [p]) => [p!] })
  const absolute = library.define({
    name: 'absolute',
    parameters: ['f32'],
    write: (body, [p]) => {
      const negative = body.apply('Less', [body.apply('Sum', [p!, body.constant(0, 'i32')]), body.constant(0, 'f32')])
      return branch(body, negative, negated, same, [p!]).outputs
    },
  })
  const get = library.define({
    name: 'get',
    parameters: [],
    write: body => [after(body, read(body, body.add('NoOp', [])), [])],
  })
  const signature = (y: Ref | undefined) => ({ inputs: { x }, outputs: { y: y! } })
  return {
    main,
    library,
    signatures: {
      set: signature(called(main, set, [x]).outputs[0]),
      add: signature(called(main, add, [x]).outputs[0]),
      loop: signature(called(main, loop, [x]).outputs[0]),
      absolute: signature(called(main, absolute, [x]).outputs[0]),
      get: { inputs: {}, outputs: { y: called(main, get, []).outputs[0]! } },
    },
  }
}

nodeTest('signatures share variables, effects are kept, loops and choices run, and nothing is left', async () => {
  const opened = await native()
  const before = { tensors: tfjs.memory().numTensors, folders: await folders() }
  const graph = await loadGraph(opened, accumulator())
  const run = (name: string, feeds: Record<string, Buffer>): readonly number[] => [...graph.run(name, feeds)['y']!.data]
  assert.deepEqual(await folders(), before.folders)
  assert.deepEqual(run('set', { x: f32(1, 2) }), [1, 2])
  assert.deepEqual(run('add', { x: f32(10, 20) }), [10, 20])
  assert.deepEqual(run('get', {}), [11, 22])
  assert.deepEqual(run('loop', { x: f32(1, -3) }), [32, -96])
  assert.deepEqual(run('absolute', { x: f32(-3, 1) }), [3, -1])
  assert.deepEqual(run('absolute', { x: f32(3, -1) }), [3, -1])
  assert.throws(() => run('add', {}), /input names/)
  assert.throws(() => run('add', { x: f32(1, 2, 3) }), /shape/)
  assert.throws(() => run('add', { x: { sizes: [2], dtype: 'bf16', data: new Uint16Array(2) } }), SessionError)
  assert.equal(tfjs.memory().numTensors, before.tensors)
  graph.dispose()
  assert.throws(() => run('get', {}), SessionError)
})

nodeTest('two graphs do not share variables', async () => {
  const opened = await native()
  const one = await loadGraph(opened, accumulator())
  const two = await loadGraph(opened, accumulator())
  one.run('set', { x: f32(1, 2) })
  two.run('set', { x: f32(3, 4) })
  assert.deepEqual([...one.run('get', {})['y']!.data], [1, 2])
  one.dispose()
  assert.deepEqual([...two.run('get', {})['y']!.data], [3, 4])
  two.dispose()
})

nodeTest('a graph keeps nothing of the memory that it is given, at whatever address it begins', async () => {
  const graph = await loadGraph(await native(), accumulator())
  // one of these addresses is a multiple of 64: TensorFlow copies data at the others in any case
  const memory = new ArrayBuffer(128)
  for (const at of [0, 16, 32, 48]) {
    const data = new Float32Array(memory, at, 2)
    data.set([1, 2])
    graph.run('set', { x: { sizes: [2], dtype: 'f32', data } })
    data.set([3, 4])
    assert.deepEqual([...graph.run('get', {})['y']!.data], [1, 2], `from byte ${at}`)
  }
  graph.dispose()
})

nodeTest('a graph that TensorFlow refuses is one error, and leaves no folder', async () => {
  const opened = await native()
  const before = await folders()
  const graph = accumulator()
  const broken: Graph = {
    ...graph,
    main: {
      ...graph.main,
      nodes: () => graph.main.nodes().map(node => (node.op === 'Placeholder' ? { ...node, op: 'Nowhere' } : node)),
    },
  }
  await assert.rejects(
    loadGraph(opened, broken),
    (error: unknown) => error instanceof SessionError && /does not load the graph.*Nowhere/s.test(error.message),
  )
  assert.deepEqual(await folders(), before)
})

test('a backend without a loader is one sentence', async () => {
  const without = { from: 'a backend', tensorflow: '2', gpu: false, loadSavedModel: undefined }
  await assert.rejects(
    loadGraph(without, accumulator()),
    (error: unknown) => error instanceof SessionError && error.message.startsWith('a backend has no loader'),
  )
})
