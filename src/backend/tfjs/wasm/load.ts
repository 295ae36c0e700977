import * as E from '../../../either/index.ts'
import { engineOf, startBackend } from '../host.ts'
import { makeHeap, type Heap } from './heap.ts'
import { instantiateKernels, instantiateProducts, productModule, type Kernels } from './kernels.ts'
import { closedTicket, jobWords, makeProducts, type Products } from './matmul.ts'
import { makeSteps, type StepsJob } from './steps.ts'
import type { BackendFiles } from './node-files.ts'
import { wasm, type Imports, type Memory, type TfjsCore, type WasmBackend, type WasmModule } from './runtime.ts'

/** tfjs's wasm backend, loaded, with Partensor's kernels on its heap. */
export interface WasmRuntime {
  readonly core: TfjsCore
  readonly backend: WasmBackend
  readonly memory: Memory
  readonly heap: Heap
  readonly kernels: Kernels
  readonly products: Products
  readonly steps: (of: StepsJob) => void
  /** Memory for a program of steps: `programBytes`. */
  readonly scratch: number
  /** The number of threads that products use. */
  readonly threads: number
  /**
   * Removes the backend and its threads, and restores tfjs's previous state; a backend on which the program holds
   * tensors is left alone.
   */
  readonly dispose: () => Promise<void>
}

export type LoadError =
  | { readonly _tag: 'BackendInUse'; readonly message: string }
  | { readonly _tag: 'LoadFailed'; readonly message: string }

const wrap = (module: WasmModule, threads: number): WasmModule['tfjs'] => {
  const f = (name: string, result: string | null, parameters: number) =>
    module.cwrap(name, result, Array<string>(parameters).fill('number'))
  return {
    // the package has a single number of threads for the whole program, which we must not set
    init: f('init', null, 0),
    initWithThreadsCount: () => f('init_with_threads_count', null, 1)(threads),
    getThreadsCount: f('get_threads_count', 'number', 0),
    registerTensor: f('register_tensor', null, 3),
    disposeData: f('dispose_data', null, 1),
    dispose: f('dispose', null, 0),
  }
}

