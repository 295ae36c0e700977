import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  createWasmBackend,
  maximumHeapBytes,
  planPermute,
  type TfjsTensor,
} from '../../../../src/backend/tfjs/wasm/index.ts'
import { backendFiles } from '../../../../src/backend/tfjs/wasm/node-files.ts'
import { arena, load, random, uniform, withRuntime } from '../../../support/wasm-runtime.ts'

interface Tensor extends TfjsTensor {
  dataSync(): Float32Array
}
type Op = (...args: unknown[]) => Tensor

// tfjs's own declarations need the DOM's types; these are the few functions that the tests call.
const tf = createRequire(import.meta.url)('@tensorflow/tfjs-core') as {
  readonly [name in 'tensor' | 'matMul' | 'softmax' | 'transpose' | 'tanh' | 'add']: Op
} & { setBackend(name: string): Promise<boolean> }

/** Runs a program in a process of its own. */
const program = (body: string) =>
  spawnSync(
    process.execPath,
    [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      `
  import { createWasmBackend } from './src/backend/tfjs/wasm/index.ts'
  ${body}`,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  )

for (const threads of [1, 2]) {
  describe(`the wasm backend with ${threads} thread(s)`, () => {
    it(
      "serves tfjs's public kernels too, on tfjs's one core",
      withRuntime(threads, () => {
        const a = tf.tensor([1, 2, 3, 4], [2, 2])
        const b = tf.matMul(a, a)
        assert.deepEqual([...b.dataSync()], [7, 10, 15, 22])
        a.dispose()
        b.dispose()
      }),
    )
    it(
      "agrees with tfjs's cpu backend",
      withRuntime(threads, async runtime => {
        createRequire(import.meta.url)('@tensorflow/tfjs-backend-cpu')
        const [M, K, N] = [33, 47, 21]
        const next = random(5)
        const [a, b] = [uniform(next, M * K), uniform(next, K * N)]
        const region = arena(runtime)
        const [x, y, z] = [region.put(a), region.put(b), region.reserve(M * N)]
        const [t, s, h] = [region.reserve(M * K), region.reserve(M * K), region.reserve(M * K)]
        runtime.products.matmul(x, y, z, M, K, N)
        planPermute(runtime.kernels, [M, K], [1, 0])!(x, t)
        runtime.kernels.softmax(x, s, M, K, 1)
        runtime.kernels.tanh(x, h, M * K)
        const mine = [region.read(z, M * N), region.read(t, M * K), region.read(s, M * K), region.read(h, M * K)]
        region.dispose()
        await tf.setBackend('cpu')
        const [ta, tb] = [tf.tensor(a, [M, K]), tf.tensor(b, [K, N])]
        const theirs = [tf.matMul(ta, tb), tf.transpose(ta), tf.softmax(ta), tf.tanh(ta)]
        theirs.forEach((tensor, i) =>
          tensor.dataSync().forEach((value, j) => assert.ok(Math.abs(value - (mine[i]?.[j] ?? Number.NaN)) < 1e-4)),
        )
        for (const tensor of [ta, tb, ...theirs]) tensor.dispose()
        await tf.setBackend('wasm')
      }),
    )
    it(
      'allocates so that tfjs counts it, and frees it',
      withRuntime(threads, runtime => {
        const info = runtime.heap.allocate([3, 5], 'float32')
        assert.ok(E.isRight(info))
        const tensor = runtime.core.engine().makeTensorFromTensorInfo(info.right)
        runtime.heap.f32(tensor).fill(2)
        assert.equal(runtime.core.engine().memory().numBytes, 60)
        assert.notEqual(runtime.heap.offset(tensor), 0)
        assert.equal(runtime.heap.f32(tensor).length, 15)
        tensor.dispose()
        assert.equal(runtime.core.engine().memory().numBytes, 0)
      }),
    )
    it(
      'keeps its views right when the heap grows',
      withRuntime(threads, runtime => {
        const region = arena(runtime)
        const at = region.put(new Float32Array([42]))
        const before = runtime.heap.heapBytes()
        const more = runtime.heap.allocate([before / 4], 'float32')
        assert.ok(E.isRight(more) && runtime.heap.heapBytes() > before)
        assert.equal(region.read(at, 1)[0], 42)
        runtime.kernels.add(at, at, at, 1, 1, 1, 1, 1, 1)
        assert.equal(region.read(at, 1)[0], 84)
        runtime.backend.disposeData(more.right.dataId)
        region.dispose()
      }),
    )
    it(
      'says clearly that memory is out, and goes on working',
      withRuntime(threads, runtime => {
        const allocate = (bytes: number): TfjsTensor => {
          const info = runtime.heap.allocate([bytes / 4], 'float32')
          if (E.isLeft(info)) throw new Error(info.left.message)
          return runtime.core.engine().makeTensorFromTensorInfo(info.right)
        }
        // A live tensor high up in the heap leaves too little on either side of it: there malloc gives 0. More than
        // 2^32 bytes wrap around.
        const [low, live] = [allocate(1e9), allocate(4000)]
        low.dispose()
        runtime.heap.f32(live).fill(3)
        for (const bytes of [3.9e9, maximumHeapBytes, maximumHeapBytes - 2000, maximumHeapBytes + 4000, 1e13]) {
          const message =
            /^out of memory: [\d.]+ [GT]B more are needed while 4\.00 KB of tensors are held, and the wasm heap holds at most 4\.29 GB$/
          assert.throws(() => allocate(bytes), { message }, String(bytes))
        }
        assert.equal(runtime.core.engine().memory().numDataBuffers, 1)
        allocate(1e9).dispose()
        assert.ok(runtime.heap.f32(live).every(x => x === 3))
        live.dispose()
        assert.equal(runtime.core.engine().memory().numBytes, 0)
      }),
    )
    it('lets the process end by itself, and leaves no listeners', () => {
      const run = program(`
        const count = () => ['uncaughtException', 'unhandledRejection', 'exit'].map(event => process.listenerCount(event)).join()
        const before = count()
        const { right } = await createWasmBackend({ threads: ${threads} })
        console.log(before === count(), right.threads)`)
      assert.equal(run.stdout.trim(), `true ${threads}`, run.stderr.slice(0, 2000))
      assert.equal(run.status, 0)
    })
  })
}

describe('loading', () => {
  it('gives at most as many threads as there are cores, and at least one', async () => {
    for (const [asked, got] of [
      [0, 1],
      [-3, 1],
      [1.9, 1],
    ] as const) {
      const runtime = await load(asked)
      assert.equal(runtime.threads, got)
      await runtime.dispose()
    }
    const files = backendFiles()
    const runtime = await createWasmBackend({ threads: 64 }, { ...files, cores: 2 })
    assert.ok(E.isRight(runtime))
    assert.equal(runtime.right.threads, 2)
    await runtime.right.dispose()
  })
  it('falls back to one thread where threads do not start', async () => {
    const files = backendFiles()
    const runtime = await createWasmBackend(
      { threads: 2 },
      {
        ...files,
        start: (threads, settings) =>
          threads > 1 ? Promise.reject(new Error('no workers here')) : files.start(threads, settings),
      },
    )
    assert.ok(E.isRight(runtime))
    assert.equal(runtime.right.threads, 1)
    await runtime.right.dispose()
  })
  it('says why it failed where nothing loads', async () => {
    const result = await createWasmBackend(
      { threads: 2 },
      { ...backendFiles(), binary: () => Promise.reject(new Error('no such file')) },
    )
    assert.deepEqual(result, E.left({ _tag: 'LoadFailed', message: 'the wasm backend did not load: no such file' }))
  })
  it('does not replace a backend with live tensors', async () => {
    const runtime = await load(1)
    const tensor = tf.tensor([1])
    const second = await createWasmBackend({ threads: 1 })
    assert.ok(E.isLeft(second))
    assert.equal(second.left._tag, 'BackendInUse')
    tensor.dispose()
    await runtime.dispose()
  })
  it("puts tfjs's own registration back", async () => {
    const before = backendFiles().core.findBackendFactory('wasm')
    const runtime = await load(1)
    assert.notEqual(backendFiles().core.findBackendFactory('wasm'), before)
    await runtime.dispose()
    assert.equal(backendFiles().core.findBackendFactory('wasm'), before)
  })
})
