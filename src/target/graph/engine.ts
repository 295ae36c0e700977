import * as E from 'fp-ts/lib/Either.js'
import { programsOf, sizing, variablesOf, wholePrograms, type CompilerOptions, type Programs, type Step, type Traits, type Variable } from '../../compile/index.ts'
import { count, factors, parameterOp, resultOp, type Dim, type Environment, type Node, type Shape } from '../../tensor/index.ts'
import { collectGarbage } from '../collect.ts'
import { SessionError, type Buffer } from '../device.ts'
import { refusal, type Engine, type EngineDecoder, type FedBatch, type Loading, type OpenEngine, type Stepped, type Sums } from '../engine.ts'
import { openNative, type Native } from '../native/load.ts'
import { integer, real, sizeInput, type Buffers } from './entry.ts'
import { batchInput, graphOf } from './graph.ts'
import { hasXla, loadGraph } from './load.ts'
import { graphLowerings } from './index.ts'
import type { Precision } from './program.ts'
import { holdingsOf, trainedRows, type Holdings } from './resources.ts'
import type { FloatType } from './types.ts'

/** What a size counts as that no model fixes, where the compiler weighs one way against another. */
const typicalSize = 24
/** Products of at most so many operations for each byte that need not be kept are computed again: attention's, up to heads of 128 in bf16. */
const recomputed = 128

const traits: Traits = {
  layOut: true, runs: () => true, inPlace: new Map(), unprepared: true, holdsParts: true, alike: true, recomputeProducts: recomputed,
}

/** A loaded graph that can be asked. */
interface Asked { readonly ask: (name: string, feeds: Buffers) => Buffers; readonly dispose: () => void }

/** How the graph target is asked to work. */
export interface GraphOptions {
  readonly precision: FloatType
  /** Whether elementwise clusters are compiled by XLA; where TensorFlow can, unless said. */
  readonly xla?: boolean
}

/**
 * The engine that runs a step as one TensorFlow graph. Weights and state are variables of the graph; a step is one call.
 * @throws {SessionError} where there is no TensorFlow: what to install
 * @example const open = await graphEngine({ precision: 'bf16' })
 */
export const graphEngine = async ({ precision, xla }: GraphOptions): Promise<OpenEngine> => {
  const native = await openNative()
  if (E.isLeft(native)) throw new SessionError(native.left)
  const withXla = xla ?? await hasXla(native.right)
  return (step, compiler) => opened(native.right, { precision, xla: withXla }, step, compiler)
}

const opened = async <P, Q, M, S, B, L extends Shape>(
  native: Native, { precision, xla }: Required<GraphOptions>, step: Step<P, Q, M, S, B, L>, compiler: CompilerOptions): Promise<Loading> => {
  const { model } = step.tuned, known = model.dims ?? {}, programs = programsOf(step, { ...compiler, ...traits })
  const size = sizing(withTypicalSizes(programs, known), model.capacities), variables = variablesOf(programs), holdings = holdingsOf(variables, programs, precision)
  const isStaticDim = (dim: Dim): boolean => factors(dim).every(factor => typeof factor === 'number' || Object.hasOwn(known, factor))
  const whole = wholePrograms(programs, variables, { size, isStaticDim, fuse: true, chunk: { largest: 2 ** 25, rows: 128 } })
  const dynamic = namesOf(programs, model.capacities).filter(name => !Object.hasOwn(known, name))
  const writing = { lowerings: graphLowerings, sizeOf: (name: string) => known[name], dynamic, xla }
  const entry = graphOf({ programs, whole, holdings, writing, precision: precisionOf(precision) }), loaded = await loadGraph(native, entry.graph())
  const graph: Asked = { ask: entry.ask(loaded), dispose: loaded.dispose }
  const title = `TensorFlow graph ${native.tensorflow} on ${native.gpu ? 'gpu' : 'cpu'}, ${precision}`
  const chosen = new Map<Node, Buffer>(), indices = new Set(programs.indices.map(([, index]) => index))
  const assign = (leaf: Node, value: Buffer, index?: Buffer): void => {
    const { held, layer } = holdings.placeOf(leaf)
    graph.ask(`${layer === 0 ? 'first' : 'next'}/${held.name}`, { value, layer: integer(layer), ...(index ? { index } : {}), ...sized({}) })
  }
  return {
    programs,
    assign: async (leaf, value) => {
      if (indices.has(leaf)) chosen.set(leaf, value)
      const rows = trainedRows(programs, holdings.placeOf(leaf).held)
      const own = rows && programs.trained.find(t => t.leaf === leaf)
      assign(leaf, value, own ? chosen.get(own.lens.index[0]!) : undefined)
      if (own) chosen.delete(own.lens.index[0]!)
    },
    start: async own => {
      collectGarbage()
      graph.ask('start', sized(own))
      return started(graph, programs, holdings, { title, dynamic, own, capacities: model.capacities, caches: variables.caches })
    },
    dispose: () => { graph.dispose(); return Promise.resolve() },
  }
}

/** Activations in the type of the computation; numbers by the row, and what follows from no data, as rotary tables, in f32. */
const precisionOf = (compute: FloatType): Precision => {
  const dataless = new Map<Node, boolean>()
  const isDataless = (n: Node): boolean => {
    const known = dataless.get(n) ?? (n.op !== parameterOp && n.op !== resultOp && n.inputs.every(isDataless))
    dataless.set(n, known)
    return known
  }
  return { compute, stored: n => (n.dtype !== 'f32' ? n.dtype : n.shape.length < 2 || n.shape.at(-1) === 1 || isDataless(n) ? 'f32' : compute) }
}

