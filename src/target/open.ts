import { bindDims, given, randomKeyPath, sizing, type CompilerOptions, type Step } from '../compile/index.ts'
import { count, type DType, type Node, type Shape, type Value } from '../tensor/index.ts'
import { isValue, leaves, unflatten, type Focus, type Lazy, type Values } from '../tune/index.ts'
import { batchSources } from './bind.ts'
import { decoderOn } from './decoder.ts'
import { SessionError, type Buffer } from './device.ts'
import { refusal, type Engine, type FedBatch, type Loading, type OpenEngine, type Stepped, type Sums } from './engine.ts'
import type { Dims, Session, StepResult } from './session.ts'
import { assignWeights, type Assigned } from './weights.ts'

export interface SessionOptions<P> {
  readonly weights: Lazy<P>
  readonly dims?: Dims
  readonly compiler?: CompilerOptions
}

/**
 * Opens a session of a step on an engine: reads the weights leaf by leaf, chooses columns, makes the first optimizer state.
 * @example await using session = await openSession(step, deviceEngine(referenceDevice()), { weights })
 */
export const openSession = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>, openEngine: OpenEngine, { weights, dims = {}, compiler = {} }: SessionOptions<P>): Promise<Session<Q, M, S, B, L>> => {
  const loading = await openEngine(step, compiler)
  try {
    const assigned = await assignWeights(loading, step.tuned, weights, dims)
    const own = bindDims([...assigned.sources, ...given('dims', dims)])
    return sessionOn(step, loading, await loading.start(own), assigned, dims)
  } catch (error) {
    await loading.dispose()
    throw error
  }
}

/** The key of a program that draws at random: a seed's lower and upper 32 bits, and which micro-batch it is. */
const keyOf = (seed: number, draw: number): Int32Array => Int32Array.of(seed | 0, Math.floor(seed / 2 ** 32) | 0, draw)

/** Saved values by the leaves they are for, checked: all of them, before anything is replaced. */
const savedBuffers = (declared: readonly (readonly [path: string, leaf: Node])[], saved: unknown, what: string, size: (dim: string | number) => number): readonly Buffer[] => {
  const values = new Map(leaves<Buffer>(saved, isValue))
  return declared.map(([path, leaf]) => {
    const value = values.get(path), sizes = leaf.shape.map(size)
    if (value === undefined) throw new SessionError(`the ${what} has no ${path}`)
    if (value.dtype !== leaf.dtype || value.sizes.join() !== sizes.join()) {
      throw new SessionError(`${path} of the ${what} is [${value.sizes.join(', ')}] ${value.dtype}, not [${sizes.join(', ')}] ${leaf.dtype}`)
    }
    if (value.data.length !== count(sizes)) throw new SessionError(`${path} of the ${what} has ${value.data.length} numbers, where its sizes say ${count(sizes)}`)
    return value
  })
}

const valuesOf = (nodes: readonly Node[], buffers: readonly Buffer[]): readonly Value<Shape, DType>[] =>
  // a buffer's data is of its dtype
  buffers.map((buffer, i) => ({ ...buffer, shape: nodes[i]!.shape }) as Value<Shape, DType>)

const checked = <R extends Sums & Partial<Stepped>>(result: R): R => {
  const reason = refusal(result)
  if (reason !== undefined) throw new SessionError(reason)
  return result
}

const sessionOn = <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>, { programs }: Loading, engine: Engine, { sources, columns }: Assigned, dims: Dims): Session<Q, M, S, B, L> => {
  const own = bindDims([...sources, ...given('dims', dims)]), size = sizing(own), parts = programs.trained.map(({ part }) => part)
  let disposed = false
  /** The engine, for as long as there is one. */
  const running = (): Engine => {
    if (disposed) throw new SessionError('the session is disposed')
    return engine
  }
  const random = step.tuned.random
  let draws = 0
  /** A batch with what its program draws from at random, if it does: the seed, and the number of the micro-batch. */
  const fed = (batch: Values<B>, overrides: Dims, draw = draws): FedBatch => {
    const values = new Map(leaves<Buffer>(batch, isValue))
    if (random) values.set(randomKeyPath, { sizes: [3], dtype: 'i32', data: keyOf(random.seed, draw) })
    return { values, sizes: bindDims([...sources, ...batchSources(programs.batch, values), ...given('dims', { ...dims, ...overrides })]) }
  }
  /** A tree of the structure of the focus. */
  const focusTree = (buffers: readonly Buffer[]) => programs.focusTree(valuesOf(parts, buffers)) as Values<Focus<Q, M>>

  const meanTree = (sums: readonly Buffer[], tokens: number) => focusTree(sums.map(sum => ({ ...sum, data: (sum.data as Float32Array).map(x => x / tokens) })))
  /** What is given for the trained parts, checked. */
  const partBuffers = (focus: unknown, what: string): readonly Buffer[] => savedBuffers(programs.trained.map(({ path, part }) => [path, part]), focus, what, size)

  const session: Session<Q, M, S, B, L> = {
    target: engine.name,
    limit: engine.limit,
    columns,
    step: async (batches, overrides = {}): Promise<StepResult> => {
      const { loss, tokens, gradNorm } = checked(await running().step(batches.map(batch => fed(batch, overrides, draws++))))
      return { loss: loss / tokens, gradNorm, tokens }
    },
    steps: async function* (batches) { for await (const batch of batches) yield await session.step(batch) },
    evaluate: async (batch, overrides = {}) => {
      const { loss, tokens } = await running().evaluate(fed(batch, overrides))
      return { sum: loss, count: tokens }
    },
    gradients: async (batch, overrides = {}) => {
      const { sums, tokens } = checked(await running().gradients(fed(batch, overrides)))
      return meanTree(sums, tokens)
    },
    hvp: async (batch, tangent, overrides = {}) => {
      const { products, tokens } = checked(await running().hvp(fed(batch, overrides), partBuffers(tangent, 'tangent')))
      return meanTree(products, tokens)
    },
    logits: async (batch, overrides = {}) => {
      const [value] = valuesOf([programs.declared], [await running().logits(fed(batch, overrides))])
      // the program's result has the shape that the model declares
      return value as unknown as Value<L>
    },
    decoder: options => {
      if (programs.decode === undefined) throw new SessionError('the model does not say how it generates')
      const { next, dispose } = running().decoder()
      return decoderOn({ next: (...of) => { running(); return next(...of) }, dispose }, sizes => bindDims([...sources, ...given('dims', sizes)]), options)
    },
    read: async () => {
      const focus = focusTree(await running().parts()), states = valuesOf(programs.state.map(([, leaf]) => leaf), await running().state())
      return { focus, state: unflatten(step.state, states) as Values<S> }
    },
    write: async ({ focus, state }) =>
      running().write(partBuffers(focus, 'saved focus'), savedBuffers(programs.state, state, 'saved state', size)),
    certificate: batchDims => engine.certificate(bindDims([...sources, ...given('dims', { ...dims, ...batchDims })])),
    bytes: engine.bytes,
    [Symbol.asyncDispose]: async () => {
      if (disposed) return
      disposed = true
      await engine.dispose()
    },
  }
  return session
}
