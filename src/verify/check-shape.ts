import * as E from 'fp-ts/lib/Either.js'
import { isIoError, parsedJson } from '../text/index.ts'
import {
  certificateFormat,
  certificateVersion,
  estimateCaution,
  type ConvergenceCertificate,
  type Curvature,
  type Estimated,
  type MaskCurvature,
  type ObservedMask,
  type OptimizerRecord,
  type Proved,
  type Subject,
} from './certificate-format.ts'
import type { DescentSummary, Arithmetic, Rounding, StepRecord, Verdict } from './descent.ts'

/**
 * Decodes unknown JSON as a certificate: every field is present with its type, and no other. An error is one sentence
 * that names the field.
 */

/** Decodes a value, or describes the error at that place. */
export type Decoder<A> = (value: unknown, at: string) => E.Either<string, A>
type Decoded<D> = D extends Decoder<infer A> ? A : never

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const show = (value: unknown): string => {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'missing')
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
const wrong = (value: unknown, at: string, due: string): E.Either<string, never> =>
  E.left(`${at} is ${show(value)}: expected ${due}`)
const where =
  <A>(due: string, holds: (value: unknown) => value is A): Decoder<A> =>
  (value, at) =>
    holds(value) ? E.right(value) : wrong(value, at, due)

const text = where('a string', value => typeof value === 'string')
const flag = where('true or false', value => typeof value === 'boolean')
const number = where('a finite number', (value): value is number => typeof value === 'number' && Number.isFinite(value))
const whole = where(
  'an integer from 0 on',
  (value): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0,
)
const hash = where(
  '64 hexadecimal digits',
  (value): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
)
const oneOf = <const A extends string | number>(...allowed: readonly A[]): Decoder<A> =>
  where(allowed.map(show).join(' or '), (value): value is A => allowed.some(x => x === value))
const nullable =
  <A>(decoder: Decoder<A>): Decoder<A | null> =>
  (value, at) =>
    value === null ? E.right(null) : decoder(value, at)

/** Decodes entries one by one, up to the first error. */
const each = <A>(
  entries: readonly (readonly [string, unknown])[],
  decoder: (key: string) => Decoder<A>,
  at: (key: string) => string,
): E.Either<string, readonly (readonly [string, A])[]> => {
  const read: (readonly [string, A])[] = []
  for (const [key, value] of entries) {
    const one = decoder(key)(value, at(key))
    if (E.isLeft(one)) return one
    read.push([key, one.right])
  }
  return E.right(read)
}
const list =
  <A>(decoder: Decoder<A>): Decoder<readonly A[]> =>
  (value, at) =>
    Array.isArray(value)
      ? E.map((read: readonly (readonly [string, A])[]) => read.map(([, x]) => x))(
          each(
            Object.entries(value),
            () => decoder,
            key => `${at}[${key}]`,
          ),
        )
      : wrong(value, at, 'a list')
const record =
  <A>(decoder: Decoder<A>): Decoder<Readonly<Record<string, A>>> =>
  (value, at) =>
    isRecord(value)
      ? E.map((read: readonly (readonly [string, A])[]): Readonly<Record<string, A>> => Object.fromEntries(read))(
          each(
            Object.entries(value),
            () => decoder,
            key => `${at}.${key}`,
          ),
        )
      : wrong(value, at, 'an object')

type Decoders = Readonly<Record<string, Decoder<unknown>>>
type Fields<D extends Decoders, O extends Decoders> = { readonly [K in keyof D]: Decoded<D[K]> } & {
  readonly [K in keyof O]?: Decoded<O[K]>
}
/** An object with exactly these fields; the optional ones may be absent. */
const fields =
  <D extends Decoders, O extends Decoders = Record<never, never>>(due: D, optional?: O): Decoder<Fields<D, O>> =>
  (value, at) => {
    if (!isRecord(value)) return wrong(value, at, 'an object')
    const inside = (key: string): string => (at === certificate ? key : `${at}.${key}`)
    const given = Object.keys(optional ?? {}).filter(key => key in value)
    const known = [...Object.keys(due), ...given]
    const extra = Object.keys(value).find(key => !known.includes(key))
    if (extra !== undefined) return E.left(`${inside(extra)} is no field of a certificate`)
    const decoders: Decoders = { ...optional, ...due }
    // the fields were decoded by the decoders that have their names in the type
    return E.map((read: readonly (readonly [string, unknown])[]) => Object.fromEntries(read) as Fields<D, O>)(
      each(
        known.map(key => [key, Object.hasOwn(value, key) ? value[key] : undefined] as const),
        key => decoders[key]!,
        inside,
      ),
    )
  }
