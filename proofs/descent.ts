import { div, gradients, interpret, placeholder, scalar, type Node, type Numbers } from '../src/tensor/index.ts'
import { declaredOf, lossOrNothing } from '../src/compile/index.ts'
import {
  adapt,
  all,
  applyUpdates,
  focus,
  lensOf,
  maskedLeaves,
  putFocus,
  sgd,
  tensorsOf,
  unflatten,
} from '../src/tune/index.ts'
import { trainStep } from '../src/train/index.ts'
import { choosing, leavesOf, trainedOf, type Mistake } from './layout.ts'
import type { Datum, Term } from './losses.ts'
import { norm } from './matrices.ts'
import { curvature, modelOf, stacked, type Problem } from './problem.ts'
import type { Moved } from './rounding.ts'

/** The place where a mutant goes wrong: in the coordinates of the gradient, in those that are written, or in both. */
export interface Mistakes {
  readonly gradient?: Mistake
  readonly write?: Mistake
  readonly mask?: 'ignored'
}
type Data = Term['data']

/** The outcome of a step at a point. */
export interface Outcome extends Moved {
  /** ‖∇f‖², of all coordinates. */
  readonly full: number
  /** P∇f, leaf by leaf. */
  readonly partial: readonly Numbers[]
}

const size = (dim: number | string): number => Number(dim)

/**
 * A training step of the library on a problem: its gradients, its masks, its sgd. The returned function evaluates it in
 * float64 at a point, by the ops' own meaning, optionally with other data for the gradient.
 */
export const stepper = (problem: Problem, mistakes: Mistakes = {}) => {
  const made = modelOf(problem)
  const lr = placeholder([], 'f32')
  const tuned = (mistake?: Mistake) => adapt(made, choosing(problem, mistakes.mask ?? mistake))
  const right = tuned()
  const taking = mistakes.gradient ? tuned(mistakes.gradient) : right
  const writing = mistakes.write ? tuned(mistakes.write) : right
  const step = trainStep(right, sgd({ lr: () => lr as never }))
  const loss = lossOrNothing(declaredOf(right))
  const f = div(loss.sum, loss.count)
  const gradient = ({ params, mask }: typeof right): readonly Node[] =>
    gradients(
      [f],
      [scalar(1)],
      maskedLeaves(params, mask).flatMap(({ leaf, mask: m }) => lensOf(m, leaf)?.wanted(leaf) ?? []),
    ).gradients

  const part = focus(right.params, right.mask)
  const correct = gradient(right)
  const taken = taking === right ? correct : gradient(taking)
  const [updates] = step.update(unflatten(part, taken) as typeof part, step.state, part, f)
  // the masks differ in their indices alone, and so do their focuses
  const next = tensorsOf(putFocus(writing.params, writing.mask, applyUpdates(part, updates) as never)).map(
    ([, leaf]) => leaf,
  )
  const whole = gradients(
    [f],
    [scalar(1)],
    made.params.layers.map(({ w }) => lensOf(all, w)!.wanted(w)),
  ).gradients

  const indices = [right, taking, writing].flatMap(({ selections }) =>
    selections.map(({ index, choose }): readonly [Node, Numbers] => [
      index,
      { sizes: [size(index.shape[0]!)], data: Float64Array.from(choose(undefined as never)) },
    ]),
  )
  const counts = tensorsOf(step.state).map(([, leaf]): readonly [Node, Numbers] => [
    leaf,
    { sizes: [], data: Float64Array.of(0) },
  ])
  const fed = (terms: readonly Data[]): readonly (readonly [Node, Datum])[] =>
    terms.flatMap((data, i) =>
      Object.entries(data).map(([name, datum]) => [made.batch.terms[i]![name]!, datum] as const),
    )
  const at = (w: Numbers) => leavesOf(problem, w).map((leaf, i) => [made.params.layers[i]!.w, leaf] as const)
  const own = problem.terms.map(({ data }) => data)

  const value = (w: Numbers, data: readonly Data[] = own): number =>
    interpret([f], new Map<Node, Numbers>([...fed(data), ...at(w)]), size)[0]!.data[0]!
  const run = (w: Numbers, eta: number, data: readonly Data[] = own): Outcome => {
    const feeds = new Map<Node, Numbers>([
      ...fed(data),
      ...at(w),
      ...indices,
      ...counts,
      [lr, { sizes: [], data: Float64Array.of(eta) }],
    ])
    const results = interpret([f, ...next, ...correct, ...whole], feeds, size)
    const after = stacked(results.slice(1, 1 + next.length))
    const partial = results.slice(1 + next.length, 1 + next.length + correct.length)
    return {
      eta,
      before: results[0]!.data[0]!,
      after: value(after),
      at: w,
      next: after,
      gradientNorm: norm(...partial),
      partial,
      full: norm(...results.slice(1 + next.length + correct.length)) ** 2,
    }
  }
  return { run, value }
}

/** The unit of step sizes: L_P, or L/64 if the trained part is hardly curved. */
export const scaleOf = (problem: Problem): number => {
  const { whole, part } = curvature(problem)
  return Math.max(part, whole / 64, 2 ** -10)
}
/** η for a step size in units of 1/L_P. */
export const etaOf = (problem: Problem, relative: number): number => relative / scaleOf(problem)

/** The bound of Theorem 1 after a step: f(W) − η(1 − ηL/2) · square. */
export const bound = ({ before, eta }: Moved, square: number, lipschitz: number): number =>
  before - eta * (1 - (eta * lipschitz) / 2) * square

/** Tests whether all coordinates outside the mask keep their bits. */
export const frozenKept = (problem: Problem, { at, next }: Pick<Moved, 'at' | 'next'>): boolean =>
  trainedOf(problem).every((trains, i) => trains || Object.is(at.data[i], next.data[i]))
