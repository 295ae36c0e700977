import * as E from 'fp-ts/lib/Either.js'
import { sizing, type CompilerOptions, type Step, type Variable } from '../../compile/index.ts'
import { count, type Environment, type Node, type Shape } from '../../tensor/index.ts'
import { collectGarbage } from '../../host/index.ts'
import { SessionError, type Buffer } from '../device.ts'
import {
  refusal,
  type Engine,
  type EngineDecoder,
  type FedBatch,
  type Loading,
  type OpenEngine,
  type Stepped,
  type Sums,
} from '../engine.ts'
import { returnMemory } from '../native/addon.ts'
import { openNative } from '../native/load.ts'
import type { Native } from '../native/native.ts'
import { mostSizes, recent } from '../recent.ts'
import type { Certificate } from '../session.ts'
import { throwIfAborted, turn, type StopSignal } from '../turn.ts'
import { certified, fixedBytes, holdingBytes } from './certificate.ts'
import { compiledGraph, type Compiled, type GraphOptions } from './compiled.ts'
import { integer, real, sizeInput, type Buffers } from './entry.ts'
import { failureOf } from './failure.ts'
import { fitting, type Sized } from './fits.ts'
import { hasXla, loadGraph } from './load.ts'
import { reserved } from './reserve.ts'
import { batchInput } from './source.ts'

/** A loaded graph that answers questions. */
interface Asked {
  readonly ask: (name: string, feeds: Buffers) => Buffers
  readonly dispose: () => void
}

/**
 * The engine that runs a step as one TensorFlow graph. Weights and state are variables of the graph; a step is one
 * call.
 * @throws {SessionError} if there is no TensorFlow; the message tells what to install
 * @example const open = await graphEngine({ precision: 'bf16' })
 */
export const graphEngine = async ({
  precision,
  xla,
}: Pick<GraphOptions, 'precision'> & Partial<GraphOptions>): Promise<OpenEngine> => {
  const native = await openNative()
  if (E.isLeft(native)) throw new SessionError(native.left)
  const withXla = xla ?? (await hasXla(native.right))
  return (step, compiler, signal) => opened(native.right, { precision, xla: withXla }, { step, compiler, signal })
}

interface Opening<P, Q, M, S, B, L extends Shape> {
  readonly step: Step<P, Q, M, S, B, L>
  readonly compiler: CompilerOptions
  readonly signal: StopSignal | undefined
}

const opened = async <P, Q, M, S, B, L extends Shape>(
  native: Native,
  options: GraphOptions,
  { step, compiler, signal }: Opening<P, Q, M, S, B, L>,
): Promise<Loading> => {
  const compiled = compiledGraph(step, options, compiler)
  const { programs, holdings, entry } = compiled
  await turn()
  throwIfAborted(signal)
  const loaded = await loadGraph(native, entry.graph())
  const graph: Asked = { ask: guarded(entry.ask(loaded)), dispose: loaded.dispose }
  graph.ask('reserve', reserved(fixedBytes(compiled, sizing(step.tuned.model.dims ?? {}))))
  const title = `TensorFlow graph ${native.tensorflow} on ${native.gpu ? 'gpu' : 'cpu'}, ${options.precision}`
  const chosen = new Map<Node, Buffer>()
  const indices = new Set(programs.indices.map(([, index]) => index))
  return {
    programs,
    assign: async (leaf, value) => {
      // an index is passed to the graph together with its leaf, which comes next, and with others that share it
      if (indices.has(leaf)) {
        chosen.set(leaf, value)
        return
      }
      const { held, layer } = holdings.placeOf(leaf)
      const own = programs.trained.find(t => t.leaf === leaf)?.lens.index[0]
      const index = own && chosen.get(own)
      graph.ask(`${layer === 0 ? 'first' : 'next'}/${held.name}`, {
        value,
        layer: integer(layer),
        ...(index ? { index } : {}),
      })
    },
    start: async own => {
      const fits = fitting(compiled)
      fits('start', sizing(own), JSON.stringify(own))
      graph.ask('start', sized(own))
      // frees the garbage of reading the weights
      collectGarbage()
      returnMemory()
      return started(graph, compiled, { title, own, capacities: step.tuned.model.capacities, fits })
    },
    dispose: () => {
      graph.dispose()
      return Promise.resolve()
    },
  }
}

/** Questions that change what the graph holds. */
const changing = /^(step|apply|commit|first|next)\b/

/** Turns a failure into one sentence. After a failure in the middle of a change, every further question is refused. */
const guarded = (ask: Asked['ask']): Asked['ask'] => {
  let stopped = false
  return (name, feeds) => {
    if (stopped) throw new SessionError('the session stopped in the middle of an update: open a new one')
    try {
      return ask(name, feeds)
    } catch (error) {
      if (error instanceof SessionError) throw error
      const failure = failureOf(name.replace(/\/.*$/, ''), error)
      stopped = changing.test(name) && !failure.ofInput
      throw failure.error
    }
  }
}

const numberOf = (buffer: Buffer | undefined): number => Number(buffer!.data[0])

/** The sizes of names as feeds of a question. */
const sized = (sizes: Environment): Buffers =>
  Object.fromEntries(Object.entries(sizes).map(([name, size]) => [sizeInput(name), integer(Number(size))]))

interface Started {
  readonly title: string
  readonly own: Environment
  readonly capacities: Readonly<Record<string, Shape>> | undefined
  readonly fits: ReturnType<typeof fitting>
}

