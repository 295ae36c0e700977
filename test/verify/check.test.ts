import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { certificateChecks, checkerWithout } from '../../src/verify/check.ts'
import { certificateText, checkCertificate, type ConvergenceCertificate } from '../../src/verify/index.ts'
import { digestOf } from '../../src/verify/certificate.ts'
import type { VerifiedRun } from '../../src/verify/certificate-format.ts'
import {
  certified,
  estimatedRun,
  messageOf,
  proves,
  quadratics,
  runOf,
  signRun,
  type Quadratic,
} from '../support/certificates.ts'

const fixed: Quadratic = { eigenvalues: [1, 3, 2], trained: [true, false, true], start: [1, 2, -1] }
const accepted = (text: string): boolean => E.isRight(checkCertificate(text, proves))
const refusal = (text: string): string => messageOf(checkCertificate(text, proves))

type Path = readonly (string | number)[]
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
const parsed = (certificate: ConvergenceCertificate): Json => JSON.parse(certificateText(certificate))
/** Every number, string, flag and null in a certificate. */
const leavesOf = (value: Json, path: Path = []): readonly { readonly path: Path; readonly value: Json }[] =>
  typeof value !== 'object' || value === null
    ? [{ path, value }]
    : Object.entries(value).flatMap(([key, inner]: [string, Json]) =>
        leavesOf(inner, [...path, Array.isArray(value) ? Number(key) : key]),
      )
const put = (value: Json, [key, ...rest]: Path, leaf: Json): Json => {
  if (key === undefined) return leaf
  if (Array.isArray(value)) return value.map((inner: Json, i) => (i === key ? put(inner, rest, leaf) : inner))
  return Object.fromEntries(
    Object.entries(value ?? {}).map(([k, inner]: [string, Json]) => [k, k === key ? put(inner, rest, leaf) : inner]),
  )
}
/** An edit by somebody who does, or does not, compute the digest again. */
const edit = (certificate: ConvergenceCertificate, path: Path, leaf: Json, again: boolean): string => {
  const content = put(parsed(certificate), path, leaf)
  // a certificate is an object
  return JSON.stringify(
    again ? { ...(content as object), digest: digestOf(content as { readonly [key: string]: Json }) } : content,
  )
}
/** Edits of a leaf that keep its type and are far beyond rounding. */
const edits = (leaf: Json): fc.Arbitrary<Json> =>
  typeof leaf === 'number'
    ? fc.constantFrom(leaf * 2 + 1, leaf + 1, leaf / 2 + 1 / 8, leaf === 0 ? 3 : 0, -leaf - 1, leaf * 1.001 + 1e-3)
    : typeof leaf === 'string'
      ? fc.constantFrom(
          `${leaf}x`,
          leaf.slice(1),
          leaf.replace(/\d/, d => String((Number(d) + 1) % 10)),
          'x',
        )
      : typeof leaf === 'boolean'
        ? fc.constant(!leaf)
        : fc.constantFrom<Json>(0, 1, 'x')

/**
 * The fields that are only reported: an edit of one, with a recomputed digest, gives the certificate of another run,
 * which nothing in the file reveals. Neither an estimate's value nor any measured number is among them, as long as the
 * rest stays unchanged.
 */
const told = ({ claims, curvature, optimizer, summary }: ConvergenceCertificate, path: Path): boolean => {
  const at = path.join('.')
  return (
    /^(subject\.(model|method|targets|rank|trained|rows|seq|target|precision|data)|seeds|versions|optimizer\.(schedule|settings))/.test(
      at,
    ) ||
    /^masks\.(all|parts\.\d+)\.(name|trained|curvature)/.test(at) ||
    (curvature.kind === 'estimated' && /^curvature\.(iterations|seed|points|change)/.test(at)) ||
    at.startsWith('assumed.') ||
    (/^optimizer\.(name|lr)$/.test(at) && (curvature.kind === 'estimated' || optimizer.name !== 'sgd')) ||
    (/^steps\.\d+\.batch$/.test(at) && (summary.steps === 1 || (summary.gradientBound === null && claims.length === 0)))
  )
}

