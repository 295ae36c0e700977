import * as E from '../../either/index.ts'
import { programsOf, sizing, type Programs, type Step, type Traits, type Variable } from '../../compile/index.ts'
import { count, type DType, type Environment, type Node, type Shape } from '../../tensor/index.ts'
import { collectGarbage } from '../../host/index.ts'
import { asksToRecompute, checkWithin, comparedWith } from '../budget.ts'
import { computingOn, type Computing } from '../computing.ts'
import { SessionError, type Buffer } from '../device.ts'
import {
  averagesOf,
  buffersOf,
  refusal,
  withBuffers,
  type BufferValues,
  type Engine,
  type EngineDecoder,
  type FedBatch,
  type Loading,
  type OpenEngine,
  type Planning,
  type Stepped,
  type Sums,
} from '../engine.ts'
import { returnMemory } from '../native/addon.ts'
import { nodeDevice } from '../native/device.ts'
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
import { compiledWithin } from './within.ts'
import { averageName, batchInput, bufferName, outputName, predictedFrom } from './source.ts'

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
  return (step, planning, signal) => opened(native.right, { precision, xla: withXla }, { step, planning, signal })
}

interface Opening<P, Q, M, S, B, O, K extends string, U> {
  readonly step: Step<P, Q, M, S, B, O, K, U>
  readonly planning: Planning
  readonly signal: StopSignal | undefined
}

