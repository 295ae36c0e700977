import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MatmulOptions, WasmRuntime } from '../../../../src/backend/tfjs/wasm/index.ts'
import { arena, random, uniform, withRuntime, type Arena } from '../../../support/wasm-runtime.ts'

/** left[m, k] and right[k, n] of stored matrices, by their strides. */
interface Layout {
  readonly left: (m: number, k: number) => number
  readonly right: (k: number, n: number) => number
}

const product = (a: Float32Array, b: Float32Array, M: number, K: number, N: number, at: Layout): Float64Array => {
  const out = new Float64Array(M * N)
  for (let m = 0; m < M; m++) {
    for (let k = 0; k < K; k++) {
      const x = a[at.left(m, k)] ?? Number.NaN
      for (let n = 0; n < N; n++) out[m * N + n] = (out[m * N + n] ?? 0) + x * (b[at.right(k, n)] ?? Number.NaN)
    }
  }
  return out
}

const plain = (K: number, N: number): Layout => ({ left: (m, k) => m * K + k, right: (k, n) => k * N + n })

const near = (got: ArrayLike<number>, want: ArrayLike<number>): boolean =>
  got.length === want.length && Array.from(got).every((x, i) => Math.abs(x - (want[i] ?? Number.NaN)) < 1e-3)

type Sizes = readonly [M: number, K: number, N: number, batch: number]

interface Extra {
  readonly left: number
  readonly right: number
  readonly out: number
}

type Flags = Pick<MatmulOptions, 'transposeLeft' | 'transposeRight' | 'accumulate'>

/**
 * Tests whether a batch of products agrees with float64 arithmetic, with every stored row `extra` longer than
 * necessary.
 */
const agrees = (
  runtime: WasmRuntime,
  region: Arena,
  [M, K, N, batch]: Sizes,
  flags: Required<Flags>,
  extra: Extra,
  seed: number,
  mutant: boolean,
): boolean => {
  region.reset()
  const [leftRows, leftStride] = flags.transposeLeft ? [K, M + extra.left] : [M, K + extra.left]
  const [rightRows, rightStride] = flags.transposeRight ? [N, K + extra.right] : [K, N + extra.right]
  const outStride = N + extra.out
  const next = random(seed)
  const [leftBatch, rightBatch, outBatch] = [leftRows * leftStride, rightRows * rightStride, M * outStride]
  const [a, b, c] = [
    uniform(next, batch * leftBatch),
    uniform(next, batch * rightBatch),
    uniform(next, batch * outBatch),
  ]
  const [left, right, out] = [region.put(a), region.put(b), region.put(c)]
  runtime.products.batchMatmul(left, right, out, batch, M, K, N, {
    ...flags,
    leftStride,
    rightStride,
    outStride,
    leftBatch,
    rightBatch,
    outBatch,
  })
  const got = region.read(out, c.length)
  return (
    region.intact() &&
    Array.from({ length: batch }, (_, i) => i).every(i => {
      const want = product(a.subarray(i * leftBatch), b.subarray((mutant ? 0 : i) * rightBatch), M, K, N, {
        left: (m, k) => (flags.transposeLeft ? k * leftStride + m : m * leftStride + k),
        right: (k, n) => (flags.transposeRight ? n * rightStride + k : k * rightStride + n),
      })
      // What lies between the rows of out must be as before.
      return near(
        got.subarray(i * outBatch, (i + 1) * outBatch),
        Array.from({ length: outBatch }, (_, j) => {
          const [m, n] = [Math.floor(j / outStride), j % outStride]
          const old = c[i * outBatch + j] ?? Number.NaN
          return n >= N ? old : (want[m * N + n] ?? Number.NaN) + (flags.accumulate ? old : 0)
        }),
      )
    })
  )
}

const length = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70 }))
const sizes = fc.tuple(length, length, length, fc.integer({ min: 1, max: 3 }))
const flags = fc.record({ transposeLeft: fc.boolean(), transposeRight: fc.boolean(), accumulate: fc.boolean() })
const few = fc.integer({ min: 0, max: 3 })
const extra = fc.record({ left: few, right: few, out: few })

