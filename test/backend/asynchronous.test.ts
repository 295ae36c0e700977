import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tfjs from '@tensorflow/tfjs-core'
import { deviceEngine, openSession, type Device } from '../../src/backend/index.ts'
import type { Handle } from '../../src/backend/tfjs/device.ts'
import { cpuDevice } from '../../src/backend/tfjs/cpu-device.ts'
import { registeredDevice } from '../../src/backend/tfjs/registered.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { finished, settled, type Work } from '../../src/backend/work.ts'
import { planned } from '../../src/compile/pipeline.ts'
import { f32, i32, u, type Node } from '../../src/tensor/index.ts'
import { openTiny, tinyBatch, tinyStep } from '../support/tiny-llama.ts'
import { asked, unhurried, unhurriedDevice } from '../support/unhurried-device.ts'

// WebGPU has no synchronous read. A device of that kind passes the laws of lowerings, indices and numbers (it is one
// of `devices`); here whole sessions run on it, and what may happen while they wait.

/** A promise, and if it has ended. */
const watched = <A>(promise: Promise<A>) => {
  const watch = {
    over: false,
    end: promise.finally(() => {
      watch.over = true
    }),
  }
  return watch
}
const session = async <H>(device: Device<H>) => {
  const loaded = await openTiny()
  const opened = await openSession(await tinyStep(loaded, 'paca'), deviceEngine(device), { weights: loaded.weights })
  return { opened, close: () => loaded.checkpoint.close() }
}
const close = (found: ArrayLike<number>, expected: ArrayLike<number>): void => {
  assert.equal(found.length, expected.length)
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(found[i]! - expected[i]!) <= 1e-6 * Math.max(1, Math.abs(expected[i]!)), `${i}`)
}

test('a session whose device gives numbers only later learns, reads, writes and generates what one on cpu does', async () => {
  const batch = await tinyBatch()
  const results = async <H>(device: Device<H>) => {
    const { opened: run, close: end } = await session(device)
    const saved = await run.read()
    const losses: number[] = []
    for (let i = 0; i < 3; i++) losses.push((await run.step([batch, batch])).loss)
    const gradients = await run.gradients(batch)
    const trained = await run.read()
    const products = await run.hvp(batch, trained.focus)
    const { sum } = await run.evaluate(batch)
    await run.write(saved)
    losses.push((await run.evaluate(batch)).sum, sum)
    const decoder = run.decoder({ batch: 1, capacity: 8 })
    const next = (...ids: readonly number[]) =>
      decoder.next({ shape: ['batch', 'seq'], sizes: [1, ids.length], dtype: 'i32', data: Int32Array.from(ids) })
    const text = [await next(1, 2, 3), await next(4)].flatMap(({ data }) => Array.from(data))
    const trees = JSON.stringify([gradients, trained, products], (_, value: unknown) =>
      value instanceof Float32Array || value instanceof Int32Array ? Array.from(value) : value,
    )
    const numbers = [...trees.matchAll(/-?\d+(?:\.\d+)?(?:e-?\d+)?/g)].map(([text]) => Number(text))
    const held = run.bytes()
    decoder[Symbol.dispose]()
    await run[Symbol.asyncDispose]()
    await end()
    return { numbers: [...losses, ...text, ...numbers], held }
  }
  const reads = asked.reads
  const found = await results(await unhurriedDevice())
  assert.ok(asked.reads > reads, 'the device was asked for numbers')
  const expected = await results(await cpuDevice())
  close(found.numbers, expected.numbers)
  assert.equal(found.held, expected.held)
})

test('a synchronous read of such a device is noticed', async () => {
  const device = await registeredDevice(unhurried, { readsAtOnce: true })
  const { run } = onHost(device)
  await assert.rejects(run, /this backend has no synchronous read/)
})

