import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { packedBytes, scratchBytes, type WasmRuntime } from '../../../../src/target/tfjs/wasm/index.ts'
import { arena, random, uniform, withRuntime, type Arena } from './fixture.ts'

const product = (a: Float32Array, b: Float32Array, M: number, K: number, N: number): Float64Array => {
  const out = new Float64Array(M * N)
  for (let m = 0; m < M; m++) {
    for (let k = 0; k < K; k++) {
      for (let n = 0; n < N; n++) out[m * N + n] = (out[m * N + n] ?? 0) + (a[m * K + k] ?? 0) * (b[k * N + n] ?? 0)
    }
  }
  return out
}

const transposed = (a: Float32Array, rows: number, cols: number): Float32Array => a.map((_, i) => a[(i % rows) * cols + Math.floor(i / rows)] ?? 0)

const near = (got: Float32Array, want: Float64Array): boolean => got.every((x, i) => Math.abs(x - (want[i] ?? 0)) < 1e-3)

const length = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70 }))
const sizes = fc.tuple(length, length, length, fc.integer({ min: 1, max: 3 }), fc.integer())

type Sizes = [M: number, K: number, N: number, batch: number, seed: number]

const agrees = (runtime: WasmRuntime, region: Arena, mutant: boolean) => ([M, K, N, batch, seed]: Sizes): boolean => {
  region.reset()
  const next = random(seed)
  const [a, b] = [uniform(next, batch * M * K), uniform(next, batch * K * N)]
  const [left, right, out] = [region.put(a), region.put(b), region.reserve(batch * M * N)]
  runtime.products.batchMatmul(left, right, out, batch, M, K, N)
  return region.intact() && Array.from({ length: batch }, (_, i) => i).every(i => {
    const other = mutant ? 0 : i
    const want = product(a.slice(i * M * K, (i + 1) * M * K), b.slice(other * K * N, (other + 1) * K * N), M, K, N)
    return near(region.read(out + 4 * i * M * N, M * N), want)
  })
}

for (const threads of [1, 2]) {
  describe(`products with ${threads} thread(s)`, () => {
    it('batchMatmul = the float64 product of every entry, and not of the first right operand', withRuntime(threads, runtime => {
      const region = arena(runtime)
      fc.assert(fc.property(sizes, agrees(runtime, region, false)), { numRuns: 150 })
      assert.ok(fc.check(fc.property(sizes, agrees(runtime, region, true)), { numRuns: 150 }).failed)
      region.dispose()
    }))
    it('batchMatmul with stride 0 repeats an operand', withRuntime(threads, runtime => {
      const region = arena(runtime)
      const next = random(1)
      const [a, b] = [uniform(next, 3 * 40 * 6), uniform(next, 6 * 5)]
      const [left, right, out] = [region.put(a), region.put(b), region.reserve(3 * 40 * 5)]
      runtime.products.batchMatmul(left, right, out, 3, 40, 6, 5, { left: 240, right: 0, out: 200 })
      assert.ok(near(region.read(out, 600), product(a, b, 120, 6, 5)))
      region.dispose()
    }))
    it('matmulTransposedLeft = left^T x right, in one piece and in chunks', withRuntime(threads, runtime => {
      const region = arena(runtime, 1 << 17)
      for (const [M, K, N] of [[5, 7, 3], [40, 33, 50], [3, 1536, 4], [9, 1537, 2], [6, 4000, 5], [1, 2000, 1]] as const) {
        region.reset()
        const next = random(K)
        const [a, b] = [uniform(next, K * M), uniform(next, K * N)]
        const [left, right, out, scratch] = [region.put(a), region.put(b), region.reserve(M * N), region.reserve(scratchBytes(M, K, N) / 4)]
        runtime.products.matmulTransposedLeft(left, right, out, scratch, M, K, N)
        assert.ok(near(region.read(out, M * N), product(transposed(a, K, M), b, M, K, N)), `${M} ${K} ${N}`)
        assert.ok(region.intact())
      }
      region.dispose()
    }))
    it('a change of the right operand in place is seen, and so is one of the left', withRuntime(threads, runtime => {
      const region = arena(runtime)
      const next = random(2)
      const [a, b] = [uniform(next, 40 * 20), uniform(next, 20 * 30)]
      const [left, right, out] = [region.put(a), region.put(b), region.reserve(40 * 30)]
      for (const place of [right, left, right]) {
        runtime.products.matmul(left, right, out, 40, 20, 30)
        assert.ok(near(region.read(out, 1200), product(region.read(left, 800), region.read(right, 600), 40, 20, 30)))
        runtime.kernels.axpy(1, left, place, 20)
      }
      region.dispose()
    }))
    it('the same data as right operand in two shapes gives both products', withRuntime(threads, runtime => {
      const region = arena(runtime)
      const next = random(3)
      const [a, b] = [uniform(next, 40 * 24), uniform(next, 24 * 36)]
      const [left, right, out] = [region.put(a), region.put(b), region.reserve(40 * 36)]
      for (const [K, N] of [[24, 36], [12, 72], [24, 36]] as const) {
        runtime.products.matmul(left, right, out, 20, K, N)
        runtime.products.matmul(left, right, out, 40, 12, 36)
        runtime.products.matmul(left, right, out, 33, K, 36)
        assert.ok(near(region.read(out, 33 * 36), product(a.slice(0, 33 * K), b.slice(0, K * 36), 33, K, 36)))
      }
      region.dispose()
    }))
    it('a thousand products with new right operands leave no packed copy behind', withRuntime(threads, runtime => {
      const region = arena(runtime, 1 << 20)
      const [left, right, out] = [region.reserve(64 * 512), region.reserve(512 * 512), region.reserve(64 * 512)]
      runtime.products.matmul(left, right, out, 64, 512, 512)
      const before = runtime.heap.heapBytes()
      for (let i = 0; i < 1000; i++) runtime.products.matmul(left, right + 4 * i, out, 64, 128, 512)
      assert.equal(runtime.heap.heapBytes(), before)
      assert.ok(packedBytes(128, 512) > 128 * 512 * 4)
      region.dispose()
      assert.equal(runtime.core.engine().memory().numBytes, 0)
    }))
  })
}
