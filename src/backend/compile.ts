import * as E from '../either/index.ts'
import type { Step } from '../compile/index.ts'
import type { Model } from '../tensor/index.ts'
import { frozen, isTensor, mapTree, type Dynamic } from '../tune/index.ts'
import { chooseTarget, precisionProblem, type Choice } from './choice.ts'
import { SessionError } from './device.ts'
import { openSession, type OpenOptions, type SessionOptions } from './open.ts'
import { precisions, type Precision } from './precision.ts'
import type { Session } from './session.ts'
import type { Target } from './target.ts'
import { registeredTargets, targetNames, type TargetName } from './targets.ts'

export interface TargetOptions {
  readonly target?: TargetName
  /** The number of threads, for a target that has them (default: all cores of the machine). */
  readonly threads?: number
  /**
   * The address of the folder `wasm-out/` of @tensorflow/tfjs-backend-wasm, for wasm in a browser. Elsewhere it is
   * found in the package itself.
   */
  readonly wasmFiles?: string
  /** The type in which frozen weights are held (default: float32). Not every target has others. */
  readonly precision?: Precision
}

/**
 * The target with a name; for `auto`, the one that it chooses here, with the reason.
 * @throws {SessionError} there is no such target or precision, or the target does not compute in it
 * @example const { target } = await targetFor('auto', 'f32')
 */
export const targetFor = async (
  name: TargetName,
  precision: Precision,
): Promise<{ readonly target: Target; readonly reason?: string }> => {
  const named = registeredTargets.find(target => target.name === name)
  if (named === undefined && !targetNames.includes(name))
    throw new SessionError(`there is no target ${String(name)}: there are ${targetNames.join(', ')}`)
  if (!precisions.includes(precision))
    throw new SessionError(`there is no precision ${String(precision)}: there are ${precisions.join(', ')}`)
  if (named === undefined) return chosen(precision)
  const problem = precisionProblem(named, registeredTargets, precision)
  if (problem !== undefined) throw new SessionError(problem)
  return { target: named }
}

/** The choice of `auto` on this machine. */
const chosen = async (precision: Precision): Promise<Choice<Target>> => {
  const choice = await chooseTarget(registeredTargets, precision)
  if (E.isLeft(choice)) throw new SessionError(choice.left)
  return choice.right
}

/** A step that trains nothing, for a session that predicts and evaluates. */
const untrained = <P, B, O, K extends string, U>(
  model: Model<P, B, O, K, U>,
): Step<P, P, Dynamic, readonly [], B, O, K, U> => ({
  tuned: {
    method: 'none',
    model,
    params: model.params,
    // the mask of a tree that is not known to the type checker
    mask: mapTree(model.params, isTensor, () => frozen) as Dynamic,
    weight: params => params,
    selections: [],
    additions: [],
  },
  state: [],
  update: (gradient, state) => [gradient, state],
})

/**
 * Compiles a training step, or a model that only predicts, for a target and opens a session on it: uploads the weights,
 * selects the columns, initializes the optimizer's state. A runtime is imported when its target opens, so unused ones
 * need not be installed.
 * @throws {SessionError} one clear sentence: a missing leaf, dims that disagree, too little memory, an unknown target,
 * a precision that the target lacks
 * @example await using run = await compile(step, { target: 'auto', dims: { batch: 2, seq: 256 }, weights })
 */
export function compile<P, B, O, K extends string, U>(
  model: Model<P, B, O, K, U>,
  given: TargetOptions & SessionOptions<P, NoInfer<U>>,
): Promise<Session<P, P, Dynamic, readonly [], B, O, K, U>>
export function compile<P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  given: TargetOptions & SessionOptions<P, NoInfer<U>>,
): Promise<Session<P, Q, M, S, B, O, K, U>>
export function compile<P, Q, M, S, B, O, K extends string, U>(
  of: Step<P, Q, M, S, B, O, K, U> | Model<P, B, O, K, U>,
  given: TargetOptions & OpenOptions<P>,
): Promise<Session<P, Q, M, S, B, O, K, U> | Session<P, P, Dynamic, readonly [], B, O, K, U>> {
  return 'tuned' in of ? opened(of, given) : opened(untrained(of), given)
}

const opened = async <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  given: TargetOptions & OpenOptions<P>,
): Promise<Session<P, Q, M, S, B, O, K, U>> => {
  // JavaScript may leave it out
  if (typeof given !== 'object' || given === null)
    throw new SessionError('compile takes the weights beside the step: write compile(step, { weights })')
  const { target: name = 'auto', threads, wasmFiles: files, precision = 'f32', ...options } = given
  const { target, reason } = await targetFor(name, precision)
  const session = await openSession(step, await target.open({ precision, threads, files }), options)
  return reason === undefined ? session : { ...session, reason }
}