/** Rejects if the threads do not start in time: a module whose workers fail would wait for them forever. */
const within = <A>(milliseconds: number, work: Promise<A>): Promise<A> => {
  const { promise, reject } = withReject<A>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

const withReject = <A>(): { promise: Promise<A>; reject: (reason: Error) => void } => {
  let reject: (reason: Error) => void = () => undefined
  const promise = new Promise<A>((_, no) => {
    reject = no
  })
  return { promise, reject }
}

const instantiate = async (files: BackendFiles, threads: number): Promise<{ module: WasmModule; memory: Memory }> => {
  const code = await wasm.compile(await files.binary(threads > 1))
  let memory: Memory | undefined
  const { promise: failed, reject } = withReject<never>()
  const starting = files.start(threads, {
    instantiateWasm: (imports: Imports, receive: (instance: unknown, code: unknown) => void) => {
      // The pool has at most half as many threads as the machine claims cores.
      if (threads > 1) imports.env['emscripten_num_logical_cores'] = () => 2 * threads
      wasm
        .instantiate(code, imports)
        .then(instance => {
          // The threaded build imports its memory, the plain one exports it; both are a WebAssembly.Memory.
          memory = (imports.env['memory'] ?? instance.exports['memory']) as Memory
          receive(instance, code)
        })
        .catch(reject)
      return {}
    },
    onAbort: (reason: string) => reject(new Error(reason)),
  })
  const module = await within(20_000, Promise.race([starting, failed]))
  if (memory === undefined) throw new Error('the backend came up without memory')
  module.tfjs = wrap(module, threads)
  return { module, memory }
}

/** The number of times that a helper looks for the next job before it sleeps: some 50 microseconds. */
const spins = 10_000

/** Bytes that a program of steps takes at most: its inputs and its steps, in front of its scratch memory. */
const programBytes = 1024

const align = (offset: number): number => ((offset >>> 0) + 63) & ~63

const start = async (files: BackendFiles, threads: number): Promise<WasmRuntime> => {
  const { core, backendPackage } = files
  const { module, memory } = await instantiate(files, threads)
  const backend = new backendPackage.BackendWasm(module)
  // the runtime always starts eight workers; the remaining ones must not keep the process alive
  for (const worker of module.PThread?.unusedWorkers.splice(0) ?? []) worker.terminate()
  for (const worker of module.PThread?.runningWorkers ?? []) worker.unref()
  const engine = engineOf(core)
  const before = engine.registryFactory['wasm']
  const wasStarted = engine.registry['wasm'] !== undefined
  const isTheirs = engine.backendName === 'wasm'
  core.removeBackend('wasm')
  core.registerBackend('wasm', () => backend, before?.priority)
  await (isTheirs ? core.setBackend('wasm') : startBackend(core, 'wasm'))
  const running = module.tfjs.getThreadsCount()
  const kernels = instantiateKernels(memory)
  const code = productModule(memory)
  const productKernels = instantiateProducts(code, memory)
  // the job and every thread's scratch memory keep their place until the backend is removed
  const ofSteps = programBytes + kernels.stepsScratch()
  const job = align(module._malloc(4 * jobWords + running * productKernels.gemmScratch() + ofSteps + 64))
  const scratch = (thread: number): number => job + 4 * jobWords + thread * productKernels.gemmScratch()
  new Int32Array(memory.buffer, job, jobWords).fill(0).set([closedTicket])
  const helpers = Array.from({ length: running - 1 }, (_, i) =>
    files.startHelper({ code, memory, job, scratch: scratch(i + 1), spins }),
  )
  return {
    core,
    backend,
    memory,
    kernels,
    products: makeProducts(kernels, productKernels, memory, job, scratch(0), running),
    steps: makeSteps(
      kernels,
      productKernels,
      memory,
      job,
      { alone: scratch(running) + programBytes, together: scratch(0) },
      running,
    ),
    heap: makeHeap(core, backend, memory),
    scratch: scratch(running),
    threads: running,
    dispose: async () => {
      for (const helper of helpers) helper.terminate()
      if (engine.registry['wasm'] !== backend) return
      if (backend.numDataIds() > 0) {
        // the next one to start is again tfjs's own
        engine.registryFactory['wasm'] = before
        return
      }
      const isCurrent = engine.backendName === 'wasm'
      core.removeBackend('wasm')
      if (before === undefined) return
      core.registerBackend('wasm', before.factory, before.priority)
      if (isCurrent) await core.setBackend('wasm')
      else if (wasStarted) await startBackend(core, 'wasm')
    },
  }
}

/** The files of this machine; a bundle for browsers has `browser-files.ts` for it, which needs their address. */
const found = async (address: string | undefined): Promise<BackendFiles> => {
  const files: { readonly backendFiles: (address: string | undefined) => BackendFiles | Promise<BackendFiles> } =
    await import('./node-files.ts')
  return files.backendFiles(address)
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * Registers tfjs's wasm backend, with the requested number of threads, at most as many as the machine has (one if
 * threads do not start), and puts Partensor's kernels on its heap; tfjs's current backend does not change. tfjs can
 * hold one wasm backend: one with live tensors is not replaced. In a browser, `files` is the address of its files.
 * @example const runtime = await createWasmBackend({ threads: 2 })
 */
export const createWasmBackend = async (
  options: { readonly threads: number; readonly files?: string | undefined },
  given?: BackendFiles,
): Promise<E.Either<LoadError, WasmRuntime>> => {
  const files = given ?? (await found(options.files))
  const present = files.core.engine().registry['wasm']
  // whatever is registered under this name is a tfjs backend
  if (present !== undefined && (present as WasmBackend).numDataIds() > 0) {
    return E.left({
      _tag: 'BackendInUse',
      message: 'TensorFlow.js already has a wasm backend with live tensors; dispose of them first',
    })
  }
  const threads = Math.max(1, Math.min(Math.trunc(options.threads), files.cores))
  const attempt = async (count: number): Promise<E.Either<LoadError, WasmRuntime>> => {
    try {
      return E.right(await start(files, count))
    } catch (error) {
      return E.left({ _tag: 'LoadFailed', message: `the wasm backend did not load: ${reason(error)}` })
    }
  }
  const result = await attempt(threads)
  return E.isLeft(result) && threads > 1 ? attempt(1) : result
}