for (const threads of [1, 2]) {
  describe(`products with ${threads} thread(s)`, () => {
    it(
      'batchMatmul = the float64 product of every entry in any layout, and not of the first right operand',
      withRuntime(threads, runtime => {
        const region = arena(runtime, 1 << 17)
        const law = (mutant: boolean) =>
          fc.property(sizes, flags, extra, fc.integer(), (size, flag, more, seed) =>
            agrees(runtime, region, size, flag, more, seed, mutant),
          )
        fc.assert(law(false), { numRuns: 200 })
        assert.ok(fc.check(law(true), { numRuns: 200 }).failed)
        region.dispose()
      }),
    )
    it(
      'sizes beyond one block of any side, and shared out over the threads, give the same',
      withRuntime(threads, runtime => {
        const region = arena(runtime, 1 << 21)
        const cases: readonly Sizes[] = [
          [67, 1030, 300, 1],
          [5, 2050, 515, 1],
          [400, 130, 40, 1],
          [1031, 9, 70, 1],
          [9, 40, 33, 90],
          [130, 70, 190, 3],
        ]
        for (const size of cases) {
          for (const bits of [0, 1, 2, 3, 4, 7]) {
            const flag = { transposeLeft: (bits & 1) > 0, transposeRight: (bits & 2) > 0, accumulate: (bits & 4) > 0 }
            assert.ok(
              agrees(runtime, region, size, flag, { left: 0, right: 1, out: 0 }, 3, false),
              `${size.join()} ${bits}`,
            )
          }
        }
        region.dispose()
      }),
    )
    it(
      'matmul with one row or one column, in any layout, is the product too',
      withRuntime(threads, runtime => {
        const region = arena(runtime)
        for (const [M, K, N] of [
          [1, 30, 50],
          [50, 30, 1],
          [1, 30, 1],
          [1, 1, 9],
          [9, 1, 1],
        ] as const) {
          for (const bits of [0, 1, 2, 3, 4, 7]) {
            region.reset()
            const [transposeLeft, transposeRight, accumulate] = [(bits & 1) > 0, (bits & 2) > 0, (bits & 4) > 0]
            const next = random(bits)
            const [a, b, c] = [uniform(next, M * K), uniform(next, K * N), uniform(next, M * N)]
            const [left, right, out] = [region.put(a), region.put(b), region.put(c)]
            runtime.products.matmul(left, right, out, M, K, N, { transposeLeft, transposeRight, accumulate })
            const want = product(a, b, M, K, N, {
              left: (m, k) => (transposeLeft ? k * M + m : m * K + k),
              right: (k, n) => (transposeRight ? n * K + k : k * N + n),
            })
            assert.ok(
              near(
                region.read(out, M * N),
                want.map((x, i) => x + (accumulate ? (c[i] ?? 0) : 0)),
              ),
              `${M} ${K} ${N} ${bits}`,
            )
          }
        }
        region.dispose()
      }),
    )
    it(
      'a batch stride of 0 repeats an operand, also in a batch of more tasks than one job holds',
      withRuntime(threads, runtime => {
        const region = arena(runtime, 1 << 18)
        const next = random(1)
        const batch = 5000
        const [a, b] = [uniform(next, batch * 20), uniform(next, 25 * 5)]
        const [left, right, out] = [region.put(a), region.put(b), region.reserve(batch * 20)]
        runtime.products.batchMatmul(left, right, out, batch, 4, 5, 5, { rightBatch: 0 })
        assert.ok(near(region.read(out, batch * 20), product(a, b, batch * 4, 5, 5, plain(5, 5))))
        region.dispose()
      }),
    )
    it(
      'a change of either operand in place is seen by the next product',
      withRuntime(threads, runtime => {
        const region = arena(runtime)
        const next = random(2)
        const [left, right, out] = [
          region.put(uniform(next, 800)),
          region.put(uniform(next, 600)),
          region.reserve(40 * 30),
        ]
        for (const place of [right, left, right]) {
          runtime.products.matmul(left, right, out, 40, 20, 30)
          assert.ok(
            near(
              region.read(out, 1200),
              product(region.read(left, 800), region.read(right, 600), 40, 20, 30, plain(20, 30)),
            ),
          )
          runtime.kernels.neg(place, place, 20)
        }
        region.dispose()
      }),
    )
    it(
      'the same data as right operand in two shapes gives both products',
      withRuntime(threads, runtime => {
        const region = arena(runtime)
        const next = random(3)
        const [a, b] = [uniform(next, 20 * 36), uniform(next, 24 * 36)]
        const [left, right, out] = [region.put(a), region.put(b), region.reserve(20 * 72)]
        for (const [K, N] of [
          [24, 36],
          [36, 24],
          [12, 72],
          [24, 36],
        ] as const) {
          runtime.products.matmul(left, right, out, 20, K, N)
          assert.ok(near(region.read(out, 20 * N), product(a, b, 20, K, N, plain(K, N))))
        }
        region.dispose()
      }),
    )
    it(
      'products are right while the helpers are still starting',
      withRuntime(threads, runtime => {
        const region = arena(runtime)
        const [left, out] = [region.reserve(4900), region.reserve(4900)]
        runtime.kernels.fill(left, 4900, 1)
        for (const end = performance.now() + 400; performance.now() < end;) {
          runtime.kernels.fill(out, 4900, 0)
          runtime.products.matmul(left, left, out, 70, 70, 70, { accumulate: true })
          assert.ok(region.read(out, 4900).every(x => x === 70))
        }
        region.dispose()
      }),
    )
    it(
      'ten thousand products in a row keep right and leave nothing on the heap',
      withRuntime(threads, runtime => {
        const region = arena(runtime)
        const next = random(4)
        const [a, b] = [uniform(next, 90 * 60), uniform(next, 60 * 110)]
        const [left, right, out] = [region.put(a), region.put(b), region.reserve(90 * 110)]
        const want = product(a, b, 90, 60, 110, plain(60, 110))
        const before = runtime.heap.heapBytes()
        for (let i = 0; i < 10_000; i++) {
          const M = 89 + (i % 2)
          runtime.products.matmul(left, right, out, M, 60, 110)
          if (i % 100 === 0) {
            assert.ok(near(region.read(out, M * 110), want.subarray(0, M * 110)))
            runtime.kernels.fill(out, 90 * 110, Number.NaN)
          }
        }
        assert.equal(runtime.heap.heapBytes(), before)
        region.dispose()
        assert.equal(runtime.core.engine().memory().numBytes, 0)
      }),
    )
  })
}
