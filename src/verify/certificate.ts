import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import {
  certificateFormat,
  certificateVersion,
  estimateCaution,
  type ConvergenceCertificate,
  type Curvature,
  type MaskCurvatures,
  type ObservedMask,
  type VerifiedRun,
} from './certificate-format.ts'
import { continuityFault, runFault } from './certificate-rules.ts'
import { descentStep, isPlain, summarize, type MeasuredStep, type StepRecord } from './descent.ts'

/**
 * JSON with sorted keys and no spaces, in the form of RFC 8785: equal data, equal text. Numbers must be finite;
 * undefined fields are left out.
 * @example canonicalJson({ b: 1, a: [true] }) // {"a":[true],"b":1}
 */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const present = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${present.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`
}

/**
 * SHA-256 of the canonical JSON of a certificate without its digest, in hexadecimal.
 * @example digestOf(certificate)
 */
export const digestOf = (content: Readonly<Record<string, unknown>>): string =>
  createHash('sha256')
    .update(canonicalJson({ ...content, digest: undefined }))
    .digest('hex')

/** A certificate as the text of a file. @example certificateText(certificate) */
export const certificateText = (certificate: ConvergenceCertificate): string =>
  `${JSON.stringify(certificate, null, 2)}\n`

const statementOf = (plain: boolean): string =>
  plain
    ? 'f(W⁺) ≤ f(W) − η(1 − ηL/2)‖P∇f(W)‖² for W⁺ = W − ηP∇f(W): both losses are of the same batch, P selects the trained coordinates, ' +
      'and L bounds the curvature inside them on the segment from W to W⁺'
    : 'f(W + u) ≤ f(W) + ⟨P∇f(W), u⟩ + L/2 ‖u‖² for the update u: both losses are of the same batch, P selects the trained coordinates, ' +
      'and L bounds the curvature inside them on the segment from W to W + u'

/** The assumptions of every certificate, followed by those of the curvature and those that the run adds. */
const assumptionsOf = ({ rounding, lowest, curvature, steps }: VerifiedRun): readonly string[] => [
  `each loss and norm was computed with a relative error of at most ${rounding.multiple} × ${rounding.unit}`,
  'the update that was applied is the one that is stated, to the rounding of the stored weights',
  ...(lowest === null ? [] : [`the loss is nowhere below ${lowest}`]),
  ...(curvature.kind === 'proved'
    ? curvature.assumed
    : ['the curvature on every segment is at most the estimate, which nothing here proves']),
  ...(curvature.kind === 'proved' && isPlain(steps[0]!)
    ? ['the batch of the steps is the rows that the curvature was proved for']
    : []),
]

/** The number of assumptions that the certificate makes by itself. */
export const ownAssumptions = (run: VerifiedRun): number => assumptionsOf(run).length

/**
 * The proved statements. A bound holds for the mean loss over all rows and so implies nothing for steps on parts of
 * them. If a measured step contradicts the inequality by more than rounding, some assumption does not hold.
 */
const claimsOf = ({ curvature, optimizer }: VerifiedRun, steps: readonly StepRecord[]): readonly string[] => {
  const proved =
    curvature.kind === 'proved' &&
    optimizer.name === 'sgd' &&
    steps.every(step => isPlain(step) && step.batch === steps[0]?.batch && step.verdict !== 'violated')
  if (!proved) return []
  const { largestRate } = summarize(steps, null)
  return [
    `in exact arithmetic every one of the ${steps.length} steps obeys the inequality, for L = ${curvature.value}`,
    largestRate === null
      ? 'in exact arithmetic the loss is linear in what is trained: every rate above 0 lowers it while P∇f is not 0'
      : `in exact arithmetic every rate above 0 up to ${largestRate} lowers the loss of these rows while P∇f is not 0`,
  ]
}

const measured = ({
  batch,
  loss,
  next,
  gradNorm,
  rate,
  curvature,
  directional,
  squared,
}: MeasuredStep): MeasuredStep => ({
  batch,
  loss,
  next,
  gradNorm,
  rate,
  curvature,
  ...(directional === undefined ? {} : { directional }),
  ...(squared === undefined ? {} : { squared }),
})
const cautioned = <C extends Curvature>(curvature: C): C =>
  curvature.kind === 'estimated' ? { ...curvature, caution: estimateCaution } : curvature
const observed = ({ all, parts }: MaskCurvatures): MaskCurvatures<ObservedMask> => ({
  all: { ...all, curvature: cautioned(all.curvature) },
  parts: parts.map(part => ({
    ...part,
    curvature: cautioned(part.curvature),
    atMostAll: part.curvature.value <= all.curvature.value,
  })),
})

/**
 * The certificate of a run: the steps compared with Theorem 1, their summary, the assumptions and the proved claims.
 * Only plain gradient descent under a proved curvature has claims; for an estimate, or for Adam and the like, the
 * numbers are reported and nothing is claimed. Errors, one sentence: no steps, nothing trained, a rate that is not
 * above 0, a number that is not finite (a run that diverged), a curvature that differs from that of the steps, a step
 * that does not begin with the loss that the one before ended with.
 * @example certificateOf({ subject, seeds, optimizer, curvature, rounding: roundingOf('f32'), lowest: 0, steps, assumed: [], versions })
 */
export const certificateOf = (run: VerifiedRun): E.Either<string, ConvergenceCertificate> => {
  const fault = runFault(run)
  if (fault !== undefined) return E.left(fault)
  const steps = run.steps.map((step, k) => descentStep(measured(step), k, run.rounding))
  const broken = continuityFault(steps)
  if (broken !== undefined) return E.left(broken)
  const content: Omit<ConvergenceCertificate, 'digest'> = {
    format: certificateFormat,
    version: certificateVersion,
    statement: statementOf(isPlain(run.steps[0]!)),
    subject: run.subject,
    seeds: run.seeds,
    optimizer: run.optimizer,
    curvature: cautioned(run.curvature),
    ...(run.masks === undefined ? {} : { masks: observed(run.masks) }),
    rounding: run.rounding,
    lowest: run.lowest,
    summary: summarize(steps, run.lowest),
    assumed: [...assumptionsOf(run), ...run.assumed],
    claims: claimsOf(run, steps),
    versions: run.versions,
    steps,
  }
  const overflow = [...steps, content.summary]
    .flatMap(record => Object.entries(record))
    .find(([, x]) => typeof x === 'number' && !Number.isFinite(x))
  if (overflow !== undefined)
    return E.left(`the run's ${overflow[0]} is ${String(overflow[1])}: its numbers are too large to compare`)
  return E.right({ ...content, digest: digestOf(content) })
}