const started = (graph: Asked, compiled: Compiled, { title, own, capacities, fits }: Started): Engine => {
  const { programs, holdings, variables, dynamic } = compiled
  const { weights, state } = holdingBytes(compiled, sizing(own))
  const certificates = recent<Certificate>(mostSizes)
  const fed = ({ values, sizes }: FedBatch, what: Sized = 'loss'): Buffers => {
    const size = sizing(sizes, capacities)
    fits(what, size, JSON.stringify(sizes))
    const all = Object.fromEntries(
      dynamic.flatMap(name => {
        try {
          return [[name, size(name)]]
        } catch {
          return []
        }
      }),
    )
    return {
      ...Object.fromEntries(programs.batch.map(([path]) => [batchInput(path), values.get(path)!])),
      ...sized(all),
    }
  }
  const sums = ({ sum, count }: Buffers): Sums => ({ loss: numberOf(sum), tokens: numberOf(count) })
  const read = (leaf: Node): Buffer => {
    const { held, layer } = holdings.placeOf(leaf)
    return graph.ask(`read/${held.name}`, { layer: integer(layer), ...sized(own) })['value']!
  }
  /** Assigns a value to a leaf, by the question that fits its place. */
  const put = (
    leaf: Node,
    value: Buffer,
    how: (place: ReturnType<typeof holdings.placeOf>) => 'first' | 'next' | 'commit',
  ): void => {
    const place = holdings.placeOf(leaf)
    graph.ask(`${how(place)}/${place.held.name}`, { value, layer: integer(place.layer), ...sized(own) })
  }
  /** Assigns a first value: the first layer of a stack allocates memory for all. */
  const give = (leaf: Node, value: Buffer): void => {
    put(leaf, value, ({ layer }) => (layer === 0 ? 'first' : 'next'))
  }
  /** Replaces a value that exists. */
  const replace = (leaf: Node, value: Buffer): void => {
    put(leaf, value, ({ held }) => (held.layers === undefined ? 'first' : 'next'))
  }
  const home = ({ leaf, part, lens }: Compiled['programs']['trained'][number]): Node =>
    lens.index.length > 0 ? part : leaf
  const accumulate = (batches: readonly FedBatch[]): Sums =>
    batches
      .map((batch, i) => sums(graph.ask(`accumulate/${i === 0 ? 'first' : 'more'}`, fed(batch))))
      .reduce((a, b) => ({ loss: a.loss + b.loss, tokens: a.tokens + b.tokens }))
  const forgetting = <A>(use: () => A): A => {
    try {
      return use()
    } finally {
      graph.ask('forget', sized(own))
    }
  }
  return {
    name: title,
    limit: undefined,
    step: async (batches): Promise<Stepped> => {
      const [first] = batches
      if (first && batches.length === 1) {
        const made = graph.ask('step', fed(first))
        return { ...sums(made), gradNorm: numberOf(made['norm']) }
      }
      return forgetting(() => {
        const all = accumulate(batches)
        // without a scored token, the divisor is zero
        if (refusal(all) !== undefined) return { ...all, gradNorm: 0 }
        return {
          ...all,
          gradNorm: numberOf(
            graph.ask('apply', { sum: real(all.loss), count: real(all.tokens), ...sized(own) })['norm'],
          ),
        }
      })
    },
    evaluate: async batch => sums(graph.ask('evaluate', fed(batch))),
    gradients: async batch => forgetting(() => ({ ...accumulate([batch]), sums: programs.gradient.map(read) })),
    hvp: async (batch, tangents) => {
      if (compiled.whole.hvp === undefined)
        throw new SessionError(
          'the graph was not made for Hessian-vector products: open the session with compiler: { hvp: true }',
        )
      return forgetting(() => {
        programs.gradient.forEach((leaf, i) => give(leaf, tangents[i]!))
        return { ...sums(graph.ask('hvp', fed(batch))), products: programs.gradient.map(read) }
      })
    },
    logits: async batch => graph.ask('logits', fed(batch, 'logits'))['logits']!,
    decoder: () => decoderOf(graph, variables.caches, fits),
    parts: async () => programs.trained.map(t => read(home(t))),
    state: async () => programs.state.map(([, leaf]) => read(leaf)),
    write: async (parts, state) => {
      programs.trained.forEach((t, i) => {
        if (t.lens.index.length > 0) put(t.part, parts[i]!, () => 'commit')
        else replace(t.leaf, parts[i]!)
      })
      programs.state.forEach(([, leaf], i) => replace(leaf, state[i]!))
    },
    certificate: sizes => {
      const key = JSON.stringify(sizes)
      const size = sizing(sizes, capacities)
      fits('loss', size, key)
      return certificates.get(key, () => certified(compiled, size))
    },
    bytes: () => weights + state,
    dispose: async () => {
      graph.dispose()
    },
  }
}

/** A decoder whose cache is fed to every call and returned by it. */
const decoderOf = (graph: Asked, variables: readonly Variable[], fits: ReturnType<typeof fitting>): EngineDecoder => {
  let caches: Buffers | undefined
  return {
    next: async (tokens, position, sizes) => {
      const size = sizing(sizes)
      fits('decode', size, JSON.stringify(sizes))
      const empty = ({ node }: Variable): Buffer => {
        const of = node.shape.map(size)
        return { sizes: of, dtype: 'f32', data: new Float32Array(count(of)) }
      }
      caches ??= Object.fromEntries(variables.map(variable => [variable.name, empty(variable)]))
      const { logits, ...next } = graph.ask('decode', {
        tokens,
        position: integer(position),
        ...caches,
        ...sized(sizes),
      })
      caches = next
      return logits!
    },
    dispose: () => {
      caches = undefined
    },
  }
}
