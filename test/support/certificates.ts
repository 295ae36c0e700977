import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import type { ConvergenceCertificate, Estimated, MeasuredStep, Proved } from '../../src/verify/index.ts'
import { certificateOf } from '../../src/verify/certificate.ts'
import { estimateCaution, type VerifiedRun } from '../../src/verify/certificate-format.ts'
import { roundingOf } from '../../src/verify/descent.ts'

/** Runs of gradient descent on f = ½ Σ λᵢ wᵢ² in float64, about which everything is known. */
export interface Quadratic {
  readonly eigenvalues: readonly number[]
  readonly trained: readonly boolean[]
  readonly start: readonly number[]
}

const sixteenth = (min: number, max: number) => fc.integer({ min, max }).map(k => k / 16)
export const quadratics: fc.Arbitrary<Quadratic> = fc.integer({ min: 1, max: 5 }).chain(n =>
  fc.record({
    eigenvalues: fc.array(sixteenth(1, 64), { minLength: n, maxLength: n }),
    trained: fc
      .array(fc.boolean(), { minLength: n, maxLength: n })
      .map(mask => (mask.includes(true) ? mask : mask.map(() => true))),
    start: fc.array(fc.oneof(sixteenth(-64, -1), sixteenth(1, 64)), { minLength: n, maxLength: n }),
  }),
)

/** L_P and L. */
export const curvatureOf = ({ eigenvalues, trained }: Quadratic): number =>
  Math.max(...eigenvalues.filter((_, i) => trained[i]))
export const wholeCurvatureOf = ({ eigenvalues }: Quadratic): number => Math.max(...eigenvalues)

const lossAt = ({ eigenvalues }: Quadratic, w: readonly number[]): number =>
  eigenvalues.reduce((sum, l, i) => sum + (l / 2) * (w[i]! * w[i]!), 0)
export type Update = (gradient: readonly number[], k: number) => readonly number[]
/** The steps of an update rule; `measured` is true if ⟨P∇f, u⟩ and ‖u‖² are recorded. */
export const descend = (
  of: Quadratic,
  update: Update,
  rate: number,
  count: number,
  curvature: number,
  measured: boolean,
): readonly MeasuredStep[] => {
  const steps: MeasuredStep[] = []
  let w = of.start
  for (let k = 0; k < count; k++) {
    const gradient = of.eigenvalues.map((l, i) => (of.trained[i] ? l * w[i]! : 0))
    const u = update(gradient, k)
    const after = w.map((x, i) => x + u[i]!)
    steps.push({
      batch: 0,
      loss: lossAt(of, w),
      next: lossAt(of, after),
      gradNorm: Math.hypot(...gradient),
      rate,
      curvature,
      ...(measured
        ? {
            directional: gradient.reduce((sum, g, i) => sum + g * u[i]!, 0),
            squared: u.reduce((sum, x) => sum + x * x, 0),
          }
        : {}),
    })
    w = after
  }
  return steps
}
export const gradientDescent = (
  of: Quadratic,
  rate: number,
  count: number,
  curvature = curvatureOf(of),
): readonly MeasuredStep[] => descend(of, gradient => gradient.map(g => -rate * g), rate, count, curvature, false)

/** A proof that the checker of `proves` accepts: its witness is the bound itself. */
export const proved = (value: number): Proved => ({
  kind: 'proved',
  value,
  head: 'linear',
  curvature: 2,
  count: 4,
  witness: { size: 1, gram: Buffer.from(String(value)).toString('base64'), radius: 0 },
  assumed: ['the features are what was computed of the frozen part'],
  features: 'ab'.repeat(32),
})
export const proves = (proof: Proved): E.Either<string, void> => {
  const same =
    proof.witness.gram === Buffer.from(String(proof.value)).toString('base64') &&
    proof.curvature === 2 &&
    proof.count === 4 &&
    proof.witness.size === 1 &&
    proof.witness.radius === 0 &&
    proof.head === 'linear' &&
    proof.features === 'ab'.repeat(32)
  return same ? E.right(undefined) : E.left('the witness proves another bound')
}
export const estimated = (value: number): Estimated => ({
  kind: 'estimated',
  value,
  iterations: 20,
  seed: 7,
  points: 21,
  change: 1e-4,
  caution: estimateCaution,
})

/** A run of gradient descent at a rate of relative/L_P under a proved curvature. */
export const runOf = (of: Quadratic, relative: number, count: number): VerifiedRun => {
  const value = curvatureOf(of)
  const rate = relative / value
  return {
    subject: {
      model: 'llama-tiny',
      data: 'cd'.repeat(32),
      method: 'paca',
      targets: ['lm_head'],
      rank: 8,
      trained: of.trained.filter(Boolean).length,
      rows: 4,
      seq: 16,
      target: 'wasm',
      precision: 'f64',
    },
    seeds: { columns: 0, data: 1 },
    optimizer: { name: 'sgd', lr: rate, schedule: 'constant', settings: { weight_decay: 0 } },
    curvature: proved(value),
    rounding: roundingOf('f64'),
    lowest: 0,
    steps: gradientDescent(of, rate, count),
    masks: {
      all: { name: 'all weights', trained: of.eigenvalues.length, curvature: estimated(wholeCurvatureOf(of)) },
      parts: [{ name: 'paca', trained: of.trained.filter(Boolean).length, curvature: estimated(value) }],
    },
    assumed: ['nothing else ran on the machine'],
    versions: { partensor: '0.1.0' },
  }
}
/** The same run with a curvature that was only estimated. */
export const estimatedRun = (run: VerifiedRun): VerifiedRun => ({ ...run, curvature: estimated(run.curvature.value) })
/** A run whose updates are the signs of the gradient, as Adam's first ones are. */
export const signRun = (of: Quadratic, count: number): VerifiedRun => {
  const run = runOf(of, 1, count)
  const rate = 1 / 64
  return {
    ...run,
    optimizer: { name: 'adamw', lr: rate, schedule: 'constant', settings: { b1: 0.9 } },
    steps: descend(of, gradient => gradient.map(g => -rate * Math.sign(g)), rate, count, run.curvature.value, true),
  }
}

export const certified = (run: VerifiedRun): ConvergenceCertificate =>
  E.getOrElse((message: string): ConvergenceCertificate => {
    throw new Error(message)
  })(certificateOf(run))
export const messageOf = (result: E.Either<string, unknown>): string => (E.isLeft(result) ? result.left : '')