const relative = fc.integer({ min: 1, max: 160 }).map(k => k / 64)
const certificates = fc
  .record({
    of: quadratics,
    relative,
    count: fc.integer({ min: 1, max: 6 }),
    kind: fc.constantFrom('proved', 'estimated', 'adam'),
  })
  .map(({ of, relative, count, kind }) =>
    certified(
      kind === 'adam'
        ? signRun(of, count)
        : kind === 'estimated'
          ? estimatedRun(runOf(of, relative, count))
          : runOf(of, relative, count),
    ),
  )
const oneEdit = certificates.chain(certificate =>
  fc.constantFrom(...leavesOf(parsed(certificate))).chain(({ path, value }) =>
    edits(value)
      .filter(leaf => !Object.is(leaf, value))
      .map(leaf => ({ certificate, path, leaf })),
  ),
)

test('every certificate that is made is accepted, however its JSON is laid out', () => {
  fc.assert(
    fc.property(certificates, certificate => {
      assert.equal(refusal(certificateText(certificate)), '')
      assert.ok(accepted(JSON.stringify(certificate)))
    }),
  )
})
test('every edit of a number, a string or a flag is refused, with one sentence, while the digest is not computed again', () => {
  fc.assert(
    fc.property(oneEdit, ({ certificate, path, leaf }) => {
      const sentence = refusal(edit(certificate, path, leaf, false))
      assert.ok(sentence.length > 0, path.join('.'))
      assert.doesNotMatch(sentence, /\n/)
    }),
    { numRuns: 400 },
  )
})
test('every edit is refused with a digest computed again too, except of what is only told', () => {
  fc.assert(
    fc.property(oneEdit, ({ certificate, path, leaf }) => {
      if (told(certificate, path) || path[0] === 'digest') return
      assert.ok(!accepted(edit(certificate, path, leaf, true)), `${path.join('.')} = ${JSON.stringify(leaf)}`)
    }),
    { numRuns: 1500 },
  )
})
test('what is only told cannot be noticed, as the docstring says', () => {
  const certificate = certified(runOf(fixed, 1, 3))
  for (const [path, leaf] of [
    [['subject', 'model'], 'another'],
    [['subject', 'data'], 'ef'.repeat(32)],
    [['seeds', 'data'], 5],
    [['versions', 'partensor'], '9'],
    [['optimizer', 'settings', 'weight_decay'], 1],
    [['masks', 'parts', 0, 'name'], 'lora'],
    [['masks', 'all', 'curvature', 'iterations'], 1],
  ] as const) {
    assert.ok(accepted(edit(certificate, path, leaf, true)), path.join('.'))
    assert.ok(!accepted(edit(certificate, path, leaf, false)), path.join('.'))
  }
})

