import * as E from '../either/index.ts'
import { explain, type Explanation, type Step } from '../compile/index.ts'
import { pieces, SessionError } from './device.ts'
import { explainedWithin } from './budget.ts'
import type { OpenEngine, Planning } from './engine.ts'
import type { Foreseeing, Foresight } from './foresee.ts'
import type { Precision } from './precision.ts'

/** Options of a target when it opens. */
export interface Opening {
  readonly precision: Precision
  /** The number of threads, for a target that has them (default: all cores of the machine). */
  readonly threads: number | undefined
  /** The address of a target's files, for one that a browser loads. */
  readonly files?: string | undefined
}

/** Options of an explanation. */
export interface Explaining {
  readonly dims: Readonly<Record<string, number>>
  readonly precision: Precision
  /** The values that a backward pass recomputes, and the most bytes that the step may hold. */
  readonly planning?: Pick<Planning, 'recompute' | 'memory'>
  /** Adds the course of the memory and the expressions of a layer. */
  readonly detailed?: boolean
}

/**
 * A target: everything that the rest of the program knows about it. `targets.ts` registers it. Its file imports no
 * runtime and no Node module at its top; `open` and the other functions load what they need.
 */
export interface Target<Name extends string = string> {
  readonly name: Name
  /** The precisions in which the target computes. */
  readonly precisions: readonly Precision[]
  /** The part that a user installs, in words, if it needs one. */
  readonly needs?: string
  /** True if `threads` counts for it. */
  readonly threaded?: true
  /** `auto` takes the available target with the highest priority, and never one without. */
  readonly priority?: number
  /** Right: the reason why `auto` takes it. Left: the reason why it does not run on this machine. */
  readonly available: () => Promise<E.Either<string, string>>
  /** Opens its engine. Rejects with one sentence if it does not run here. */
  readonly open: (opening: Opening) => Promise<OpenEngine>
  /** Explains a step as this target holds it. */
  readonly explain: <P, Q, M, S, B, O, K extends string>(
    step: Step<P, Q, M, S, B, O, K>,
    explaining: Explaining,
  ) => Promise<Explanation>
  /** Plans a step as this target holds it, for any sizes of batches; nothing is computed. */
  readonly foresee: <P, Q, M, S, B, O, K extends string, U>(
    step: Step<P, Q, M, S, B, O, K, U>,
    foreseeing: Foreseeing,
  ) => Promise<Foresight>
  /** Further abilities of its runtime on this machine, by name. */
  readonly abilities?: () => Promise<Readonly<Record<string, boolean>>>
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * Loads modules of packages that a user may not have installed.
 * @throws {SessionError} `this target needs @tensorflow/tfjs-core: …`
 * @example const { nodeDevice } = await needing('@tensorflow/tfjs-core', () => import('./device.ts'))
 */
export const needing = async <T>(packages: string, load: () => Promise<T>): Promise<T> => {
  try {
    return await load()
  } catch (error) {
    if (error instanceof SessionError) throw error
    throw new SessionError(`this target needs ${packages}: ${reasonOf(error)}`, { cause: error })
  }
}

/**
 * The answer of `available` for a target that runs if its modules load.
 * @example available: () => loads(() => import('./device.ts'), 'it needs nothing that is built')
 */
export const loads = async (load: () => Promise<unknown>, reason: string): Promise<E.Either<string, string>> =>
  asked(async () => {
    await load()
    return E.right(reason)
  })

/** Turns a rejection into a left with the reason. */
export const asked = async (ask: () => Promise<E.Either<string, string>>): Promise<E.Either<string, string>> => {
  try {
    return await ask()
  } catch (error) {
    return E.left(reasonOf(error))
  }
}

/** The explanation of a target that runs plans. */
export const explainPlans: Target['explain'] = async (step, { dims, planning = {}, detailed = false }) =>
  explainedWithin(planning, recompute => explain(step, { dims, recompute, chunk: pieces, detailed }))
