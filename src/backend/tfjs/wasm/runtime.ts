// The parts of tfjs-core and of its wasm backend that are used, and a few of WebAssembly, typed here because their own
// declarations need the DOM's.

export type HeapDType = 'float32' | 'int32' | 'bool'

/** tfjs's handle of an untracked tensor. */
export interface TensorInfo {
  readonly dataId: object
  readonly shape: number[]
  readonly dtype: HeapDType
}

/** tfjs's tensor, as far as an executor needs it. */
export interface TfjsTensor extends TensorInfo {
  dispose(): void
}

/** The emscripten module below tfjs's wasm backend. */
export interface WasmModule {
  _malloc(bytes: number): number
  _free(offset: number): void
  _BatchMatMul(
    a: number,
    aShape: number,
    aRank: number,
    b: number,
    bShape: number,
    bRank: number,
    tA: number,
    tB: number,
    out: number,
  ): void
  cwrap(name: string, result: string | null, parameters: readonly string[]): (...args: number[]) => number
  readonly PThread?: {
    readonly unusedWorkers: ThreadWorker[]
    readonly runningWorkers: readonly ThreadWorker[]
    terminateAllThreads(): void
  }
  tfjs: {
    init(): void
    initWithThreadsCount(threads: number): void
    getThreadsCount(): number
    registerTensor(id: number, size: number, offset: number): void
    disposeData(id: number): void
    dispose(): void
  }
}

interface ThreadWorker {
  unref(): void
  terminate(): unknown
}

/** tfjs's wasm backend. */
export interface WasmBackend {
  readonly wasm: WasmModule
  readonly dataIdMap: { get(dataId: object): { readonly id: number; readonly memoryOffset: number } }
  makeOutput(shape: readonly number[], dtype: HeapDType): TensorInfo
  disposeData(dataId: object, force?: boolean): boolean
  numDataIds(): number
  dispose(): void
}

type BackendFactory = () => unknown

/** A kernel of a backend. */
interface Kernel {
  readonly kernelFunc: (call: never) => unknown
}

/** tfjs-core. */
export interface TfjsCore {
  engine(): {
    readonly registry: { readonly [name: string]: unknown }
    /** The content of tfjs's `memory`, without choosing a backend for a program that has chosen none. */
    readonly state: { readonly numBytes: number }
    makeTensorFromTensorInfo(info: TensorInfo): TfjsTensor
    memory(): { readonly numBytes: number; readonly numTensors: number; readonly numDataBuffers: number }
  }
  findBackendFactory(name: string): BackendFactory | null
  readonly getKernel: (name: string, backend: string) => Kernel | null | undefined
  registerBackend(name: string, factory: BackendFactory, priority?: number): boolean
  removeBackend(name: string): void
  setBackend(name: string): Promise<boolean>
}

/** The package of tfjs's wasm backend. */
export interface TfjsWasm {
  readonly BackendWasm: new (module: WasmModule) => WasmBackend
}

export interface Memory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

interface Instance {
  readonly exports: { readonly [name: string]: unknown }
}

export interface Imports {
  readonly env: { [name: string]: unknown }
}

// The standard library's declarations of WebAssembly only come with the DOM's, which a published type must not require.
export const wasm = (
  globalThis as unknown as {
    WebAssembly: {
      Module: new (bytes: Uint8Array) => object
      Instance: new (module: object, imports: Imports) => Instance
      validate(bytes: Uint8Array): boolean
      compile(bytes: Uint8Array): Promise<object>
      instantiate(module: object, imports: Imports): Promise<Instance>
    }
  }
).WebAssembly
