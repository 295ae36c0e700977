import { bindDims, given, streamNumbers, type CompilerOptions, type Step } from '../compile/index.ts'
import type { Lazy } from '../tune/index.ts'
import { checkBudget } from './budget.ts'
import { firstBuffers, readBuffers } from './buffers.ts'
import type { OpenEngine } from './engine.ts'
import { sessionOn } from './requests.ts'
import type { Dims, SavedSession, Session } from './session.ts'
import { throwIfAborted, type StopSignal } from './turn.ts'
import { assignWeights } from './weights.ts'

/** The first buffers of a model, which one with buffers requires. */
type First<U> = unknown extends U
  ? { readonly buffers?: unknown }
  : [U] extends [undefined]
    ? { readonly buffers?: undefined }
    : { readonly buffers: Lazy<U> }

/** The weights of a session, the buffers of a model that declares any, and how it is compiled. */
export type SessionOptions<P, U = undefined> = OpenOptions<P> & First<U>

/** The options of any session. */
export interface OpenOptions<P> {
  /** Read one by one until the session is open; arrays may be changed after that. */
  readonly weights: Lazy<P>
  readonly buffers?: unknown
  readonly dims?: Dims
  readonly compiler?: CompilerOptions
  /**
   * The most bytes that a step may hold, weights and state included. Backward passes recompute what takes the fewest
   * operations for each byte until the plan fits; a step that no plan fits is refused with the bytes of the smallest.
   */
  readonly memory?: number | undefined
  /**
   * The sizes of a batch, as for `certificate`, and of dims that the weights alone fix: the target `graph`, which plans
   * before it has weights, needs them for `memory`.
   */
  readonly batch?: Dims | undefined
  /** The checkpoint of a session of the same step and weights, from which this one goes on. */
  readonly from?: SavedSession | undefined
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
export const openSession = async <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  openEngine: OpenEngine,
  { weights, buffers, dims = {}, compiler = {}, memory, batch, from, signal }: OpenOptions<P>,
): Promise<Session<P, Q, M, S, B, O, K, U>> => {
  throwIfAborted(signal)
  checkBudget(memory)
  const first = firstBuffers(step.tuned.model.buffers, await readBuffers(buffers))
  const loading = await openEngine(
    step,
    { ...compiler, memory, batch: batch && bindDims(given('batch', batch)) },
    signal,
  )
  try {
    const { streams } = loading.programs
    const additions = [...step.tuned.additions, ...(streams.length > 0 ? [streamNumbers(streams)] : [])]
    const { sources, selection } = await assignWeights(loading, { ...step.tuned, additions }, { weights, dims, signal })
    const assigned = { sources: [...sources, ...first.sources], selection }
    const own = bindDims([...assigned.sources, ...given('dims', dims)])
    const session = sessionOn(step, loading, await loading.start(own), assigned, { dims, first: first.values })
    if (from !== undefined) await session.restore(from)
    return session
  } catch (error) {
    await loading.dispose()
    throw error
  }
}
