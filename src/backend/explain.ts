import { explain, type Explanation, type Step } from '../compile/index.ts'
import type { Shape } from '../tensor/index.ts'
import { precisionProblem, type Precision, type TargetName } from './choice.ts'
import { SessionError } from './device.ts'

/** What a step is explained for. */
export interface ExplainTarget {
  readonly dims: Readonly<Record<string, number>>
  readonly target?: TargetName
  readonly precision?: Precision
}

/**
 * Explains a step before it runs, as a target would hold it: the graph target in its own types and order, all others as
 * wasm does.
 * @throws {SessionError} where a target does not compute in the precision
 * @example await explainOn(step, { target: 'graph', precision: 'bf16', dims: { batch: 2, seq: 256 } })
 */
export const explainOn = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  { dims, target = 'wasm', precision = 'f32' }: ExplainTarget,
): Promise<Explanation> => {
  const problem = precisionProblem(target, precision)
  if (problem !== undefined) throw new SessionError(problem)
  // TensorFlow is loaded only where it is asked for
  if (target === 'graph') return (await import('./graph/explain.ts')).explainGraph(step, { dims, precision })
  return explain(step, { dims })
}
