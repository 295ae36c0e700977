import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { registerLast } from '../host.ts'
import type { Memory, TfjsCore, TfjsWasm, WasmModule } from './runtime.ts'

/** The sources of the parts of tfjs's wasm backend: the only thing that differs between Node and a browser. */
export interface BackendFiles {
  readonly core: TfjsCore
  readonly backendPackage: TfjsWasm
  readonly cores: number
  readonly binary: (threaded: boolean) => Promise<Uint8Array>
  /** Calls the emscripten factory with these settings, for a number of threads. */
  readonly start: (threads: number, settings: object) => Promise<WasmModule>
  /**
   * Starts a thread that instantiates `code` on `memory` and calls its serve(job, scratch, spins), which never returns.
   */
  readonly startHelper: (data: HelperData) => { readonly terminate: () => unknown }
}

export interface HelperData {
  readonly code: object
  readonly memory: Memory
  readonly job: number
  readonly scratch: number
  readonly spins: number
}

/** Threads that the runtime always starts, however few it uses. */
const pool = 8

/** A place in the runtime's pool without a thread, which costs 40 milliseconds: it claims to be loaded. */
class NoThread {
  onmessage: (event: { readonly data: unknown }) => void = () => undefined
  on(): this {
    return this
  }
  postMessage(message: { readonly cmd?: string }): void {
    if (message.cmd === 'load') queueMicrotask(() => this.onmessage({ data: { cmd: 'loaded' } }))
  }
  unref(): void {
    return
  }
  terminate(): void {
    return
  }
}

const helper = `
const { code, memory, job, scratch, spins } = require('node:worker_threads').workerData
new WebAssembly.Instance(code, { env: { memory } }).exports.serve(job, scratch, spins)`

/**
 * The installed @tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm, under Node. A worker is started from a data:
 * URL, because Node does not support workers from blob: URLs, which the package itself uses.
 * @example backendFiles().core.engine().memory()
 */
export const backendFiles = (): BackendFiles => {
  // Node 20 has fused multiply-add in WebAssembly behind this flag; later versions have it without, and warn about the
  // flag
  if (Number.parseInt(process.versions.node, 10) < 22) setFlagsFromString('--experimental-wasm-relaxed-simd')
  const require = createRequire(import.meta.url)
  const file = (name: string): string =>
    require.resolve(`@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm${name}`)
  // The plain script serves the plain SIMD binary too; the package's own one for it is broken.
  const script = (threaded: boolean): string => file(threaded ? '-threaded-simd.js' : '.js')
  const worker = (): URL => {
    const js = script(true)
    const { wasmWorkerContents } = require(js.replace(/js$/, 'worker.js'))
    return new URL(
      'data:text/javascript,' +
        encodeURIComponent(
          `import {createRequire} from 'node:module';const __filename=${JSON.stringify(js)},require=createRequire(__filename);` +
            String(wasmWorkerContents).replace(/\n/g, '\\n'),
        ),
    )
  }
  const core: TfjsCore = require('@tensorflow/tfjs-core')
  return {
    core,
    backendPackage: registerLast(core, 'wasm', (): TfjsWasm => require('@tensorflow/tfjs-backend-wasm')),
    // the backend's script does not start in a worker of Deno
    cores: 'Deno' in globalThis ? 1 : availableParallelism(),
    binary: threaded => readFile(file(threaded ? '-threaded-simd.wasm' : '-simd.wasm')),
    startHelper: workerData => {
      const worker = new Worker(helper, { eval: true, workerData, execArgv: [], env: {} })
      worker.unref()
      return { terminate: () => worker.terminate() }
    },
    start: (threads, settings) => {
      const threaded = threads > 1
      const js = script(threaded)
      let places = 0
      // the runtime makes its workers from this global, which it sets itself
      const scope = globalThis as { Worker?: unknown }
      /** Called before each worker of the pool is made; the runtime uses the last ones. */
      const nextWorker = (path: string): string | URL => {
        const isUsed = places++ >= pool - threads
        scope.Worker = isUsed ? Worker : NoThread
        return isUsed ? worker() : path
      }
      // the factory installs handlers that rethrow whatever fails anywhere in the process; they are removed at once
      const events = ['uncaughtException', 'unhandledRejection'] as const
      const before = events.map(event => process.rawListeners(event))
      const module: Promise<WasmModule> = require(js)({
        ...settings,
        ...(threaded
          ? {
              mainScriptUrlOrBlob: js,
              locateFile: (path: string) => (path.endsWith('.worker.js') ? nextWorker(path) : path),
            }
          : {}),
      })
      events.forEach((event, i) => {
        for (const listener of process.rawListeners(event)) {
          // Node types listeners by event; both arrays hold this event's.
          if (before[i]?.includes(listener) !== true) process.off(event, listener as () => void)
        }
      })
      return module
    },
  }
}
