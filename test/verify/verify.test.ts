import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  abs,
  adamw,
  adapt,
  chain,
  clipByGlobalNorm,
  compile,
  dora,
  f32,
  full,
  lora,
  matmul,
  model,
  paca,
  sgd,
  size,
  squaredError,
  sub,
  sum,
  trainStep,
  uniform,
  type Method,
  type Opaque,
  type TargetName,
  type Tensor,
} from '../../src/index.ts'
import {
  certificateText,
  checkCertificate,
  verify,
  type ConvergenceCertificate,
  type VerifyOptions,
  VerifyError,
  type VerifyEvent,
} from '../../src/verify.ts'
import { noNode } from '../support/native-library.ts'
import { openTiny, targets, tinyBatch } from '../support/tiny-llama.ts'

const names: readonly string[] = targets
const about = { model: 'llama-tiny', targets: names, rank: 4, seq: 24 }
const some = paca({ targets: names, rank: 4, seed: 0 })
const head = paca({ targets: ['lm_head'] as readonly string[], rank: 4, seed: 0 })
type Options = Partial<
  Omit<VerifyOptions<never, never, never, never, never>, 'tuned' | 'weights' | 'batches' | 'beside'>
>

/** Verifies the tiny LLaMA on its batch. */
const verified = async (adapter: Method<Opaque>, options: Options = {}, beside?: Method<Opaque>, batches = 1) => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  const events: VerifyEvent[] = []
  const certificate = await verify({
    tuned: adapt(loaded.model, adapter),
    weights: loaded.weights,
    batches: Array.from({ length: batches }, () => batch),
    steps: 4,
    target: 'wasm',
    threads: 1,
    about,
    lowest: 0,
    ...(beside ? { beside: { name: 'more', tuned: adapt(loaded.model, beside) } } : {}),
    onEvent: event => {
      events.push(event)
    },
    ...options,
  }).finally(() => loaded.checkpoint.close())
  return { certificate, events }
}
const refused = (run: Promise<unknown>, sentence: RegExp | string): Promise<void> =>
  assert.rejects(
    run,
    (error: Error) =>
      error instanceof VerifyError &&
      (typeof sentence === 'string' ? error.message === sentence : sentence.test(error.message)),
  )
const holds = (certificate: ConvergenceCertificate): void => {
  const report = checkCertificate(certificateText(certificate))
  assert.ok(E.isRight(report), E.isLeft(report) ? report.left : '')
}
const missing = (target: TargetName): string | false => (target === 'graph' && noNode !== undefined ? noNode : false)

for (const target of ['reference', 'wasm', 'graph'] as const) {
  test(
    `along gradient descent L is estimated inside the mask, at most that of more weights, and every step holds, on ${target}`,
    { skip: missing(target) },
    async () => {
      const { certificate, events } = await verified(some, { target }, full({ targets: names }))
      const { curvature, masks, summary, claims, steps } = certificate
      assert.equal(curvature.kind, 'estimated')
      assert.deepEqual(claims, [], 'an estimate claims nothing')
      assert.deepEqual([summary.steps, summary.descended, summary.violations, summary.withinRounding], [4, 4, 0, 0])
      assert.ok(summary.leastSlack > 0)
      assert.ok(masks!.parts[0]!.atMostAll && masks!.parts[0]!.trained < masks!.all.trained)
      // at the first weights and after every step
      assert.deepEqual(
        events.flatMap(event => (event.event === 'estimate' && event.of === 'paca' ? [event.at] : [])),
        [0, 1, 2, 3, 4],
      )
      assert.equal(
        certificate.optimizer.lr,
        0.5 / masks!.parts[0]!.curvature.value,
        'the rate is half of 1/L at the first weights',
      )
      steps.forEach((step, k) =>
        assert.ok(
          k === 0 || Math.abs(step.loss - steps[k - 1]!.next) < 1e-5,
          'a step begins where the one before it ended',
        ),
      )
      holds(certificate)
    },
  )
}

