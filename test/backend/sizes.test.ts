import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import {
  adam,
  adapt,
  add,
  broadcastTo,
  compile,
  f32,
  full,
  iota,
  cast,
  matmul,
  model,
  mul,
  size,
  square,
  sum,
  trainStep,
  uniform,
  type TargetName,
} from '../../src/index.ts'
import { recent } from '../../src/backend/recent.ts'
import { noNode } from '../support/native-library.ts'

/** A model with something to prepare for every size of a batch: positions, and a frozen row that is repeated. */
const positions = model({
  params: { w: f32('in', 'out'), row: f32('out') },
  batch: { x: f32('batch', 'in') },
  forward: (p, b) => {
    const at = mul(broadcastTo(p.row, ['batch', 'out']), broadcastTo(cast(iota('out'), 'f32'), ['batch', 'out']))
    return add(matmul(b.x, p.w), at)
  },
  loss: logits => ({ sum: sum(square(logits)), count: size('batch') }),
})
const step = trainStep(adapt(positions, full({ targets: ['w'] })), adam({ lr: 1e-3 }))
const weights = {
  w: { shape: ['in', 'out'], sizes: [3, 4], dtype: 'f32', data: uniform(0, 1, 12) },
  row: { shape: ['out'], sizes: [4], dtype: 'f32', data: uniform(0, 2, 4) },
} as const
const batchOf = (rows: number) =>
  ({ x: { shape: ['batch', 'in'], sizes: [rows, 3], dtype: 'f32', data: uniform(rows, 3, 3 * rows) } }) as const
const open = (target: TargetName) => compile(step, { target, threads: 1, weights })
const { engine } = createRequire(import.meta.url)('@tensorflow/tfjs-core') as {
  readonly engine: () => { readonly state: { readonly numTensors: number; readonly numBytes: number } }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** The bytes of Node's heap and outside it in which something is left. */
const hostBytes = async (): Promise<number> => {
  for (let k = 0; k < 3; k++) {
    collect()
    await new Promise(resolve => {
      setImmediate(resolve)
    })
  }
  return process.memoryUsage().heapUsed
}

for (const target of ['reference', 'cpu', 'wasm', 'node', 'graph'] as const) {
  const most = target === 'graph' ? 80 : 400
  test(
    `a session that has seen ${most} sizes holds no more than one that has seen 40, on ${target}`,
    { skip: ['node', 'graph'].includes(target) && noNode !== undefined ? noNode : false },
    async () => {
      const tensors = engine().state.numTensors
      {
        await using run = await open(target)
        const losses: number[] = []
        const through = async (from: number, to: number): Promise<void> => {
          for (let rows = from; rows <= to; rows++) {
            run.certificate({ batch: 1000 + rows })
            losses.push((await run.evaluate(batchOf(rows))).sum)
            if (rows % 4 === 0) losses.push((await run.step([batchOf(rows)])).loss)
          }
        }
        await through(1, 40)
        // the rows that are kept are larger at the end: at most 32 programs of three kinds, with a few tables of up to
        // 400 rows each
        const before = { bytes: run.bytes(), tensors: engine().state.numTensors, host: await hostBytes() }
        await through(41, most)
        const after = { bytes: run.bytes(), tensors: engine().state.numTensors, host: await hostBytes() }
        assert.ok(after.tensors <= before.tensors, `${before.tensors} tensors, then ${after.tensors}`)
        assert.ok(after.bytes <= 32 * 2 * 4 * 4 * 400 * 2, `${after.bytes} bytes`)
        assert.ok(after.host < before.host + 2e6, `${before.host} bytes of the host, then ${after.host}`)
        // forgotten values are made again, correctly
        const again = await run.evaluate(batchOf(7))
        await using fresh = await open(target)
        await fresh.write(await run.read())
        assert.deepEqual(again, await fresh.evaluate(batchOf(7)))
      }
      assert.equal(engine().state.numTensors, tensors)
    },
  )
}

test('what follows from trained weights is right when sizes come and go', async () => {
  const losses = async (target: TargetName, one: boolean): Promise<readonly number[]> => {
    const found: number[] = []
    await using run = await open(target)
    for (const rows of [2, 3, 2, 50, 2, 51, 3]) {
      // certificates of other sizes come in between
      const stepping = run.step([batchOf(rows)])
      if (!one) for (let other = 60; other < 100; other++) run.certificate({ batch: other })
      found.push((await stepping).loss)
    }
    return found
  }
  for (const target of ['reference', 'wasm'] as const)
    assert.deepEqual(await losses(target, false), await losses(target, true))
})

test('of what is kept the least recently asked for is forgotten first', () => {
  const made: string[] = []
  let forgotten = 0
  const kept = recent<string>(2, () => {
    forgotten += 1
  })
  const get = (key: string): string =>
    kept.get(key, () => {
      made.push(key)
      return key
    })
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) assert.equal(get(key), key)
  assert.deepEqual(made, ['a', 'b', 'c', 'b'])
  assert.equal(forgotten, 2)
  assert.deepEqual([...kept.values()], ['a', 'b'])
})
