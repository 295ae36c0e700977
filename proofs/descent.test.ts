import fc from 'fast-check'
import { beyond, bound, descents, step, within, type Descent, type Mistake } from './descent.ts'
import { alongTop, anyLoss, losses } from './losses.ts'
import { prove, type Theorem } from './theorem.ts'

const runs = 400

/** Whether a step obeys f(W⁺) ≤ f(W) − η(1 − ηL/2)‖∇P‖², or what a mutant makes of it. */
interface Claim { readonly mistake?: Mistake; readonly factor?: number; readonly square?: 'partial' | 'full' }
const obeys = (subject: Descent, { mistake, factor = 1, square = 'partial' }: Claim = {}): boolean => {
  const outcome = step(subject, mistake)
  return outcome.after <= bound(outcome, outcome[square], factor * outcome.lipschitz) + outcome.tolerance
}

const inequality: Theorem<Descent> = {
  statement: 'Theorem 1: f(W⁺) ≤ f(W) − η(1 − ηL/2)‖∇P‖² for every loss, every mask and every real η',
  cases: descents(),
  holds: subject => obeys(subject),
  mutants: {
    'L too small on f = L/2‖W‖²': {
      cases: descents(losses.isotropic, within, ['all', 'columns', 'entries']),
      holds: subject => obeys(subject, { factor: 0.99 }),
    },
    'L too small along the top eigenvector of a quadratic': {
      cases: descents(alongTop, within, ['all']),
      holds: subject => obeys(subject, { factor: 0.99 }),
    },
    'L too small for least squares': { cases: descents(losses.leastSquares), holds: subject => obeys(subject, { factor: 0.5 }) },
    'L too small for log-cosh': { cases: descents(losses.logCosh), holds: subject => obeys(subject, { factor: 0.1 }) },
    'L too small for the logistic loss': { cases: descents(losses.logistic), holds: subject => obeys(subject, { factor: 0.1 }) },
    '‖∇f‖² where ‖∇P‖² is due': { cases: descents(anyLoss, within), holds: subject => obeys(subject, { square: 'full' }) },
    'the gradient of the wrong columns': {
      cases: descents(anyLoss, within, ['columns']),
      holds: subject => obeys(subject, { mistake: { gradient: 'shifted' } }),
    },
    'an update of the wrong columns': {
      cases: descents(anyLoss, within, ['columns']),
      holds: subject => obeys(subject, { mistake: { write: 'shifted' } }),
    },
    'the gradient of the wrong entries': {
      cases: descents(anyLoss, within, ['entries']),
      holds: subject => obeys(subject, { mistake: { gradient: 'shifted' } }),
    },
  },
}

/** The loss falls, where the fall that is promised exceeds rounding. */
const falls = (subject: Descent): boolean => {
  const outcome = step(subject), promised = outcome.before - bound(outcome, outcome.partial, outcome.lipschitz)
  return promised <= outcome.tolerance || outcome.after < outcome.before
}

const descent: Theorem<Descent> = {
  statement: 'the loss falls for every 0 < η < 2/L, whatever is masked',
  cases: descents(anyLoss, within),
  holds: falls,
  mutants: {
    'it falls for η > 2/L, along the top eigenvector': {
      cases: descents(alongTop, beyond, ['all']),
      holds: subject => { const { before, after, tolerance } = step(subject); return after < before + tolerance },
    },
    'it falls with the gradient of the wrong columns': {
      cases: descents(anyLoss, within, ['columns']),
      holds: subject => { const { before, after, tolerance } = step(subject, { gradient: 'shifted' }); return after < before + tolerance },
    },
  },
}

const equality = (subject: Descent): boolean => {
  const outcome = step(subject)
  return Math.abs(outcome.after - bound(outcome, outcome.partial, outcome.lipschitz)) <= outcome.tolerance
}
// one loss: a sum of isotropic ones has one L, that of the steepest
const alone = (cases: fc.Arbitrary<Descent>): fc.Arbitrary<Descent> =>
  cases.map(({ losses: l, masks, relative }) => ({ losses: l.slice(0, 1), masks: masks.slice(0, 1), relative }))

const tight: Theorem<Descent> = {
  statement: 'equality is met on f = L/2‖W‖², for every mask and every real η',
  cases: alone(descents(losses.isotropic)),
  holds: equality,
  mutants: {
    'equality on any quadratic': { cases: alone(descents(losses.quadratic)), holds: equality },
    'equality on the logistic loss': { cases: alone(descents(losses.logistic)), holds: equality },
  },
}

const frozen: Theorem<Descent> = {
  statement: 'a step leaves every coordinate outside the mask bit-identical',
  cases: descents(),
  holds: subject => step(subject).frozenKept,
  mutants: {
    'so does a step without the mask': { holds: subject => step(subject, { mask: 'ignored' }).frozenKept },
    'so does an update of the wrong columns': {
      cases: descents(anyLoss, within, ['columns']),
      holds: subject => step(subject, { write: 'shifted' }).frozenKept,
    },
  },
}

for (const theorem of [inequality, descent, tight, frozen]) prove(theorem, runs)