/** A plan of an op that is computed on the host, on a device. */
const onHost = <H>(device: Device<H>, index: Int32Array = Int32Array.of(1, 0)) => {
  const x = f32('rows', 'columns') as Node
  const at = i32('rows') as Node
  const sizes: Readonly<Record<string, number>> = { rows: 2, columns: 3 }
  const sizeOf = (dim: string | number): number => (typeof dim === 'number' ? dim : sizes[dim]!)
  const { plan, inputs } = planned([u.pick(x, at)], {
    size: sizeOf,
    inPlace: device.traits.inPlace,
  })
  const given = inputs.map(n =>
    n === x
      ? device.upload({ sizes: [2, 3], dtype: 'f32', data: Float32Array.of(1, 2, 3, 4, 5, 6) })
      : device.upload({ sizes: [2], dtype: 'i32', data: index }),
  )
  const start = device.bytes()
  return {
    given,
    start,
    run: async () => device.run(plan, given, sizeOf),
    atOnce: () => device.run(plan, given, sizeOf),
  }
}

test('a run waits only if its device does: a result that is there is no promise', async () => {
  const wasm = await wasmDevice({ threads: 1 })
  for (const [device, waits] of [
    [wasm, false],
    [await cpuDevice(), false],
    [await unhurriedDevice(), true],
  ] as const) {
    const { atOnce, given } = onHost<Handle>(device)
    const result = atOnce()
    assert.equal(result instanceof Promise, waits, device.name)
    const [handle] = await result
    assert.deepEqual((await device.download(handle!)).data, Float32Array.of(2, 4))
    for (const each of [handle!, ...given]) device.free(each)
  }
  await wasm.dispose()
})

test('what fails after it has waited leaves nothing behind', async () => {
  const device = await unhurriedDevice()
  const { run, given, start } = onHost(device, Int32Array.of(1, 7))
  await assert.rejects(run, /^SessionError: .*7/)
  assert.equal(device.bytes(), start)
  given.forEach(device.free)
})

test("while a session waits, tfjs's backend is the program's", async () => {
  await import('@tensorflow/tfjs-backend-cpu')
  await tfjs.setBackend('cpu')
  const batch = await tinyBatch()
  const { opened: run, close: end } = await session(await unhurriedDevice())
  const stepping = watched(run.step([batch]))
  let looked = 0
  while (!stepping.over) {
    assert.equal(tfjs.getBackend(), 'cpu')
    assert.deepEqual(Array.from(tfjs.tidy(() => tfjs.square(tfjs.tensor1d([3])).dataSync())), [9])
    looked += 1
    await new Promise(resolve => setImmediate(resolve))
  }
  await stepping.end
  assert.ok(looked > 1)
  await run[Symbol.asyncDispose]()
  await end()
})

test('plans that are asked for while a step waits take nothing from it', async () => {
  const batch = await tinyBatch()
  const losses = async (most: number): Promise<readonly number[]> => {
    const { opened: run, close: end } = await session(await unhurriedDevice())
    const found: number[] = []
    for (let i = 0; i < 2; i++) {
      const stepping = watched(run.step([batch]))
      // more sizes than plans are kept for
      for (let rows = 1; !stepping.over && rows < most; rows++) {
        run.certificate({ batch: rows, seq: 4 })
        await new Promise(resolve => setImmediate(resolve))
      }
      found.push((await stepping.end).loss)
    }
    await run[Symbol.asyncDispose]()
    await end()
    return found
  }
  assert.deepEqual(await losses(40), await losses(0))
})

test('work without anything to wait for is over at once; each part of work that waits runs within', async () => {
  const parts: string[] = []
  const within = <B>(part: () => B): B => {
    parts.push('in')
    try {
      return part()
    } finally {
      parts.push('out')
    }
  }
  function* sum(values: readonly (number | Promise<number>)[]): Work<number> {
    const numbers = yield* settled(values)
    parts.push('sum')
    return numbers.reduce((a, b) => a + b, 0)
  }
  assert.equal(finished(sum([1, 2]), within), 3)
  assert.deepEqual(parts.splice(0), ['in', 'sum', 'out'])
  assert.equal(await finished(sum([1, Promise.resolve(2)]), within), 3)
  assert.deepEqual(parts.splice(0), ['in', 'out', 'in', 'sum', 'out'])
  await assert.rejects(async () => finished(sum([Promise.reject(new Error('lost'))]), within), /^Error: lost$/)
})