const certificate = 'the certificate'

const proved: Decoder<Proved> = fields({
  kind: oneOf('proved'),
  value: number,
  head: text,
  curvature: number,
  count: number,
  witness: fields({ size: whole, gram: text, radius: number }),
  assumed: list(text),
  features: text,
})
const estimated: Decoder<Estimated> = fields({
  kind: oneOf('estimated'),
  value: number,
  iterations: whole,
  seed: whole,
  points: whole,
  change: number,
  caution: oneOf(estimateCaution),
})
const curvature: Decoder<Curvature> = (value, at) =>
  !isRecord(value)
    ? wrong(value, at, 'an object')
    : value['kind'] === 'proved'
      ? proved(value, at)
      : value['kind'] === 'estimated'
        ? estimated(value, at)
        : wrong(value['kind'], `${at}.kind`, '"proved" or "estimated"')

const subject: Decoder<Subject> = fields({
  model: text,
  data: hash,
  method: text,
  targets: list(text),
  rank: nullable(whole),
  trained: whole,
  rows: whole,
  seq: nullable(whole),
  target: text,
  precision: oneOf<Arithmetic>('f64', 'f32', 'bf16'),
})
const setting: Decoder<string | number | boolean | null> = where(
  'a string, a number, true, false or null',
  (value): value is string | number | boolean | null =>
    value === null || ['string', 'number', 'boolean'].includes(typeof value),
)
const optimizer: Decoder<OptimizerRecord> = fields({
  name: text,
  lr: number,
  schedule: text,
  settings: record(setting),
})
const rounding: Decoder<Rounding> = fields({ unit: number, multiple: number })

const mask = { name: text, trained: whole, curvature: estimated }
const all: Decoder<MaskCurvature> = fields(mask)
const part: Decoder<ObservedMask> = fields({ ...mask, atMostAll: flag })

const step: Decoder<StepRecord> = fields(
  {
    step: whole,
    batch: whole,
    loss: number,
    next: number,
    gradNorm: number,
    rate: number,
    curvature: number,
    bound: number,
    slack: number,
    tolerance: number,
    verdict: oneOf<Verdict>('holds', 'within rounding', 'violated'),
    descended: flag,
    needed: nullable(number),
  },
  { directional: number, squared: number },
)
const summary: Decoder<DescentSummary> = fields({
  steps: whole,
  descended: whole,
  ascended: whole,
  violations: whole,
  withinRounding: whole,
  leastSlack: number,
  largestNeeded: nullable(number),
  curvature: number,
  largestRate: nullable(number),
  rateTimesCurvature: number,
  leastSquaredGradient: number,
  gradientBound: nullable(number),
})

/** The decoder of a certificate's shape. */
const certificateShape: Decoder<ConvergenceCertificate> = fields(
  {
    format: oneOf(certificateFormat),
    version: oneOf(certificateVersion),
    statement: text,
    subject,
    seeds: record(number),
    optimizer,
    curvature,
    rounding,
    lowest: nullable(number),
    steps: list(step),
    summary,
    assumed: list(text),
    claims: list(text),
    versions: record(text),
    digest: hash,
  },
  { masks: fields({ all, parts: list(part) }) },
)

/** Parses a text as a certificate. */
export const parseCertificate = (source: string): E.Either<string, ConvergenceCertificate> => {
  const json = E.tryCatch(
    (): unknown => parsedJson('the certificate', source),
    error => (isIoError(error) ? error.message : String(error)),
  )
  if (E.isLeft(json)) return json
  if (!isRecord(json.right) || json.right['format'] !== certificateFormat) {
    return E.left(`the file is not a certificate of convergence: its format is not ${certificateFormat}`)
  }
  return certificateShape(json.right, certificate)
}
