import { createWasmBackend } from '../../src/backend/tfjs/wasm/index.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { productsOf, type Product } from '../products.ts'
import { subject } from '../subject.ts'
import { programsFor, wasmTarget, type PlanOptions } from './plan.ts'

export interface ProductsOptions extends PlanOptions {
  readonly threads: number
  /** The number of repetitions of each product, and the least milliseconds. */
  readonly repetitions: number
  readonly atLeast: number
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
  const created = await createWasmBackend({ threads })
  if (created._tag === 'Left') throw new Error(created.left.message)
  const { heap, products, backend, dispose } = created.right
  const fastest = ({ batch, M, K, N, ...layout }: Product): number => {
    const matrices = [
      [batch, M, K],
      [batch, K, N],
      [batch, M, N],
    ].map(sizes => {
      const made = heap.allocate(sizes, 'float32')
      if (made._tag === 'Left') throw new Error(made.left.message)
      return made.right
    })
    for (const matrix of matrices)
      heap.f32(matrix).forEach((_, i, data) => {
        data[i] = Math.random() - 0.5
      })
    const [left, right, out] = matrices.map(heap.offset) as [number, number, number]
    const run =
      batch === 1
        ? () => products.matmul(left, right, out, M, K, N, layout)
        : () => products.batchMatmul(left, right, out, batch, M, K, N, layout)
    let best = Infinity
    let spent = 0
    for (let i = 0; i < repetitions || spent < atLeast; i++) {
      const start = performance.now()
      run()
      const took = performance.now() - start
      best = Math.min(best, took)
      spent += took
    }
    for (const matrix of matrices) backend.disposeData(matrix.dataId, true)
    return best
  }
  const parts = Object.fromEntries([...wanted].map(([name, { product, times }]) => [name, times * fastest(product)]))
  dispose()
  return measurement([Object.values(parts).reduce((sum, part) => sum + part, 0)], { distinct: wanted.size }, parts)
}
