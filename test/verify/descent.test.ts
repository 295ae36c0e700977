import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { descentStep, type MeasuredStep, type StepRecord } from '../../src/verify/index.ts'
import { descentBound, largestRate, roundingOf, summarize } from '../../src/verify/descent.ts'
import {
  curvatureOf,
  descend,
  gradientDescent,
  quadratics,
  wholeCurvatureOf,
  type Quadratic,
} from '../support/certificates.ts'

const rounding = roundingOf('f64')
const records = (steps: readonly MeasuredStep[]): readonly StepRecord[] =>
  steps.map((step, k) => descentStep(step, k, rounding))
const relative = fc.integer({ min: 1, max: 256 }).map(k => k / 64)
const count = fc.integer({ min: 1, max: 12 })

/** The law: no step of gradient descent, at any rate, falls below the theorem's bound by more than rounding. */
const noneViolates = (steps: readonly MeasuredStep[]): boolean =>
  records(steps).every(({ verdict }) => verdict !== 'violated')
const runs = fc.record({ of: quadratics, relative, count })
const counterexample = (
  law: (run: { readonly of: Quadratic; readonly relative: number; readonly count: number }) => boolean,
): void => {
  assert.ok(fc.check(fc.property(runs, law), { seed: 1 }).failed, 'the mutant was not refuted')
}

