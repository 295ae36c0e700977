import * as E from 'fp-ts/lib/Either.js'
import type { Shape } from '../tensor/index.ts'
import type { Step } from '../compile/index.ts'
import { chooseTarget, precisionProblem, type Choice } from './choice.ts'
import { SessionError } from './device.ts'
import { openSession, type SessionOptions } from './open.ts'
import { precisions, type Precision } from './precision.ts'
import type { Session } from './session.ts'
import type { Target } from './target.ts'
import { registeredTargets, targetNames, type TargetName } from './targets.ts'

export interface TargetOptions {
  readonly target?: TargetName
  /** The number of threads, for a target that has them (default: all cores of the machine). */
  readonly threads?: number
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

/**
 * Compiles a step for a target and opens a session on it: uploads the weights, selects the columns, initializes the
 * optimizer's state. A runtime is imported when its target opens, so unused ones need not be installed.
 * @throws {SessionError} one clear sentence: a missing leaf, dims that disagree, too little memory, an unknown target,
 * a precision that the target lacks
 * @example await using run = await compile(step, { target: 'auto', dims: { batch: 2, seq: 256 }, weights })
 */
export const compile = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  given: TargetOptions & SessionOptions<P>,
): Promise<Session<Q, M, S, B, L>> => {
  // JavaScript may leave it out
  if (typeof given !== 'object' || given === null)
    throw new SessionError('compile takes the weights beside the step: write compile(step, { weights })')
  const { target: name = 'auto', threads, precision = 'f32', ...options } = given
  const { target, reason } = await targetFor(name, precision)
  const session = await openSession(step, await target.open({ precision, threads }), options)
  return reason === undefined ? session : { ...session, reason }
}
