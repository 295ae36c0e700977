import { SessionError } from '../../device.ts'
import { engineOf } from '../host.ts'
import type { BackendFiles } from './node-files.ts'
import type { TfjsCore, TfjsWasm, WasmModule } from './runtime.ts'

/** The part of a browser's `fetch` that is used. */
declare const fetch: (address: string) => Promise<{ ok: boolean; status: number; arrayBuffer(): Promise<ArrayBuffer> }>

/**
 * The parts of tfjs's wasm backend in a browser, with one thread; it stands in place of `node-files.ts` there. The wasm
 * code is fetched from the folder with this address, which is to hold the package's `wasm-out/`.
 */
export const backendFiles = async (address?: string): Promise<BackendFiles> => {
  if (address === undefined)
    throw new SessionError(
      'wasm in a browser needs wasmFiles, the address of the folder wasm-out of @tensorflow/tfjs-backend-wasm',
    )
  // typed in runtime.ts, because their own declarations need the DOM's
  const core = (await import('@tensorflow/tfjs-core')) as unknown as TfjsCore
  const { registryFactory } = engineOf(core)
  const isTheirs = registryFactory['wasm'] !== undefined
  const backendPackage = (await import('@tensorflow/tfjs-backend-wasm')) as unknown as TfjsWasm
  const own = registryFactory['wasm']
  // the package registers itself with the highest priority, for a program that may have chosen none
  if (!isTheirs && own !== undefined) registryFactory['wasm'] = { ...own, priority: 0 }
  const script: unknown = await import('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js')
  // a script of CommonJS, whose export bundlers give as the default
  const { default: factory } = script as { readonly default: (settings: object) => Promise<WasmModule> }
  const folder = address.endsWith('/') ? address : `${address}/`
  return {
    core,
    backendPackage,
    cores: 1,
    binary: async () => {
      const file = `${folder}tfjs-backend-wasm-simd.wasm`
      const answer = await fetch(file)
      if (!answer.ok) throw new Error(`${file}: the server answers ${answer.status}`)
      return new Uint8Array(await answer.arrayBuffer())
    },
    start: (_, settings) => factory(settings),
    startHelper: () => {
      throw new Error('one thread has no helpers')
    },
  }
}
