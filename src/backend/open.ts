import { bindDims, given, randomKeyPath, sizing, type CompilerOptions, type Step } from '../compile/index.ts'
import type { DType, Node, Shape, Value } from '../tensor/index.ts'
import { unflatten, type Focus, type Lazy, type Values } from '../tune/index.ts'
import { batchSources } from './bind.ts'
import { checkingOf } from './data.ts'
import { decoderOn } from './decoder.ts'
import { SessionError, type Buffer } from './device.ts'
import { dimsChecker } from './dim-names.ts'
import {
  refusal,
  type Engine,
  type EngineDecoder,
  type FedBatch,
  type Loading,
  type OpenEngine,
  type Stepped,
  type Sums,
} from './engine.ts'
import { queueOf } from './queue.ts'
import type { Dims, Session, StepResult } from './session.ts'
import { throwIfAborted, type StopSignal } from './turn.ts'
import { batchValues, copied, valueFor, valuesFor } from './values.ts'
import { assignWeights, type Assigned } from './weights.ts'

export interface SessionOptions<P> {
  /** Read one by one until the session is open; arrays may be changed after that. */
  readonly weights: Lazy<P>
  readonly dims?: Dims
  readonly compiler?: CompilerOptions
  /**
   * Ends the opening of a session, and the making of programs: pending requests are rejected with the signal's reason,
   * and nothing is updated.
   */
  readonly signal?: StopSignal | undefined
}

/**
 * Opens a session of a step on an engine: reads the weights leaf by leaf, selects columns, initializes the optimizer's
 * state.
 * @example await using session = await openSession(step, deviceEngine(referenceDevice()), { weights })
 */
export const openSession = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  openEngine: OpenEngine,
  { weights, dims = {}, compiler = {}, signal }: SessionOptions<P>,
): Promise<Session<Q, M, S, B, L>> => {
  throwIfAborted(signal)
  const loading = await openEngine(step, compiler, signal)
  try {
    const assigned = await assignWeights(loading, step.tuned, { weights, dims, signal })
    const own = bindDims([...assigned.sources, ...given('dims', dims)])
    return sessionOn(step, loading, await loading.start(own), assigned, dims)
  } catch (error) {
    await loading.dispose()
    throw error
  }
}

/**
 * The key of a program that draws random numbers: a seed's lower and upper 32 bits, and the number of the micro-batch.
 */
const keyOf = (seed: number, draw: number): Int32Array => Int32Array.of(seed | 0, Math.floor(seed / 2 ** 32) | 0, draw)

const valuesOf = (nodes: readonly Node[], buffers: readonly Buffer[]): readonly Value<Shape, DType>[] =>
  // a buffer's data has the type of its dtype
  buffers.map((buffer, i) => ({ ...buffer, shape: nodes[i]!.shape }) as Value<Shape, DType>)

const checked = <R extends Sums & Partial<Stepped>>(result: R): R => {
  const reason = refusal(result)
  if (reason !== undefined) throw new SessionError(reason)
  return result
}