test('targets agree on the curvature and on every step', { skip: missing('graph') }, async () => {
  const [reference, ...others] = await Promise.all(
    (['reference', 'wasm', 'graph'] as const).map(
      async target => (await verified(some, { target, lr: 0.1, steps: 3 })).certificate,
    ),
  )
  for (const other of others) {
    assert.ok(
      Math.abs(other.curvature.value / reference!.curvature.value - 1) < 1e-2,
      `${other.curvature.value} and ${reference!.curvature.value}`,
    )
    other.steps.forEach((step, k) => assert.ok(Math.abs(step.next - reference!.steps[k]!.next) < 1e-4))
  }
})

test('over a head of frozen features L is proved, and so are the inequality and a rate', async () => {
  const { certificate, events } = await verified(head, { proof: 'require', steps: 6 })
  assert.equal(certificate.curvature.kind, 'proved')
  assert.ok(!events.some(({ event }) => event === 'estimate'), 'what is proved is not estimated')
  assert.equal(certificate.optimizer.lr, 1 / certificate.curvature.value)
  assert.ok(
    certificate.claims.length === 2 && certificate.summary.descended === 6 && certificate.summary.violations === 0,
  )
  assert.ok(certificate.summary.leastSquaredGradient <= certificate.summary.gradientBound!, 'statement 4')
  holds(certificate)
  const { value } = certificate.curvature
  const estimate = (await verified(head, { proof: 'never', steps: 1, lr: 1e-3 })).certificate.curvature
  assert.ok(
    estimate.kind === 'estimated' && estimate.value <= value,
    `estimated from below: ${estimate.value}, proved from above: ${value}`,
  )
})

test('at 1.9/L of a proved L every step descends; far above 2/L of the curvature that there is, some ascend, and the certificate says so', async () => {
  const { value } = (await verified(head, { proof: 'require', steps: 1 })).certificate.curvature
  const below = (await verified(head, { steps: 8, lr: 1.9 / value })).certificate.summary
  assert.deepEqual([below.descended, below.ascended, below.violations], [8, 0, 0])
  const above = (await verified(some, { steps: 6, lr: 20, iterations: 8 })).certificate
  assert.ok(above.summary.ascended > 0 && above.summary.rateTimesCurvature > 2, JSON.stringify(above.summary))
  assert.equal(above.summary.gradientBound, null, 'above 2/L nothing is promised')
  holds(above)
})

/** Losses of x w and y, with data for them. */
const rows = 12
const features = 5
type Outputs = Tensor<readonly ['batch', 'out']>
const linear = (loss: (predictions: Outputs, targets: Outputs) => Outputs) =>
  model({
    params: { w: f32('in', 'out') },
    batch: { x: f32('batch', 'in'), y: f32('batch', 'out') },
    forward: (p, b) => matmul(b.x, p.w),
    loss: (logits, b) => ({ sum: sum(loss(logits, b.y)), count: size('batch') }),
  })
const value = <const S extends readonly [string, string]>(shape: S, sizes: readonly [number, number], stream: number) =>
  ({ shape, sizes, dtype: 'f32', data: uniform(0, stream, sizes[0] * sizes[1]).map(x => 2 * x - 1) }) as const
const weights = { w: value(['in', 'out'], [features, 2], 1) }
const batch = { x: value(['batch', 'in'], [rows, features], 2), y: value(['batch', 'out'], [rows, 2], 3) }
const fit = (loss: Parameters<typeof linear>[0], options: Options = {}) =>
  verify({
    tuned: adapt(linear(loss), full({ targets: ['w'] })),
    weights,
    batches: [batch],
    steps: 10,
    target: 'reference',
    about: { model: 'linear', targets: ['w'], rank: null, seq: null },
    lowest: 0,
    ...options,
  })