const proved = certified(runOf(fixed, 0.5, 9))
const guessed = certified(estimatedRun(runOf(fixed, 0.5, 9)))
for (const [what, text, sentence] of [
  [
    'a slack',
    edit(proved, ['steps', 7, 'slack'], 0.01, true),
    new RegExp(
      `^the certificate was edited: step 7's slack is 0\\.01, where its loss, gradient, rate and curvature say ${proved.steps[7]!.slack}$`,
    ),
  ],
  [
    'a verdict',
    edit(proved, ['steps', 0, 'verdict'], 'violated', true),
    /^the certificate was edited: step 0's verdict is "violated", where .* say "holds"$/,
  ],
  [
    'a summary',
    edit(proved, ['summary', 'ascended'], 3, true),
    /^the certificate was edited: its summary's ascended is 3, where its steps say 0$/,
  ],
  [
    'a claim of an estimate',
    JSON.stringify({ ...guessed, claims: proved.claims, digest: digestOf({ ...guessed, claims: proved.claims }) }),
    /^the certificate was edited: entry 0 of its claims is ".*", where its curvature, optimizer and steps allow nothing$/,
  ],
  [
    'a claim that was dropped',
    JSON.stringify({ ...proved, claims: [] }),
    /^the certificate was edited: entry 0 of its claims is nothing, where/,
  ],
  [
    'a digest',
    edit(proved, ['digest'], '0'.repeat(64), false),
    /^the certificate was edited: its digest is 000000000000…, that of its content [0-9a-f]{12}…$/,
  ],
  [
    'a bound',
    edit(certified(runOf(fixed, 0.5, 1)), ['curvature', 'witness', 'radius'], 1, true),
    /^the bound of the curvature is not proved: the witness proves another bound$/,
  ],
  ['a gradient', edit(proved, ['steps', 2, 'gradNorm'], 0.5, true), /^the certificate was edited: step 2's bound is/],
  [
    'a loss, of two steps that then do not meet',
    edit(proved, ['steps', 3, 'next'], 7, true),
    /^the certificate does not fit together: step 3 ends with the loss 7, step 4, of the same batch, begins with/,
  ],
  ['an unknown field', JSON.stringify({ ...proved, note: 'fine' }), /^note is no field of a certificate$/],
  [
    'an unknown field inside',
    edit(proved, ['summary'], { ...(parsed(proved) as { summary: object }) }.summary as Json, false).replace(
      '"violations":0',
      '"violations":0,"x":1',
    ),
    /^summary\.x is no field of a certificate$/,
  ],
  ['a missing field', JSON.stringify({ ...proved, summary: undefined }), /^summary is missing: expected an object$/],
  [
    'a field of another type',
    edit(proved, ['steps', 1, 'loss'], '1', true),
    /^steps\[1\]\.loss is "1": expected a finite number$/,
  ],
  [
    'a number beyond float64',
    certificateText(proved).replace(/"rate": [\d.]+/, '"rate": 1e999'),
    /^steps\[0\]\.rate is Infinity: expected a finite number$/,
  ],
  [
    'another kind of curvature',
    edit(proved, ['curvature', 'kind'], 'believed', true),
    /^curvature\.kind is "believed": expected "proved" or "estimated"$/,
  ],
  ['an estimate called proved', edit(guessed, ['curvature', 'kind'], 'proved', true), /^curvature\.\w+ is /],
  ['a later version', edit(proved, ['version'], 2, true), /^version is 2: expected 1$/],
  [
    'another format',
    '{"format":"other"}',
    /^the file is not a certificate of convergence: its format is not partensor\.convergence$/,
  ],
  ['text', 'hello', /^the certificate: it is not valid JSON$/],
  ['JSON that is no object', '[1]', /^the file is not a certificate of convergence/],
  ['no steps', JSON.stringify({ ...proved, steps: [] }), /^the certificate does not fit together: there are no steps$/],
] as const) {
  test(`an edit is named: ${what}`, () => {
    assert.match(refusal(text), sentence)
  })
}

/** For each check an edit that it alone notices. */
const consistent = (change: Partial<ConvergenceCertificate>, of: ConvergenceCertificate = proved): string =>
  JSON.stringify({ ...of, ...change, digest: digestOf({ ...of, ...change }) })
const noticed: Readonly<Record<keyof typeof certificateChecks, string>> = {
  steps: consistent({ steps: proved.steps.map((step, k) => (k === 4 ? { ...step, slack: 1 } : step)) }),
  summary: consistent({ summary: { ...proved.summary, leastSlack: 1 } }),
  statement: consistent({ statement: 'f falls' }),
  masks: consistent({
    masks: { ...proved.masks!, parts: proved.masks!.parts.map(part => ({ ...part, atMostAll: false })) },
  }),
  claims: consistent({ claims: ['training converges'] }, guessed),
  assumed: consistent({ assumed: ['nothing', ...proved.assumed.slice(1)] }),
  proof: consistent({ curvature: { ...proved.curvature, features: '00'.repeat(32) } as VerifiedRun['curvature'] }),
  digest: JSON.stringify({ ...proved, seeds: { data: 2 } }),
}
for (const name of Object.keys(certificateChecks) as (keyof typeof certificateChecks)[]) {
  test(`a checker without the check of ${name} accepts an edit that the checker refuses`, () => {
    assert.ok(!accepted(noticed[name]))
    assert.ok(E.isRight(checkerWithout(name)(noticed[name], proves)))
  })
}
test('the report says whether a bound was proved, what was checked and what is trusted', () => {
  const of = (certificate: ConvergenceCertificate) => E.toUnion(checkCertificate(certificateText(certificate), proves))
  const report = of(proved)
  const other = of(guessed)
  assert.ok(typeof report === 'object' && report.proved && report.certificate.summary.violations === 0)
  assert.ok(
    report.checked.some(text => /witness/.test(text)) &&
      report.trusted.some(text => /features of this model/.test(text)),
  )
  assert.ok(
    typeof other === 'object' &&
      !other.proved &&
      other.certificate.claims.length === 0 &&
      other.trusted.includes('the estimates of the curvature'),
  )
})
