import * as E from '../either/index.ts'

/** A plan under a limit on recomputation: its bytes, and the limits at which there are other plans. */
export interface Candidate {
  readonly bytes: number
  readonly limits: readonly number[]
}

/** The limit under which nothing is recomputed but what saves operations too. */
const nothing = -1

/**
 * The plan with the fewest operations within a budget, by bisection: under a higher limit a plan recomputes more. If
 * none is within the budget, the bytes of the smallest. With a smaller budget the plan is the same or a later one, so
 * that it takes at least as many operations.
 * @example withinBudget(limit => planUnder(limit), 2e9)
 */
export const withinBudget = <A extends Candidate>(
  planUnder: (limit: number) => A,
  budget: number,
): E.Either<number, A> => {
  const all = planUnder(Number.POSITIVE_INFINITY)
  const limits = [nothing, ...all.limits]
  const made = new Map<number, A>([[limits.length - 1, all]])
  const at = (i: number): A => {
    const found = made.get(i) ?? planUnder(limits[i]!)
    made.set(i, found)
    return found
  }
  // a last plan that saves nothing is none
  let high = limits.length - 1
  while (high > 0 && at(high - 1).bytes <= at(high).bytes) high--
  if (at(high).bytes > budget) {
    const others = limits.map((_, i) => at(i))
    const fitting = others.find(({ bytes }) => bytes <= budget)
    return fitting === undefined ? E.left(Math.min(...others.map(({ bytes }) => bytes))) : E.right(fitting)
  }
  let low = 0
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (at(middle).bytes <= budget) high = middle
    else low = middle + 1
  }
  return E.right(at(high))
}