const opened = async <P, Q, M, S, B, O, K extends string, U>(
  native: Native,
  options: GraphOptions,
  { step, planning, signal }: Opening<P, Q, M, S, B, O, K, U>,
): Promise<Loading> => {
  const compiled = compiledWithin(step, options, planning)
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
      return started(graph, compiled, {
        title,
        own,
        capacities: step.tuned.model.capacities,
        fits,
        programsFor: traits => programsOf(step, { ...planning, ...traits, unprepared: true }),
        memory: planning.memory,
        instead: asksToRecompute(planning)
          ? () => compiledGraph(step, options, { ...planning, recompute: 'none' })
          : undefined,
      })
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

/** Truth values are passed as integers. */
const asInput = (value: Buffer): Buffer =>
  value.dtype === 'bool' ? { ...value, dtype: 'i32', data: Int32Array.from(value.data) } : value
const asDeclared = (dtype: DType, value: Buffer): Buffer =>
  dtype === 'bool' ? { ...value, dtype, data: Uint8Array.from(value.data) } : value

/** The sizes of names as feeds of a question. */
const sized = (sizes: Environment): Buffers =>
  Object.fromEntries(Object.entries(sizes).map(([name, size]) => [sizeInput(name), integer(Number(size))]))

interface Started {
  readonly title: string
  readonly own: Environment
  readonly capacities: Readonly<Record<string, Shape>> | undefined
  readonly fits: ReturnType<typeof fitting>
  /** The step's programs for a device that computes other expressions. */
  readonly programsFor: (traits: Traits) => Programs
  readonly memory: number | undefined
  /** The graph that recomputes nothing, if the session's was asked to be another. */
  readonly instead: (() => Compiled) | undefined
}

const started = (
  graph: Asked,
  compiled: Compiled,
  { title, own, capacities, fits, programsFor, memory, instead }: Started,
): Engine => {
  const { programs, whole, holdings, variables, dynamic } = compiled
  const { weights, state } = holdingBytes(compiled, sizing(own))
  const certificates = recent<Certificate>(mostSizes)
  const certificate = (sizes: Environment): Certificate => {
    const key = JSON.stringify(sizes)
    const size = sizing(sizes, capacities)
    fits('loss', size, key)
    return certificates.get(key, () =>
      instead ? comparedWith(certified(compiled, size), certified(instead(), size)) : certified(compiled, size),
    )
  }
  const roomFor = new Set<string>()
  /** Refuses batches that are larger than those for which the graph was planned within its budget. */
  const checkRoom = (batches: readonly FedBatch[]): void => {
    for (const { sizes } of memory === undefined ? [] : batches) {
      const key = JSON.stringify(sizes)
      if (roomFor.has(key)) continue
      checkWithin(certified(compiled, sizing(sizes, capacities)).total, memory)
      if (roomFor.size >= mostSizes) roomFor.clear()
      roomFor.add(key)
    }
  }
  const predicted = predictedFrom(programs)
  const decoded = programs.buffers.length === 0 ? [] : (whole.decode?.().buffers ?? [])
  const fed = (
    { values, sizes }: FedBatch,
    what: Sized = 'loss',
    { batch }: Pick<Programs, 'batch'> = programs,
  ): Buffers => {
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
      ...Object.fromEntries(batch.map(([path]) => [batchInput(path), asInput(values.get(path)!)])),
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
  let opening: Promise<Computing> | undefined
  /** A device that computes other expressions, opened on first use. */
  const computing = (): Promise<Computing> =>
    (opening ??= nodeDevice().then(device =>
      computingOn(device, { programs: programsFor(device.traits), capacities, read }),
    ))
  const home = ({ leaf, part, lens }: Compiled['programs']['trained'][number]): Node =>
    lens.index.length > 0 ? part : leaf
  /** Sums over micro-batches, each of which reads the buffers that the one before leaves. */
  const accumulate = (batches: readonly FedBatch[]): Sums & { readonly buffers: BufferValues } => {
    let all: Sums = { loss: 0, tokens: 0 }
    let buffers: BufferValues = new Map()
    batches.forEach((batch, i) => {
      const made = graph.ask(`accumulate/${i === 0 ? 'first' : 'more'}`, fed(withBuffers(batch, buffers)))
      const { loss, tokens } = sums(made)
      all = { loss: all.loss + loss, tokens: all.tokens + tokens }
      buffers = buffersOf(
        programs,
        programs.buffers.map((_, j) => made[bufferName(j)]!),
      )
    })
    return { ...all, buffers }
  }
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
      checkRoom(batches)
      const [first] = batches
      // new buffers are checked before anything is updated
      if (first && batches.length === 1 && programs.buffers.length === 0) {
        const made = graph.ask('step', fed(first))
        return { ...sums(made), gradNorm: numberOf(made['norm']), buffers: new Map() }
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
    evaluate: async batch => {
      const found = graph.ask('evaluate', fed(batch))
      return averagesOf(programs.declaredLoss.map((_, i) => numberOf(found[averageName(i)])))
    },
    gradients: async batch =>
      forgetting(() => {
        checkRoom([batch])
        const { loss, tokens } = accumulate([batch])
        return { loss, tokens, sums: programs.gradient.map(read) }
      }),
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
    predict: async batch => {
      const found = graph.ask('predict', fed(batch, 'predict', predicted))
      return programs.declared.outputLeaves.map(([, { dtype }], i) => asDeclared(dtype, found[outputName(i)]!))
    },
    compute: async (expressions, batch) => (await computing()).compute(expressions, batch),
    decoder: () => decoderOf(graph, variables.caches, fits, decoded),
    parts: async () => programs.trained.map(t => read(home(t))),
    state: async () => programs.state.map(([, leaf]) => read(leaf)),
    write: async (parts, state) => {
      programs.trained.forEach((t, i) => {
        if (t.lens.index.length > 0) put(t.part, parts[i]!, () => 'commit')
        else replace(t.leaf, parts[i]!)
      })
      programs.state.forEach(([, leaf], i) => replace(leaf, state[i]!))
    },
    certificate,
    bytes: () => weights + state,
    dispose: async () => {
      graph.dispose()
      await (await opening)?.dispose()
    },
  }
}

/** A decoder whose cache is fed to every call and returned by it. */
const decoderOf = (
  graph: Asked,
  variables: readonly Variable[],
  fits: ReturnType<typeof fitting>,
  read: Programs['buffers'],
): EngineDecoder => {
  let caches: Buffers | undefined
  return {
    next: async (tokens, position, sizes, buffers) => {
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
        ...Object.fromEntries(read.map(([path]) => [batchInput(path), buffers.get(path)!])),
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
