import * as E from '../either/index.ts'
import { plannedIn, withinBudget, type Candidate, type CompilerOptions, type Explanation } from '../compile/index.ts'
import { SessionError } from './device.ts'
import type { Planning } from './engine.ts'
import type { Certificate } from './session.ts'

const shown = (bytes: number, round: (n: number) => number): string =>
  bytes < 1e7 ? `${round(bytes / 1e3)} KB` : `${round(bytes / 1e6)} MB`

/** Refuses a budget that is no number of bytes. */
export const checkBudget = (memory: number | undefined): void => {
  if (memory !== undefined && !(Number.isFinite(memory) && memory > 0))
    throw new SessionError(`memory is ${memory}: give a number of bytes above 0`)
}

/**
 * The plan that recomputes least within a budget.
 * @throws {SessionError} if none is, with the bytes of the smallest
 */
export const plannedWithin = <A extends Candidate>(
  planUnder: (recompute: CompilerOptions['recompute']) => A,
  memory: number,
): A => {
  const found = withinBudget(planUnder, memory)
  if (E.isRight(found)) return found.right
  throw new SessionError(
    `memory ${shown(memory, Math.floor)} is below the smallest plan of a step, which holds ${shown(found.left, Math.ceil)}: take a smaller batch or shorter rows`,
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
      `a step on this batch holds ${shown(bytes, Math.ceil)}, above memory ${shown(memory, Math.floor)}: take a smaller batch or more memory`,
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
          return { explanation, limits: explanation.limits, bytes: plannedIn(explanation).total }
        }, memory).explanation
  return asksToRecompute(planning) ? { ...found, instead: plannedIn(explainedUnder('none')) } : found
}