test('no step of gradient descent on a quadratic violates the inequality, whatever the rate', () => {
  fc.assert(
    fc.property(runs, ({ of, relative, count }) =>
      noneViolates(gradientDescent(of, relative / curvatureOf(of), count)),
    ),
  )
})
test('a curvature that is too small is refuted', () => {
  counterexample(({ of, relative, count }) =>
    noneViolates(gradientDescent(of, relative / curvatureOf(of), count, curvatureOf(of) * 0.9)),
  )
})
test('losses of two batches in one step are refuted', () => {
  counterexample(({ of, relative, count }) =>
    noneViolates(
      gradientDescent(of, relative / curvatureOf(of), count).map(step => ({
        ...step,
        next: step.next + 0.5 * step.loss,
      })),
    ),
  )
})
test('the gradient of all weights in place of the trained ones is refuted', () => {
  counterexample(({ of, relative, count }) =>
    noneViolates(
      gradientDescent({ ...of, trained: of.trained.map(() => true) }, relative / curvatureOf(of), count).map(
        (step, k) => ({ ...gradientDescent(of, relative / curvatureOf(of), count)[k]!, gradNorm: step.gradNorm }),
      ),
    ),
  )
})
test('no step of any update violates the general form', () => {
  fc.assert(
    fc.property(runs, fc.infiniteStream(fc.integer({ min: -8, max: 8 })), ({ of, count }, noise) =>
      noneViolates(
        descend(
          of,
          g => g.map((x, i) => (of.trained[i] ? (Math.sign(x) * (noise.next().value as number)) / 8 : 0)),
          0.1,
          count,
          curvatureOf(of),
          true,
        ),
      ),
    ),
  )
})
test('the general form of a step of gradient descent is the plain one', () => {
  fc.assert(
    fc.property(runs, ({ of, relative, count }) => {
      const rate = relative / curvatureOf(of)
      for (const step of gradientDescent(of, rate, count)) {
        const general = { ...step, directional: -rate * step.gradNorm ** 2, squared: (rate * step.gradNorm) ** 2 }
        const tolerance = descentStep(step, 0, rounding).tolerance
        assert.ok(Math.abs(descentBound(step) - descentBound(general)) <= tolerance)
      }
    }),
  )
})
test('f = L/2 ‖W‖² meets its bound, to rounding', () => {
  fc.assert(
    fc.property(runs, fc.integer({ min: 1, max: 64 }), ({ of, relative, count }, l) => {
      const equal = { ...of, eigenvalues: of.eigenvalues.map(() => l / 16) }
      for (const { verdict, slack, tolerance } of records(
        gradientDescent(equal, relative / curvatureOf(equal), count),
      )) {
        assert.ok(Math.abs(slack) <= tolerance && (verdict === 'within rounding' || slack === tolerance))
      }
    }),
  )
})
test('at 1.9/L every step descends; at 2.1/L, along the steepest axis, every step ascends, and the inequality holds all the same', () => {
  fc.assert(
    fc.property(quadratics, count, (of, count) => {
      const l = curvatureOf(of)
      const steep = { ...of, trained: of.trained.map((t, i) => t && of.eigenvalues[i] === l) }
      const below = summarize(records(gradientDescent(of, 1.9 / l, count)), 0)
      const above = summarize(records(gradientDescent(steep, 2.1 / l, count)), 0)
      assert.deepEqual([below.descended, below.ascended, below.violations], [count, 0, 0])
      assert.deepEqual([above.descended, above.ascended, above.violations], [0, count, 0])
      assert.ok(below.rateTimesCurvature < 2 && above.rateTimesCurvature > 2)
    }),
  )
})
test('needed is the least curvature: held to it a step has no slack, and no step needs more than L_P ≤ L', () => {
  fc.assert(
    fc.property(runs, ({ of, relative, count }) => {
      for (const step of records(gradientDescent(of, relative / curvatureOf(of), count))) {
        if (step.needed === null || step.gradNorm < 1e-3 || step.loss > 1e6) continue
        const { slack, tolerance } = descentStep({ ...step, curvature: Math.max(step.needed, 0) }, 0, rounding)
        assert.ok(Math.abs(slack) <= 4 * tolerance)
        assert.ok(step.needed <= curvatureOf(of) + (4 * tolerance) / (step.rate * step.gradNorm) ** 2)
        assert.ok(curvatureOf(of) <= wholeCurvatureOf(of))
      }
    }),
  )
})
test('a step without a gradient needs nothing, and its numbers are finite', () => {
  const step = descentStep({ batch: 0, loss: 1, next: 1, gradNorm: 0, rate: 0.1, curvature: 2 }, 0, rounding)
  assert.equal(step.needed, null)
  assert.deepEqual([step.bound, step.slack, step.descended, step.verdict], [1, 0, false, 'within rounding'])
  assert.equal(descentStep({ ...step, gradNorm: 1e-200 }, 0, rounding).needed, null)
  assert.equal(summarize([step], 0).largestNeeded, null)
})
test('verdicts: slack beyond the tolerance holds, below its negative is a violation, between them rounding decides', () => {
  const step = { batch: 0, loss: 1, gradNorm: 1, rate: 0.5, curvature: 1 }
  const bound = descentBound({ ...step, next: 0 })
  const verdict = (next: number): string => descentStep({ ...step, next }, 0, roundingOf('f32')).verdict
  const { tolerance } = descentStep({ ...step, next: bound }, 0, roundingOf('f32'))
  assert.deepEqual(
    [bound - 3 * tolerance, bound - tolerance / 2, bound + tolerance / 2, bound + 3 * tolerance].map(verdict),
    ['holds', 'within rounding', 'within rounding', 'violated'],
  )
})
test('the tolerance covers losses and norms that are each off by the assumed rounding', () => {
  const sign = fc.constantFrom(-1, 1)
  const law = (share: number) =>
    fc.property(runs, fc.tuple(sign, sign, sign), ({ of, relative, count }, [a, b, c]) => {
      const off = { unit: 2 ** -12, multiple: 1 }
      const rate = relative / curvatureOf(of)
      const rounded = (x: number, s: number): number => x * (1 + s * off.unit * share)
      return gradientDescent(of, rate, count).every(
        step =>
          step.loss > 1e12 ||
          descentStep(
            { ...step, loss: rounded(step.loss, a), next: rounded(step.next, b), gradNorm: rounded(step.gradNorm, c) },
            0,
            off,
          ).verdict !== 'violated',
      )
    })
  fc.assert(law(1))
  assert.ok(fc.check(law(4), { seed: 1 }).failed, 'a tolerance that covers four times the rounding says nothing')
})
test('the largest rate is below 2/L and next to it', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), l => {
      const rate = largestRate(l)!
      // compared as integers: no rounding
      const exact = (x: number): readonly [bigint, number] => {
        const bits = new BigInt64Array(Float64Array.of(x).buffer)[0]!
        const exponent = Number((bits >> 52n) & 0x7ffn)
        return exponent === 0
          ? [bits & 0xfffffffffffffn, -1074]
          : [(bits & 0xfffffffffffffn) | 0x10000000000000n, exponent - 1075]
      }
      const below = (x: number): boolean => {
        const [a, p] = exact(x)
        const [b, q] = exact(l)
        const shift = p + q
        return shift >= 1 ? (a * b) << BigInt(shift) < 2n : a * b < 1n << BigInt(1 - shift)
      }
      assert.ok(below(rate))
      assert.ok(!below(rate * (1 + 2 ** -50)))
    }),
  )
  assert.equal(largestRate(0), null)
})
test('the least squared gradient is within the bound of statement 4, for rates that vary too, and the bound is stated only where it applies', () => {
  fc.assert(
    fc.property(quadratics, fc.integer({ min: 1, max: 31 }), count, (of, sixteenths, count) => {
      const rate = sixteenths / 16 / curvatureOf(of)
      const steps = records(gradientDescent(of, rate, count))
      const summary = summarize(steps, 0)
      assert.ok(summary.leastSquaredGradient <= summary.gradientBound! * (1 + 1e-9))
      assert.ok(
        Math.abs(summary.gradientBound! * count * rate * (1 - (rate * curvatureOf(of)) / 2) - steps[0]!.loss) <=
          1e-9 * steps[0]!.loss,
      )
      assert.equal(summarize(steps, null).gradientBound, null)
      assert.equal(summarize(records(gradientDescent(of, 2.1 / curvatureOf(of), count)), 0).gradientBound, null)
      assert.equal(summarize([...steps, { ...steps[0]!, batch: 1 }], 0).gradientBound, null)
      const doubled = gradientDescent(
        { ...of, start: of.start.map((w, i) => (of.trained[i] ? w * (1 - rate * of.eigenvalues[i]!) : w)) },
        rate / 2,
        count,
      )
      const mixed = summarize(records([gradientDescent(of, rate, 1)[0]!, ...doubled]), 0)
      assert.ok(mixed.leastSquaredGradient <= mixed.gradientBound! * (1 + 1e-9))
    }),
  )
})
