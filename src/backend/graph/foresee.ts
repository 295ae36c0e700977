import { crossing, peakIn, sizing, type Step } from '../../compile/index.ts'
import { planFrom, sizesIn, type Foreseeing, type Foresight } from '../foresee.ts'
import { certified, storedBytes } from './certificate.ts'
import { compiledGraph } from './compiled.ts'
import { fitting } from './fits.ts'

/**
 * Plans a step as the graph target holds it: the graph is made once, for all sizes, and no TensorFlow is needed.
 * @example foreseeGraph(step, { precision: 'bf16' }).at({ batch: 2, seq: 256 }).total
 */
export const foreseeGraph = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { precision, accumulate = 1, compiler }: Foreseeing,
): Foresight => {
  const { model } = step.tuned
  const compiled = compiledGraph(step, { precision, xla: true }, compiler)
  const { programs, whole } = compiled
  const { sum, count, buffers, gradients } = whole.gradients()
  const forward = [sum, count, ...buffers]
  const all = [...forward, ...gradients.map(([, node]) => node)]
  const kept = crossing(forward, all)
  const stored = storedBytes(compiled.precision)
  const fits = fitting(compiled)
  const sized = (dims: Readonly<Record<string, number>>) => {
    const size = sizing(sizesIn(model, dims), model.capacities)
    fits('loss', size, '')
    return { size, certificate: certified(compiled, size, { accumulates: accumulate > 1 }) }
  }
  return {
    limit: undefined,
    certificate: dims => sized(dims).certificate,
    at: dims => {
      const { size, certificate } = sized(dims)
      return planFrom({
        programs,
        size,
        certificate,
        program: programs.gradients(size),
        forward,
        all,
        saved: Math.min(
          certificate.transient,
          kept.reduce((sum, n) => sum + stored(n, size), 0),
        ),
        bytes: n => stored(n, size),
        largest: peakIn(all, { size, bytes: stored }).largest,
      })
    },
  }
}
