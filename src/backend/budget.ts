import * as E from '../either/index.ts'
import { plannedIn, withinBudget, type Candidate, type CompilerOptions, type Explanation } from '../compile/index.ts'
import { bytesText } from '../text/index.ts'
import { SessionError } from './device.ts'
import type { Planning } from './engine.ts'
import type { Certificate } from './session.ts'

/** Refuses a budget that is no number of bytes. */
export const checkBudget = (memory: number | undefined): void => {
  if (memory !== undefined && !(Number.isFinite(memory) && memory > 0))
    throw new SessionError(`memory is ${memory}: give a number of bytes above 0`)
}

/** A plan with the bytes of weights and state, which no recomputation makes fewer. */
interface Fixed extends Candidate {
  readonly fixed: number
}

/**
 * The plan that recomputes least within a budget.
 * @throws {SessionError} if none is, with the bytes of the smallest, or of weights and state if those are too many
 */
export const plannedWithin = <A extends Fixed>(
  planUnder: (recompute: CompilerOptions['recompute']) => A,
  memory: number,
): A => {
  const found = withinBudget(limit => {
    const planned = planUnder(limit)
    if (planned.fixed > memory)
      throw new SessionError(
        `memory ${bytesText(memory, 'down')} is below the weights with the optimizer's state, which take ${bytesText(planned.fixed, 'up')}`,
      )
    return planned
  }, memory)
  if (E.isRight(found)) return found.right
  throw new SessionError(
    `memory ${bytesText(memory, 'down')} is below the smallest plan of a step, which holds ${bytesText(found.left, 'up')}: take a smaller batch or shorter rows`,
  )
}

/** Tests for a session that was asked to recompute, or to stay within a budget. */
export const asksToRecompute = ({ memory, recompute }: Planning): boolean =>
  memory !== undefined || (recompute !== undefined && recompute !== 'none')

/** A certificate with what the plan would come to that recomputes nothing. */
export const comparedWith = (certificate: Certificate, { total, flops }: Certificate): Certificate => ({
  ...certificate,
  instead: { total, flops },
})

/**
 * Refuses a step that holds more than the budget, because its plan was made for other sizes.
 * @throws {SessionError} with the bytes that it holds
 */
export const checkWithin = (bytes: number, memory = Number.POSITIVE_INFINITY): void => {
  if (bytes > memory)
    throw new SessionError(
      `a step on this batch holds ${bytesText(bytes, 'up')}, above memory ${bytesText(memory, 'down')}: take a smaller batch or more memory`,
    )
}

/**
 * The explanation of the plan that a session would run, beside the one that recomputes nothing if it was asked to
 * recompute or to fit a budget.
 */
export const explainedWithin = (
  planning: Pick<Planning, 'recompute' | 'memory'>,
  explainedUnder: (recompute: CompilerOptions['recompute']) => Explanation,
): Explanation => {
  const { memory, recompute } = planning
  const found =
    memory === undefined
      ? explainedUnder(recompute)
      : plannedWithin(under => {
          const explanation = explainedUnder(under)
          const { limits, weights, state } = explanation
          return { explanation, limits, bytes: plannedIn(explanation).total, fixed: weights + state }
        }, memory).explanation
  return asksToRecompute(planning) ? { ...found, instead: plannedIn(explainedUnder('none')) } : found
}
