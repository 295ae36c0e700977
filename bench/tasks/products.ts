import { createWasmBackend, type WasmRuntime } from '../../src/backend/tfjs/wasm/index.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { productsOf, type Product } from '../products.ts'
import { subject } from '../subject.ts'
import { programsFor, wasmTarget, type PlanOptions } from './plan.ts'

/** The bounds of repeating a part: the least number of repetitions, and the least milliseconds. */
export interface Repeating {
  readonly repetitions: number
  readonly atLeast: number
}
export interface ProductsOptions extends PlanOptions, Repeating {
  readonly threads: number
}

/** The runtime of the wasm target alone, without a session. */
export const startedWasm = async (threads: number): Promise<WasmRuntime> => {
  const created = await createWasmBackend({ threads })
  if (created._tag === 'Left') throw new Error(created.left.message)
  return created.right
}

/** The fastest time of something that reads and writes random numbers of some sizes on the heap. */
export const fastestOf = (
  { heap, backend }: WasmRuntime,
  sizes: readonly (readonly number[])[],
  { repetitions, atLeast }: Repeating,
  run: (at: readonly number[]) => void,
): number => {
  const made = sizes.map(each => {
    const tensor = heap.allocate(each, 'float32')
    if (tensor._tag === 'Left') throw new Error(tensor.left.message)
    return tensor.right
  })
  for (const tensor of made)
    heap.f32(tensor).forEach((_, i, data) => {
      data[i] = Math.random() - 0.5
    })
  const at = made.map(heap.offset)
  let best = Infinity
  let spent = 0
  for (let i = 0; i < repetitions || spent < atLeast; i++) {
    const start = performance.now()
    run(at)
    const took = performance.now() - start
    best = Math.min(best, took)
    spent += took
  }
  for (const tensor of made) backend.disposeData(tensor.dataId, true)
  return best
}

/** The fastest time of a product alone. */
export const fastestProduct = (
  runtime: WasmRuntime,
  { batch, M, K, N, ...layout }: Product,
  repeating: Repeating,
): number => {
  const { products } = runtime
  const sizes = [
    [batch, M, K],
    [batch, K, N],
    [batch, M, N],
  ]
  return fastestOf(runtime, sizes, repeating, ([left, right, out]) => {
    if (batch === 1) products.matmul(left!, right!, out!, M, K, N, layout)
    else products.batchMatmul(left!, right!, out!, batch, M, K, N, layout)
  })
}

/**
 * The fastest time of every distinct product of a step, alone: the same kernel on the same backend, operands of the
 * same sizes and layout, nothing else in between. A part is that time multiplied by how often the step computes it.
 */
export const timeProducts = async ({
  threads,
  repetitions,
  atLeast,
  ...plan
}: ProductsOptions): Promise<Measurement> => {
  const { model, close } = await subject(plan.model)
  await close()
  const { programs, size } = programsFor(model, plan, await wasmTarget())
  const wanted = productsOf(programs.gradients(size).plan)
  const runtime = await startedWasm(threads)
  const parts = Object.fromEntries(
    [...wanted].map(([name, { part, times }]) => [
      name,
      times * fastestProduct(runtime, part, { repetitions, atLeast }),
    ]),
  )
  await runtime.dispose()
  return measurement([Object.values(parts).reduce((sum, part) => sum + part, 0)], { distinct: wanted.size }, parts)
}
