import { crossing, peakIn, sizing, type CompilerOptions, type Step } from '../../compile/index.ts'
import { asksToRecompute, plannedWithin } from '../budget.ts'
import { planFrom, sizesIn, type Foreseeing, type Foresight } from '../foresee.ts'
import type { Certificate } from '../session.ts'
import { certified, storedBytes } from './certificate.ts'
import { compiledGraph } from './compiled.ts'
import { fitting } from './fits.ts'

type Sizes = Readonly<Record<string, number>>
type Graph = ReturnType<typeof graphOf>

/** The difference between a graph's plan and its run: TensorFlow orders a graph, and allocates, by itself. */
const caveat =
  'the plan is in the order of its operations: TensorFlow may hold more, since it runs some of them at once, and it and Node take memory of their own'

/**
 * Plans a step as the graph target holds it: the graph is made once, for all sizes, and no TensorFlow is needed.
 * @example foreseeGraph(step, { precision: 'bf16' }).at({ batch: 2, seq: 256 }).total
 */
export const foreseeGraph = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { precision, accumulate = 1, compiler, memory }: Foreseeing,
): Foresight => {
  const recompute = compiler?.recompute
  const known = new Map<CompilerOptions['recompute'], Graph>()
  /** The graph under a limit on recomputation, made once. */
  const graphUnder = (under: CompilerOptions['recompute']): Graph => {
    const found =
      known.get(under) ?? graphOf(step, { precision, accumulate, compiler: { ...compiler, recompute: under } })
    known.set(under, found)
    return found
  }
  const planned = (dims: Sizes): Graph =>
    memory === undefined
      ? graphUnder(recompute)
      : plannedWithin(under => {
          const graph = graphUnder(under)
          const { total: bytes, weights, state } = graph.certificate(dims)
          return { graph, limits: graph.limits(), bytes, fixed: weights + state }
        }, memory).graph
  return {
    limit: undefined,
    caveat,
    certificate: dims => graphUnder(memory === undefined ? recompute : Number.POSITIVE_INFINITY).certificate(dims),
    at: dims =>
      planned(dims).at(dims, asksToRecompute({ memory, recompute }) ? graphUnder('none').certificate(dims) : undefined),
  }
}

/** The plans of one graph, for any sizes. */
const graphOf = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { precision, accumulate = 1, compiler }: Foreseeing,
) => {
  const { model } = step.tuned
  const compiled = compiledGraph(step, { precision, xla: true }, compiler)
  const { programs, whole } = compiled
  const { sum, count, buffers, gradients } = whole.gradients()
  const forward = [sum, count, ...buffers]
  const all = [...forward, ...gradients.map(([, node]) => node)]
  const kept = crossing(forward, all)
  const stored = storedBytes(compiled.precision)
  const fits = fitting(compiled)
  const sized = (dims: Sizes) => {
    const size = sizing(sizesIn(model, dims), model.capacities)
    fits('loss', size, JSON.stringify(dims))
    return { size, certificate: certified(compiled, size, { accumulates: accumulate > 1 }) }
  }
  return {
    limits: whole.limits,
    certificate: (dims: Sizes) => sized(dims).certificate,
    at: (dims: Sizes, instead: Certificate | undefined) => {
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
        instead,
      })
    },
  }
}
