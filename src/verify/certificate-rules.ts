import type { Curvature, VerifiedRun } from './certificate-format.ts'
import { isPlain, type MeasuredStep, type StepRecord } from './descent.ts'

/**
 * The conditions that a run must fulfil to be certified. Each rule returns the sentence for the condition that fails.
 */

type Fault = string | undefined
const firstOf = <A>(items: readonly A[], fault: (item: A, index: number) => Fault): Fault => {
  for (const [index, item] of items.entries()) {
    const found = fault(item, index)
    if (found !== undefined) return found
  }
  return undefined
}

/** The path of a number that JSON cannot express, if there is one. */
const notFinite = (value: unknown, at: string): Fault => {
  if (typeof value === 'number')
    return Number.isFinite(value) ? undefined : `${at} is ${value}: expected a finite number`
  if (typeof value !== 'object' || value === null) return undefined
  return firstOf(Object.entries(value), ([key, inner]) => notFinite(inner, at === '' ? key : `${at}.${key}`))
}

/** The inequality of Cauchy and Schwarz, as far as rounding allows it to be tested. */
const isInnerProduct = ({ directional = 0, squared = 0, gradNorm }: MeasuredStep, relative: number): boolean =>
  Math.abs(directional) <= gradNorm * Math.sqrt(squared) * (1 + 4 * relative)

const stepFault =
  ({ optimizer, rounding, steps }: VerifiedRun) =>
  (step: MeasuredStep, k: number): Fault => {
    const at = `step ${k}`
    const plain = isPlain(step)
    if (!plain && (step.directional === undefined || step.squared === undefined))
      return `${at} has only one of directional and squared`
    if (plain !== isPlain(steps[0]!))
      return `${at} is ${plain ? '' : 'not '}one of plain gradient descent, step 0 is${plain ? ' not' : ''}`
    if (plain && optimizer.name !== 'sgd')
      return `${at} has neither directional nor squared, which a step of ${optimizer.name} needs`
    if (plain ? !(step.rate > 0) : !(step.rate >= 0)) return `${at} has the rate ${step.rate}: expected a rate above 0`
    if (optimizer.schedule === 'constant' && step.rate !== optimizer.lr)
      return `${at} has the rate ${step.rate}, the optimizer ${optimizer.lr}`
    if (!(step.gradNorm >= 0)) return `${at} has a gradient of norm ${step.gradNorm}`
    if (!((step.squared ?? 0) >= 0)) return `${at} has an update of squared norm ${step.squared}`
    if (!(step.curvature >= 0)) return `${at} has the curvature ${step.curvature}`
    if (!isInnerProduct(step, rounding.multiple * rounding.unit)) {
      return `${at} has the directional derivative ${step.directional}, more than the norms of its gradient and update allow`
    }
    return undefined
  }

/** Checks that the curvature of the run is the one that its steps were compared with. */
const curvatureFault = (curvature: Curvature, steps: readonly MeasuredStep[]): Fault => {
  if (!(curvature.value >= 0)) return `the curvature is ${curvature.value}`
  const largest = steps.reduce((most, step) => Math.max(most, step.curvature), 0)
  return curvature.kind === 'proved'
    ? firstOf(steps, (step, k) =>
        step.curvature === curvature.value
          ? undefined
          : `step ${k} is held to the curvature ${step.curvature}, where ${curvature.value} is proved`,
      )
    : largest === curvature.value
      ? undefined
      : `the estimated curvature is ${curvature.value}, where the largest of its steps is ${largest}`
}

/** The reason why a run cannot be certified, if there is one. */
export const runFault = (run: VerifiedRun): Fault => {
  const { steps, curvature, masks, rounding, subject, lowest } = run
  return (
    notFinite(run, '') ??
    (steps.length === 0 ? 'there are no steps' : undefined) ??
    (subject.trained > 0 ? undefined : 'the mask selects nothing: no parameter is trained') ??
    (/^[0-9a-f]{64}$/.test(subject.data)
      ? undefined
      : `the SHA-256 of the data is ${JSON.stringify(subject.data)}: expected 64 hexadecimal digits`) ??
    (rounding.unit >= 0 && rounding.multiple >= 0 && rounding.unit * rounding.multiple < 1
      ? undefined
      : `a relative rounding of ${rounding.multiple} × ${rounding.unit} is none below 1`) ??
    firstOf(steps, stepFault(run)) ??
    (lowest === null
      ? undefined
      : firstOf(steps, ({ loss, next }, k) =>
          Math.min(loss, next) >= lowest
            ? undefined
            : `step ${k} has the loss ${Math.min(loss, next)}, below ${lowest}, which no loss is said to be`,
        )) ??
    curvatureFault(curvature, steps) ??
    (masks === undefined
      ? undefined
      : firstOf(masks.parts, ({ name, trained }) =>
          trained <= masks.all.trained
            ? undefined
            : `the mask ${name} trains ${trained} parameters, more than the ${masks.all.trained} of ${masks.all.name}`,
        ))
  )
}

/**
 * Checks that a step begins with the loss that the step before ended with, up to rounding, if both use the same batch.
 */
export const continuityFault = (steps: readonly StepRecord[]): Fault =>
  firstOf(steps, (step, k) => {
    const next = steps[k + 1]
    return next === undefined ||
      next.batch !== step.batch ||
      Math.abs(next.loss - step.next) <= step.tolerance + next.tolerance
      ? undefined
      : `step ${k} ends with the loss ${step.next}, step ${k + 1}, of the same batch, begins with ${next.loss}`
  })
