import type { CompilerOptions, Explanation, Step } from '../compile/index.ts'
import { checkBudget } from './budget.ts'
import { targetFor } from './compile.ts'
import type { Precision } from './precision.ts'
import type { TargetName } from './targets.ts'

/** The target and the sizes that a step is explained for. */
export interface ExplainTarget {
  readonly dims: Readonly<Record<string, number>>
  readonly target?: TargetName
  readonly precision?: Precision
  /** The values that a backward pass recomputes; see `CompilerOptions`. */
  readonly recompute?: CompilerOptions['recompute']
  /** The most bytes that the step may hold, as for `compile`. */
  readonly memory?: number | undefined
  /** Adds the course of the memory, for targets that run plans, and the expressions of a layer. */
  readonly detailed?: boolean
}

/**
 * Explains a step before it runs, as a target holds it.
 * @throws {SessionError} if the target does not compute in the precision, or no plan fits `memory`
 * @example await explainOn(step, { target: 'graph', precision: 'bf16', dims: { batch: 2, seq: 256 } })
 */
export const explainOn = async <P, Q, M, S, B, O, K extends string>(
  step: Step<P, Q, M, S, B, O, K>,
  { dims, target: name = 'wasm', precision = 'f32', recompute, memory, detailed = false }: ExplainTarget,
): Promise<Explanation> => {
  checkBudget(memory)
  const { target } = await targetFor(name, precision)
  return target.explain(step, { dims, precision, detailed, planning: { recompute, memory } })
}
