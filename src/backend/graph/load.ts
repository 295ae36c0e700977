import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as tfjs from '@tensorflow/tfjs-core'
import { count, type DType } from '../../tensor/index.ts'
import { SessionError, type Buffer } from '../device.ts'
import type { LoadedSignature, Native, RuntimeTensor } from '../native/native.ts'
import { temporaryFolder } from '../../host/index.ts'
import { within } from '../tfjs/host.ts'
import { tfjsDType, type TfjsDType } from '../tfjs/lowering.ts'
import { emptyBody } from './body.ts'
import { called, emptyLibrary } from './library.ts'
import { graphTag, savedModel, signaturesOnly, type Graph } from './saved-model.ts'
import { unsharedCopy } from './unshared.ts'

/** A graph inside TensorFlow: one session, whose variables persist from one run to the next. */
export interface LoadedGraph {
  /**
   * Runs a signature to its end. Data is copied in and out, so that nothing of TensorFlow's is left to free; only f32,
   * i32 and bool.
   * @example graph.run('step', { ids }).loss
   */
  readonly run: (signature: string, feeds: Readonly<Record<string, Buffer>>) => Readonly<Record<string, Buffer>>
  /** Closes the session and drops its variables. */
  readonly dispose: () => void
}

const backendName = 'tensorflow'
const dtypeOf: { readonly [name: string]: DType } = { float32: 'f32', int32: 'i32', bool: 'bool' }

const tensorOf = ({ sizes, dtype, data }: Buffer): tfjs.Tensor => {
  if (!Object.hasOwn(tfjsDType, dtype)) throw new SessionError(`a graph takes no ${dtype} data: convert it first`)
  if (data.length !== count(sizes))
    throw new SessionError(`a value of sizes [${sizes.join(', ')}] has ${data.length} elements`)
  const known = dtype as TfjsDType
  return tfjs.tensor(unsharedCopy(known, data), [...sizes], tfjsDType[known])
}

const bufferOf = (x: RuntimeTensor): Buffer => ({
  sizes: x.shape,
  dtype: dtypeOf[x.dtype]!,
  data: x.dataSync() as Buffer['data'],
})

const onTensors = (
  signature: LoadedSignature,
  feeds: Readonly<Record<string, Buffer>>,
): Readonly<Record<string, Buffer>> =>
  within(tfjs, backendName, () => {
    const held: RuntimeTensor[] = []
    const hold = (x: RuntimeTensor): RuntimeTensor => {
      held.push(x)
      return x
    }
    try {
      const inputs = Object.fromEntries(Object.entries(feeds).map(([name, buffer]) => [name, hold(tensorOf(buffer))]))
      const outputs = signature.predict(inputs)
      Object.values(outputs).forEach(hold)
      return Object.fromEntries(Object.entries(outputs).map(([name, x]) => [name, bufferOf(x)]))
    } finally {
      for (const x of held) x.dispose()
    }
  })

/**
 * Loads a graph into TensorFlow, through a folder that is deleted as soon as TensorFlow has read it.
 * @throws {SessionError} if the backend has no loader, or TensorFlow refuses the graph
 * @example const graph = await loadGraph(native, { main, library, signatures })
 */
export const loadGraph = async ({ loadSavedModel, from }: Native, graph: Graph): Promise<LoadedGraph> => {
  if (loadSavedModel === undefined)
    throw new SessionError(`${from} has no loader for graphs: import @tensorflow/tfjs-node where it is installed`)
  const loaded = new Map<string, LoadedSignature>()
  const dispose = (): void => {
    for (const signature of loaded.values()) signature.dispose()
    loaded.clear()
  }
  try {
    await using folder = await temporaryFolder(tmpdir())
    const file = path.join(folder.path, 'saved_model.pb')
    const load = async (name: string): Promise<void> => {
      // it looks up the backend before it first waits
      loaded.set(name, await within(tfjs, backendName, () => loadSavedModel(folder.path, [graphTag], name)))
    }
    const [first, ...others] = Object.keys(graph.signatures)
    if (first === undefined) throw new Error('a graph without signatures')
    await writeFile(file, savedModel(graph))
    await load(first)
    // the other signatures find the session by the folder's name; tfjs-node reads the file each time anew, but only for
    // the signatures
    await writeFile(file, signaturesOnly(graph))
    for (const name of others) await load(name)
  } catch (error) {
    dispose()
    throw error instanceof SessionError
      ? error
      : new SessionError(`TensorFlow does not load the graph: ${String(error)}`)
  }
  return {
    run: (name, feeds) => {
      const signature = loaded.get(name)
      if (signature === undefined) throw new SessionError(`the graph has no ${name}, or it is closed`)
      return onTensors(signature, feeds)
    },
    dispose,
  }
}

/** Tests whether this TensorFlow can compile functions with XLA, by running a function that is compiled. */
export const hasXla = async (native: Native): Promise<boolean> => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const x = main.apply('Placeholder', [], { dtype: { type: 'f32' } }, { name: 'x' })
  const square = library.define({
    name: 'square',
    parameters: ['f32'],
    xla: true,
    write: (body, [p]) => [body.apply('Mul', [p!, p!])],
  })
  const [y] = called(main, square, [x]).outputs
  const graph = await loadGraph(native, {
    main,
    library,
    signatures: { square: { inputs: { x }, outputs: { y: y! } } },
  })
  try {
    return graph.run('square', { x: { sizes: [1], dtype: 'f32', data: Float32Array.of(3) } })['y']!.data[0] === 9
  } catch {
    return false
  } finally {
    graph.dispose()
  }
}