test('on least squares the proved L is that of the data, and 2.1/L ascends along its eigenvector', async () => {
  const { curvature } = await fit(squaredError, { proof: 'require' })
  // λmax(2 XᵀX / rows), by power iteration on the numbers themselves
  let v: readonly number[] = Array.from({ length: features }, () => 1)
  let lambda = 0
  for (let k = 0; k < 400; k++) {
    const { data } = batch.x
    const xv = Array.from({ length: rows }, (_, r) => v.reduce((total, x, i) => total + x * data[r * features + i]!, 0))
    const next = v.map((_, i) => (2 / rows) * xv.reduce((total, x, r) => total + x * data[r * features + i]!, 0))
    lambda = Math.hypot(...next)
    v = next.map(x => x / lambda)
  }
  assert.ok(
    curvature.value >= lambda * (1 - 1e-12) && curvature.value <= lambda * (1 + 1e-6),
    `${curvature.value} and ${lambda}`,
  )
  const slow = (await fit(squaredError, { lr: 1.9 / curvature.value })).summary
  const fast = (await fit(squaredError, { lr: 2.1 / curvature.value, steps: 60 })).summary
  assert.deepEqual([slow.ascended, slow.violations], [0, 0])
  assert.ok(fast.ascended > 0 && fast.violations === 0, 'the inequality holds for every rate, descent does not')
})

test('a loss with a corner is refused where a proof is asked for, and measured where it is not', async () => {
  const corner = (predictions: Outputs, targets: Outputs): Outputs => abs(sub(predictions, targets))
  await refused(fit(corner, { proof: 'require' }), 'the loss is not smooth in what is trained: abs has a corner')
  // without curvature between its corners no rate follows
  await refused(fit(corner), 'the loss has no curvature in what is trained, and so no rate follows from it: name one')
  assert.deepEqual((await fit(corner, { lr: 1e-3 })).claims, [])
})

test('of Adam what it does is measured, and nothing is claimed', async () => {
  const transform = chain(clipByGlobalNorm(1), adamw({ lr: 1e-3 }))
  const { certificate } = await verified(head, {
    optimizer: { name: 'adamw', lr: 1e-3, transform, settings: { clip: 1 } },
  })
  assert.equal(certificate.curvature.kind, 'proved')
  assert.deepEqual(certificate.claims, [])
  assert.ok(
    certificate.steps.every(({ directional, squared }) => directional! < 0 && squared! > 0),
    'it goes down, by so much',
  )
  assert.match(certificate.statement, /for the update u/)
  holds(certificate)
})

test('f is the mean over all batches: twice the same batch is that batch', async () => {
  const [one, two] = [
    (await verified(some, { lr: 0.1, steps: 2 })).certificate,
    (await verified(some, { lr: 0.1, steps: 2 }, undefined, 2)).certificate,
  ]
  assert.equal(two.subject.rows, 2 * one.subject.rows)
  assert.ok(Math.abs(two.curvature.value / one.curvature.value - 1) < 1e-4)
  two.steps.forEach((step, k) => assert.ok(Math.abs(step.next - one.steps[k]!.next) < 1e-5))
})

test('what cannot be verified is refused with one sentence', async () => {
  await refused(
    verified(paca({ targets: [] as readonly string[], rank: 4, seed: 0 })),
    'the mask selects nothing: no parameter is trained',
  )
  for (const lr of [0, -1, Number.NaN]) await refused(verified(some, { lr }), `the rate is ${lr}: it must be above 0`)
  await refused(verified(some, { steps: 0 }), 'there are 0 steps: at least one is needed')
  await refused(verified(some, {}, undefined, 0), 'there is no batch')
  await refused(
    verified(dora({ targets: names, rank: 4, seed: 0 })),
    'the gradient of dora is not that of its loss: it holds fixed what follows from what is trained',
  )
  await refused(
    verified(lora({ targets: names, rank: 4, seed: 0, dropout: 0.1 })),
    /^lora draws at random at every step/,
  )
  await refused(verified(some, { proof: 'require' }), /^no bound of the curvature is known: /)
  await refused(fit(squaredError, { lr: 1e9, steps: 60 }), /the run diverges$|too large/)
})

test('the steps are those of the training step itself', async () => {
  const { certificate } = await verified(some, { lr: 0.2 })
  const loaded = await openTiny()
  const batch = await tinyBatch()
  await using session = await compile(trainStep(adapt(loaded.model, some), sgd({ lr: 0.2 })), {
    target: 'wasm',
    threads: 1,
    weights: loaded.weights,
  })
  await loaded.checkpoint.close()
  for (const { loss, gradNorm } of certificate.steps) {
    const result = await session.step([batch])
    assert.deepEqual([result.loss, result.gradNorm], [loss, gradNorm])
  }
  assert.equal(certificate.steps.length, 4)
})
