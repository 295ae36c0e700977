import { sizing, type CompilerOptions, type Size, type Step } from '../../compile/index.ts'
import { plannedWithin } from '../budget.ts'
import { SessionError } from '../device.ts'
import type { Planning } from '../engine.ts'
import { certified } from './certificate.ts'
import { compiledGraph, type Compiled, type GraphOptions } from './compiled.ts'
import { fitting } from './fits.ts'

/**
 * Compiles a step into a graph that recomputes as little as a budget allows, if there is one. A graph is written once,
 * for all sizes, so the budget is met for those that are given.
 * @throws {SessionError} if no graph is within the budget, or if there are no sizes
 * @example compiledWithin(step, { precision: 'bf16', xla: true }, { memory: 7e8, batch: { batch: 2, seq: 256 } })
 */
export const compiledWithin = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  options: GraphOptions,
  { memory, batch, ...compiler }: Planning,
): Compiled => {
  const compiledUnder = (recompute: CompilerOptions['recompute']): Compiled =>
    compiledGraph(step, options, { ...compiler, recompute })
  if (memory === undefined) return compiledUnder(compiler.recompute)
  if (batch === undefined)
    throw new SessionError(
      'a graph is planned for the sizes of a batch: give compile({ memory, batch: { batch: 2, seq: 256 } })',
    )
  const { model } = step.tuned
  const size: Size = sizing({ ...model.dims, ...batch }, model.capacities)
  return plannedWithin(recompute => {
    const compiled = compiledUnder(recompute)
    fitting(compiled)('loss', size, '')
    const { total: bytes, weights, state } = certified(compiled, size)
    return { compiled, limits: compiled.whole.limits(), bytes, fixed: weights + state }
  }, memory).compiled
}