/** Every name in the dims of what programs read. */
const namesOf = ({ params, state, batch, indices, decode }: Programs, capacities: Readonly<Record<string, Shape>> = {}): readonly string[] => {
  const leaves = [...params, ...state, ...batch, ...indices].map(([, leaf]) => leaf)
  const names = leaves.flatMap(({ shape }) => shape.flatMap(dim => factors(dim).filter(factor => typeof factor === 'string')))
  return [...new Set([...names, ...Object.keys(capacities), ...(decode ? ['capacity'] : [])])]
}

const withTypicalSizes = (programs: Programs, known: Environment): Environment =>
  ({ ...Object.fromEntries(namesOf(programs).map(name => [name, typicalSize])), ...known })

const numberOf = (buffer: Buffer | undefined): number => Number(buffer!.data[0])

/** The sizes of names as a question is given them. */
const sized = (sizes: Environment): Buffers => Object.fromEntries(Object.entries(sizes).map(([name, size]) => [sizeInput(name), integer(Number(size))]))

interface Started { readonly title: string; readonly dynamic: readonly string[]; readonly own: Environment; readonly capacities: Readonly<Record<string, Shape>> | undefined; readonly caches: readonly Variable[] }

const started = (graph: Asked, programs: Programs, holdings: Holdings, { title, dynamic, own, capacities, caches }: Started): Engine => {
  const fed = ({ values, sizes }: FedBatch): Buffers => {
    const size = sizing(sizes, capacities), all = Object.fromEntries(dynamic.flatMap(name => { try { return [[name, size(name)]] } catch { return [] } }))
    return { ...Object.fromEntries(programs.batch.map(([path]) => [batchInput(path), values.get(path)!])), ...sized(all) }
  }
  const sums = ({ sum, count }: Buffers): Sums => ({ loss: numberOf(sum), tokens: numberOf(count) })
  const read = (leaf: Node): Buffer => {
    const { held, layer } = holdings.placeOf(leaf)
    return graph.ask(`read/${held.name}`, { layer: integer(layer), ...sized(own) })['value']!
  }
  const home = ({ leaf, part, lens }: Programs['trained'][number]): Node => (lens.index.length > 0 ? part : leaf)
  const accumulate = (batches: readonly FedBatch[]): Sums => batches.map((batch, i) => sums(graph.ask(`accumulate/${i === 0 ? 'first' : 'more'}`, fed(batch))))
    .reduce((a, b) => ({ loss: a.loss + b.loss, tokens: a.tokens + b.tokens }))
  const forgetting = <A>(use: () => A): A => { try { return use() } finally { graph.ask('forget', sized(own)) } }
  return {
    name: title, limit: undefined,
    step: async (batches): Promise<Stepped> => {
      const [first] = batches
      if (first && batches.length === 1) {
        const made = graph.ask('step', fed(first))
        return { ...sums(made), gradNorm: numberOf(made['norm']) }
      }
      return forgetting(() => {
        const all = accumulate(batches)
        // without a scored token there is nothing to divide by
        if (refusal(all) !== undefined) return { ...all, gradNorm: 0 }
        return { ...all, gradNorm: numberOf(graph.ask('apply', { sum: real(all.loss), count: real(all.tokens), ...sized(own) })['norm']) }
      })
    },
    evaluate: async batch => sums(graph.ask('evaluate', fed(batch))),
    gradients: async batch => forgetting(() => ({ ...accumulate([batch]), sums: programs.gradient.map(read) })),
    logits: async batch => graph.ask('logits', fed(batch))['logits']!,
    decoder: () => decoderOf(graph, caches),
    parts: async () => programs.trained.map(t => read(home(t))),
    state: async () => programs.state.map(([, leaf]) => read(leaf)),
    write: async (parts, state) => {
      programs.trained.forEach((t, i) => {
        const { held, layer } = holdings.placeOf(home(t)), feeds = { value: parts[i]!, layer: integer(layer), ...sized(own) }
        graph.ask(`${t.lens.index.length > 0 ? 'commit' : held.layers === undefined ? 'first' : 'next'}/${held.name}`, feeds)
      })
      programs.state.forEach(([, leaf], i) => {
        const { held, layer } = holdings.placeOf(leaf)
        graph.ask(`${held.layers === undefined ? 'first' : 'next'}/${held.name}`, { value: state[i]!, layer: integer(layer), ...sized(own) })
      })
    },
    certificate: () => { throw new SessionError('not yet') },
    bytes: () => 0,
    dispose: async () => { graph.dispose() },
  }
}

/** A cache that is fed to every call and returned by it. */
const decoderOf = (graph: Asked, variables: readonly Variable[]): EngineDecoder => {
  let caches: Buffers | undefined
  return {
    next: async (tokens, position, sizes) => {
      const size = sizing(sizes), empty = ({ node }: Variable): Buffer => {
        const of = node.shape.map(size)
        return { sizes: of, dtype: 'f32', data: new Float32Array(count(of)) }
      }
      caches ??= Object.fromEntries(variables.map(variable => [variable.name, empty(variable)]))
      const { logits, ...next } = graph.ask('decode', { tokens, position: integer(position), ...caches, ...sized(sizes) })
      caches = next
      return logits!
    },
    dispose: () => { caches = undefined },
  }
}
