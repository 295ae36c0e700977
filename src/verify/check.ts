import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { checkProved } from './bound/index.ts'
import type { ConvergenceCertificate, Proved, VerifiedRun } from './certificate-format.ts'
import { certificateOf, digestOf, ownAssumptions } from './certificate.ts'
import { parseCertificate } from './check-shape.ts'

/** Checks a certificate of convergence without the run. */

/** Proves a bound again from its witness alone. */
export type ProofChecker = (proved: Proved) => E.Either<string, unknown>

/** The result of checking a certificate that is consistent. */
export interface CertificateReport {
  readonly certificate: ConvergenceCertificate
  /** True if the bound of the curvature was proved again. */
  readonly proved: boolean
  /** The parts that were recomputed from the measurements and found equal. */
  readonly checked: readonly string[]
  /** The statements that nothing in the file can confirm. */
  readonly trusted: readonly string[]
}

/** The first place where two pieces of JSON differ. */
interface Difference {
  readonly path: readonly string[]
  readonly found: unknown
  readonly due: unknown
}
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
const differenceOf = (found: unknown, due: unknown, path: readonly string[]): Difference | undefined => {
  if (!isObject(found) || !isObject(due)) return found === due ? undefined : { path, found, due }
  for (const key of new Set([...Object.keys(found), ...Object.keys(due)])) {
    const inner = differenceOf(found[key], due[key], [...path, key])
    if (inner !== undefined) return inner
  }
  return undefined
}

const show = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? `"${value}"` : JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
const edited = (sentence: string): string => `the certificate was edited: ${sentence}`

/** The derived parts of a certificate, and the words for their sources. */
const sources = {
  steps: 'its loss, gradient, rate and curvature say',
  summary: 'its steps say',
  statement: 'its optimizer says',
  masks: 'its estimates say',
  claims: 'its curvature, optimizer and steps allow',
  assumed: 'its rounding, curvature and steps say',
} as const
type Derived = keyof typeof sources

const placeOf = ([section = '', ...inner]: readonly string[]): string => {
  if (section === 'steps') return `step ${inner[0]}'s ${inner.slice(1).join('.')}`
  if (inner.length === 0) return `its ${section}`
  return section === 'claims' || section === 'assumed'
    ? `entry ${inner[0]} of its ${section}`
    : `its ${section}'s ${inner.join('.')}`
}

/** Recomputes the certificate that follows from the measurements in this one. */
const remade = (certificate: ConvergenceCertificate): E.Either<string, ConvergenceCertificate> => {
  const { subject, seeds, optimizer, curvature, masks, rounding, lowest, steps, assumed, versions } = certificate
  const run: VerifiedRun = {
    subject,
    seeds,
    optimizer,
    curvature,
    ...(masks === undefined ? {} : { masks }),
    rounding,
    lowest,
    steps,
    assumed: [],
    versions,
  }
  // a file without steps has another fault, which is reported elsewhere
  const own = steps.length === 0 ? 0 : ownAssumptions(run)
  return certificateOf({ ...run, assumed: assumed.slice(own) })
}

type Check = (
  certificate: ConvergenceCertificate,
  due: ConvergenceCertificate,
  prove: ProofChecker,
) => string | undefined
const derived =
  (section: Derived): Check =>
  (certificate, due) => {
    const difference = differenceOf(certificate[section], due[section], [section])
    return difference === undefined
      ? undefined
      : edited(
          `${placeOf(difference.path)} is ${show(difference.found)}, where ${sources[section]} ${show(difference.due)}`,
        )
  }

/**
 * The checks in addition to the shape and the rules of every run, in this order: derived numbers first, because their
 * messages are the most specific. The tests leave out one check after the other, and show that an edit then passes.
 */
export const certificateChecks: Readonly<Record<Derived | 'proof' | 'digest', Check>> = {
  steps: derived('steps'),
  summary: derived('summary'),
  statement: derived('statement'),
  masks: derived('masks'),
  claims: derived('claims'),
  assumed: derived('assumed'),
  proof: ({ curvature }, _, prove) => {
    const again = curvature.kind === 'proved' ? prove(curvature) : E.right(undefined)
    return E.isLeft(again) ? `the bound of the curvature is not proved: ${again.left}` : undefined
  },
  digest: certificate => {
    const digest = digestOf({ ...certificate })
    return digest === certificate.digest
      ? undefined
      : edited(`its digest is ${certificate.digest.slice(0, 12)}…, that of its content ${digest.slice(0, 12)}…`)
  },
}

const reportOf = (certificate: ConvergenceCertificate): CertificateReport => {
  const proved = certificate.curvature.kind === 'proved'
  return {
    certificate,
    proved,
    checked: [
      'every bound, slack, tolerance, verdict and needed curvature',
      'the summary, the assumptions and the claims',
      'that the steps follow one another',
      'the digest',
      ...(proved ? ['the bound of the curvature, from its witness'] : []),
    ],
    trusted: [
      'that the losses, norms and rates are what the run measured',
      'the model, the data, the seeds and the versions',
      proved ? 'that the witness is made of the features of this model and data' : 'the estimates of the curvature',
    ],
  }
}

/** A checker without some of the checks: the tests use it to show that each is needed. */
export const checkerWithout =
  (...left: readonly (keyof typeof certificateChecks)[]) =>
  (text: string, prove: ProofChecker = checkProved): E.Either<string, CertificateReport> =>
    pipe(
      E.Do,
      E.bind('certificate', () => parseCertificate(text)),
      E.bind('due', ({ certificate }) =>
        E.mapLeft(fault => `the certificate does not fit together: ${fault}`)(remade(certificate)),
      ),
      E.flatMap(({ certificate, due }) => {
        for (const [name, check] of Object.entries(certificateChecks)) {
          const fault = left.some(other => other === name) ? undefined : check(certificate, due, prove)
          if (fault !== undefined) return E.left(fault)
        }
        return E.right(reportOf(certificate))
      }),
    )

/**
 * Checks a certificate without the run that made it: its shape; every bound, slack, tolerance, verdict, summary,
 * assumption and claim, recomputed bit for bit from the measurements; that a step begins with the loss that the one
 * before ended with, if both use one batch; that only gradient descent under a proved curvature has claims; the proof
 * of that bound, from its witness; and the digest. Every edit that leaves the digest unchanged is refused.
 *
 * It cannot detect a certificate that was written afresh. The digest has no key: changing the measurements (losses,
 * norms, an estimate together with the steps that are compared with it), deriving the rest as `certificateOf` does and
 * computing the digest yields a certificate of another run, which only the run itself can refute. The same holds, with
 * just a new digest, for statements that are only reported: model, data, method, rows, seeds, versions, schedule and
 * settings of the optimizer, iterations, points and change of an estimate, names and sizes of masks, the name of a
 * proved head, assumptions that the run added, and the batch of a step if nothing follows from it.
 *
 * Errors: one sentence that names the inconsistency.
 * @example const report = checkCertificate(await readFile('certificate.json', 'utf8'))
 */
export const checkCertificate: (text: string, prove?: ProofChecker) => E.Either<string, CertificateReport> =
  checkerWithout()
