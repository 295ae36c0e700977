import { uniformOf } from '../../tensor/index.ts'
import type { Heap, Kernels } from './wasm/index.ts'

/** Fills a buffer with uniform numbers: each random word becomes its number where it lies. */
export const fillUniform = (
  { heap, kernels }: { readonly heap: Heap; readonly kernels: Kernels },
  [key, stream]: readonly number[],
  out: number,
  n: number,
): void => {
  kernels.randomBits(key!, stream!, out, n)
  const { i32, f32 } = heap.views()
  for (let i = out / 4; i < out / 4 + n; i++) f32[i] = uniformOf(i32[i]!)
}
