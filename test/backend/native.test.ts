import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { compile, type TargetName } from '../../src/index.ts'
import { nativeStatus } from '../../src/cli.ts'
import { nodeDevice } from '../../src/backend/native/device.ts'
import { kernelsOf } from '../../src/backend/tfjs/backend-kernels.ts'
import { nodeTest } from '../support/native-library.ts'
import { openTiny, tinyBatch, tinyStep } from '../support/tiny-llama.ts'

/** tfjs's own engine, to count the tensors that it holds; its published types require the DOM's. */
interface Tfjs {
  readonly engine: () => { readonly state: { readonly numBytes: number; readonly numTensors: number } }
  readonly findBackend: (name: string) => unknown
  readonly getKernel: Parameters<typeof kernelsOf>[0]
}
const tfjs = createRequire(import.meta.url)('@tensorflow/tfjs-core') as Tfjs

nodeTest('what the node target takes has a name, a version and a place', async () => {
  const { used, problem } = await nativeStatus()
  assert.equal(problem, undefined)
  assert.match(used!.tensorflow, /^\d+\.\d+/)
  assert.match((await nodeDevice()).name, /^tfjs node, TensorFlow [\d.]+\S* on (cpu|gpu)$/)
})

nodeTest('no step and no session leaves anything behind, and two sessions do not disturb each other', async () => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  const step = await tinyStep(loaded, 'paca')
  const open = () => compile(step, { target: 'node', weights: loaded.weights })
  await (await open())[Symbol.asyncDispose]()
  const before = { ...tfjs.engine().state }
  {
    await using first = await open()
    await using second = await open()
    const { loss } = await first.step([batch])
    const held = { ...tfjs.engine().state }
    const bytes = first.bytes()
    for (let i = 0; i < 3; i++) await first.step([batch])
    assert.equal(first.bytes(), bytes)
    assert.deepEqual([tfjs.engine().state.numBytes, tfjs.engine().state.numTensors], [held.numBytes, held.numTensors])
    assert.equal((await second.step([batch])).loss, loss)
  }
  await loaded.checkpoint.close()
  assert.deepEqual([tfjs.engine().state.numBytes, tfjs.engine().state.numTensors], [before.numBytes, before.numTensors])
})

nodeTest('sessions on several backends of tfjs take turns, and each finds its own', async () => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  const step = await tinyStep(loaded, 'paca')
  const open = (target: TargetName) => compile(step, { target, weights: loaded.weights, threads: 1 })
  const before = { ...tfjs.engine().state }
  {
    await using node = await open('node')
    await using wasm = await open('wasm')
    await using cpu = await open('cpu')
    for (let i = 0; i < 3; i++) {
      const losses = [await node.step([batch]), await wasm.step([batch]), await cpu.step([batch])].map(
        ({ loss }) => loss,
      )
      for (const loss of losses) assert.ok(Math.abs(loss - losses[0]!) < 1e-4, losses.join(' '))
    }
  }
  await loaded.checkpoint.close()
  assert.deepEqual([tfjs.engine().state.numBytes, tfjs.engine().state.numTensors], [before.numBytes, before.numTensors])
})

nodeTest('put replaces rows by a kernel of TensorFlow; what it is given stays', async () => {
  await nodeDevice()
  const kernels = kernelsOf(tfjs.getKernel, 'tensorflow', tfjs.findBackend('tensorflow'))
  const tensor = kernels.make(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2], 'f32')
  const indices = kernels.make(Int32Array.of(2, 0), [2, 1], 'i32')
  const updates = kernels.make(Float32Array.of(7, 8, 9, 10), [2, 2], 'f32')
  const result = kernels.run('TensorScatterUpdate', { tensor, indices, updates })
  assert.deepEqual(Array.from(kernels.readSync(result)), [9, 10, 3, 4, 7, 8])
  assert.deepEqual(Array.from(kernels.readSync(tensor)), [1, 2, 3, 4, 5, 6])
  for (const x of [tensor, indices, updates, result]) kernels.free(x)
})
