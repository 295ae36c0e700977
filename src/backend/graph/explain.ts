import {
  bindDims,
  equationsFor,
  explainPrograms,
  given,
  sizing,
  type CompilerOptions,
  type Explanation,
  type Step,
} from '../../compile/index.ts'
import { explainedWithin } from '../budget.ts'
import type { Explaining } from '../target.ts'
import { openNative } from '../native/load.ts'
import { certified, storedBytes } from './certificate.ts'
import { compiledGraph } from './compiled.ts'
import { fitting } from './fits.ts'

/**
 * Explains a step as the graph target runs it, without weights: the kept values in the types in which they are stored,
 * and the memory that the step holds; if there is a TensorFlow, also the memory that it and Node hold before.
 * @example explanationText(await explainGraph(step, { dims: { batch: 2, seq: 256 }, precision: 'bf16' }))
 */
export const explainGraph = async <P, Q, M, S, B, O, K extends string>(
  step: Step<P, Q, M, S, B, O, K>,
  { dims, precision, planning = {}, detailed = false }: Explaining,
): Promise<Explanation> => {
  const native = await openNative()
  const before = native._tag === 'Right' ? { before: process.memoryUsage.rss() } : {}
  const { model } = step.tuned
  const size = sizing(bindDims([...given('the model', model.dims ?? {}), ...given('dims', dims)]), model.capacities)
  const explained = (recompute: CompilerOptions['recompute']): Explanation => {
    const compiled = compiledGraph(step, { precision, xla: true }, { recompute })
    fitting(compiled)('loss', size, '')
    const { weights, state, transient: peak } = certified(compiled, size)
    const bytes = storedBytes(compiled.precision)
    return {
      ...explainPrograms(compiled.programs, size, { bytes: n => bytes(n, size), weights, state, peak }),
      limits: compiled.whole.limits(),
    }
  }
  return {
    ...explainedWithin(planning, explained),
    ...before,
    ...(detailed ? equationsFor(step, size) : {}),
  }
}
