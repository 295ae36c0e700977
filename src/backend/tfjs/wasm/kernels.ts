import {
  plainKernels,
  plainProducts,
  plainRelaxedProducts,
  sharedKernels,
  sharedProducts,
  sharedRelaxedProducts,
  type Kernels,
} from './kernels.generated.ts'
import { wasm, type Memory } from './runtime.ts'

export type { Kernels } from './kernels.generated.ts'

/** The module of the products. `serve` and `runTogether` exist for shared memory only. */
export interface ProductKernels {
  readonly gemmScratch: () => number
  readonly runAlone: (job: number, scratch: number) => void
  readonly runTogether?: (job: number, scratch: number) => void
}

const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), letter => letter.charCodeAt(0))

const isShared = (memory: Memory): boolean => !(memory.buffer instanceof ArrayBuffer)

/**
 * Partensor's own kernels on a memory, shared or not. They check nothing: offsets, counts and indices must be right.
 * @example const kernels = instantiateKernels(memory); kernels.exp(input, output, 100)
 */
export const instantiateKernels = (memory: Memory): Kernels => {
  const module = new wasm.Module(bytes(isShared(memory) ? sharedKernels : plainKernels))
  // The interface is generated from the same source as the binary.
  return new wasm.Instance(module, { env: { memory } }).exports as unknown as Kernels
}

/**
 * The compiled products for a memory, with fused multiply-add if this engine supports it.
 * @example const module = productModule(memory)
 */
export const productModule = (memory: Memory): object => {
  const relaxed = bytes(isShared(memory) ? sharedRelaxedProducts : plainRelaxedProducts)
  return new wasm.Module(wasm.validate(relaxed) ? relaxed : bytes(isShared(memory) ? sharedProducts : plainProducts))
}

/** An instance of the products' module. */
export const instantiateProducts = (module: object, memory: Memory): ProductKernels =>
  // The module is one of those compiled from assembly/gemm-*.ts, which export these.
  new wasm.Instance(module, { env: { memory } }).exports as unknown as ProductKernels