const sessionOn = <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  { programs }: Loading,
  engine: Engine,
  { sources, selection }: Assigned,
  dims: Dims,
): Session<Q, M, S, B, L> => {
  const own = bindDims([...sources, ...given('dims', dims)])
  const size = sizing(own)
  const parts = programs.trained.map(({ part }) => part)
  const {
    tuned: { random, model },
  } = step
  const queue = queueOf()
  const decoders = new Set<EngineDecoder>()
  let ending: Promise<void> | undefined
  let draws = 0
  let version = 0
  const checkOpen = (): void => {
    if (ending) throw new SessionError('the session is disposed')
  }
  /**
   * Sends a request to the engine when its turn comes. The arguments are checked and copied at the time of the call.
   */
  const asked = async <G, A>(take: () => G, ask: (taken: G) => Promise<A>): Promise<A> => {
    checkOpen()
    const taken = take()
    return queue.run(() => ask(taken))
  }
  const { dims: fixed = {}, capacities = {}, decode } = model
  const checkDims = dimsChecker(programs, [
    ...Object.keys(fixed),
    ...Object.keys(capacities),
    ...Object.values(capacities).flat().map(String),
    ...(decode ? ['capacity'] : []),
  ])
  checkDims(dims)
  const checkLoss = checkingOf(programs.declaredLoss, programs.batch)
  const checkLogits = checkingOf([programs.declared], programs.batch)
  /**
   * A batch with the source of its program's random numbers, if it has one: the seed, and the number of the
   * micro-batch.
   */
  const fed = (batch: Values<B>, overrides: Dims, draw = draws, check = checkLoss): FedBatch => {
    const key: Buffer | undefined = random && { sizes: [3], dtype: 'i32', data: keyOf(random.seed, draw) }
    const values = new Map([...batchValues(model.batch, batch), ...(key ? [[randomKeyPath, key] as const] : [])])
    checkDims(overrides)
    const sizes = bindDims([
      ...sources,
      ...batchSources(programs.batch, values),
      ...given('dims', { ...dims, ...overrides }),
    ])
    check(values, sizing(sizes, model.capacities))
    return { values, sizes }
  }
  /** A tree with the structure of the focus. */
  const focusTree = (buffers: readonly Buffer[]) => programs.focusTree(valuesOf(parts, buffers)) as Values<Focus<Q, M>>
  const meanTree = (sums: readonly Buffer[], tokens: number) =>
    focusTree(sums.map(sum => ({ ...sum, data: (sum.data as Float32Array).map(x => x / tokens) })))
  /** The data for leaves whose sizes the session knows. */
  const saved = (what: string, declared: unknown, data: unknown): readonly Buffer[] =>
    valuesFor(what, declared, data, place => valueFor({ ...place, expected: place.leaf.shape.map(size) }))
  const partBuffers = (what: string, focus: unknown): readonly Buffer[] => saved(what, programs.focusTree(parts), focus)

  const session: Session<Q, M, S, B, L> = {
    target: engine.name,
    limit: engine.limit,
    selection,
    step: (batches, overrides = {}) =>
      asked(
        () => {
          if (!Array.isArray(batches))
            throw new SessionError('a step takes a list of micro-batches: write step([batch])')
          if (batches.length === 0) throw new SessionError('a step takes at least one micro-batch')
          const all = batches.map((batch, i) => fed(batch, overrides, draws + i))
          draws += all.length
          return all
        },
        async (all): Promise<StepResult> => {
          const { loss, tokens, gradNorm } = checked(await engine.step(all))
          version += 1
          return { loss: loss / tokens, gradNorm, tokens }
        },
      ),
    steps: async function* (batches) {
      const given: unknown = batches
      if (typeof given !== 'object' || given === null || !(Symbol.iterator in given || Symbol.asyncIterator in given)) {
        throw new SessionError('steps takes what yields lists of micro-batches, one list for each step')
      }
      for await (const batch of batches) yield await session.step(batch)
    },
    evaluate: (batch, overrides = {}) =>
      asked(
        () => fed(batch, overrides),
        async one => {
          const { loss, tokens } = await engine.evaluate(one)
          return { sum: loss, count: tokens }
        },
      ),
    gradients: (batch, overrides = {}) =>
      asked(
        () => fed(batch, overrides),
        async one => {
          const { sums, tokens } = checked(await engine.gradients(one))
          return meanTree(sums, tokens)
        },
      ),
    hvp: (batch, tangent, overrides = {}) =>
      asked(
        () => [fed(batch, overrides), partBuffers('tangent', tangent).map(copied)] as const,
        async ([one, along]) => {
          const { products, tokens } = checked(await engine.hvp(one, along))
          return meanTree(products, tokens)
        },
      ),
    logits: (batch, overrides = {}) =>
      asked(
        () => fed(batch, overrides, draws, checkLogits),
        async one => {
          const [value] = valuesOf([programs.declared], [await engine.logits(one)])
          // the program's result has the shape that the model declares
          return value as unknown as Value<L>
        },
      ),
    decoder: options => {
      checkOpen()
      if ((options as unknown) === undefined) throw new SessionError('a decoder takes { batch, capacity }')
      if (programs.decode === undefined) throw new SessionError('the model does not say how it generates')
      const own = engine.decoder()
      const bound = (sizes: Dims) => bindDims([...sources, ...given('dims', sizes)])
      decoders.add(own)
      return decoderOn(
        {
          queue,
          checkOpen,
          engine: {
            ...own,
            dispose: () => {
              decoders.delete(own)
              own.dispose()
            },
          },
          bound,
          version: () => version,
        },
        options,
      )
    },
    read: () =>
      asked(
        () => undefined,
        async () => {
          const focus = focusTree(await engine.parts())
          const states = valuesOf(
            programs.state.map(([, leaf]) => leaf),
            await engine.state(),
          )
          return { focus, state: unflatten(step.state, states) as Values<S> }
        },
      ),
    write: written =>
      asked(
        () => {
          const { focus, state } = (written ?? {}) as Partial<typeof written>
          const both = [partBuffers('saved focus', focus), saved('saved state', step.state, state)] as const
          // if the engine is idle, it has read them when this returns; copying all weights would mean a second model
          return queue.idle() ? both : (both.map(values => values.map(copied)) as unknown as typeof both)
        },
        async both => {
          version += 1
          await engine.write(...both)
        },
      ),
    certificate: batchDims => {
      checkOpen()
      checkDims(batchDims)
      return engine.certificate(bindDims([...sources, ...given('dims', { ...dims, ...batchDims })]))
    },
    bytes: engine.bytes,
    [Symbol.asyncDispose]: () =>
      (ending ??= queue.run(async () => {
        for (const decoder of decoders) decoder.dispose()
        await engine.dispose()
      })),
  }
  return session
}
