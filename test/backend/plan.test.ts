import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  adamw,
  adapt,
  compile,
  full,
  init,
  lora,
  orThrow,
  paca,
  sgd,
  trainStep,
  type CompilerOptions,
  type Dims,
  type Step,
} from '../../src/index.ts'
import { plan } from '../../src/compiler.ts'
import { openClassifier } from '../../src/model.ts'
import { largestFitting, type Fit } from '../../src/backend/plan.ts'
import { described, parseConfig } from '../../src/model/index.ts'
import { heldNow, peakWhile } from '../support/held.ts'
import { goldenViT } from '../support/images.ts'
import { valuesFor } from '../support/small-models.ts'
import { openTiny, tinyStep, type CurveMethod } from '../support/tiny-llama.ts'
import { tuned } from '../support/tuned-vit.ts'

/** A step whose parts are of no interest, with its weights and the sizes of its batch. */
interface Case {
  readonly step: Step<unknown, unknown, never, unknown, unknown, unknown, string, unknown>
  readonly weights: unknown
  readonly buffers?: unknown
  readonly dims: Dims
}
const opaque = ({ step, ...rest }: Omit<Case, 'step'> & { readonly step: unknown }): Case =>
  // the parts of a step fit each other, whatever they are
  ({ ...rest, step: step as Case['step'] })

const llama = (method: CurveMethod, batch: number, seq: number) => async (): Promise<Case> => {
  const loaded = await openTiny()
  try {
    const weights = await init.params(loaded.model, { seed: 0 })
    return opaque({ step: await tinyStep(loaded, method), weights, dims: { batch, seq } })
  } finally {
    await loaded.checkpoint.close()
  }
}
const vit = (method: 'paca' | 'lora' | 'full', batch: number) => async (): Promise<Case> => {
  const classifier = await orThrow(openClassifier(goldenViT))
  try {
    const parts = tuned(classifier, { method, seed: 0, ...(method === 'full' ? {} : { rank: 4 }) })
    const weights = init.params(classifier.model, { seed: 0 })
    return opaque({ step: trainStep(parts.tuned, adamw({ lr: 1e-3 })), weights, dims: { batch } })
  } finally {
    await classifier.checkpoint.close()
  }
}
const convolutions = (method: 'paca' | 'lora' | 'full', batch: number) => async (): Promise<Case> => {
  const json = { architecture: 'tf_efficientnet_lite0', image_size: 32, num_classes: 5 }
  const network = described(await orThrow(async () => parseConfig(json, 'config.json'))).model()
  // the model of the architecture, whose parts are of no interest here
  const model = network as never as Parameters<typeof init.params>[0]
  const targets = ['conv_pw', 'conv_pwl']
  const of =
    method === 'full'
      ? full({ targets: ['conv_pw'] })
      : (method === 'paca' ? paca : lora)({ targets, rank: 2, seed: 0 })
  const step = trainStep(adapt(model as never, of as never) as never, sgd({ lr: 1e-3 }) as never)
  return opaque({
    step,
    weights: init.params(model, { seed: 0 }),
    buffers: init.buffers(model as never, {}),
    dims: { batch },
  })
}

const all: CompilerOptions = { recompute: 'all' }
const none: CompilerOptions = { recompute: 'none' }
const measured: readonly (readonly [
  name: string,
  target: 'wasm' | 'cpu',
  open: () => Promise<Case>,
  compiler?: CompilerOptions | undefined,
  accumulate?: number,
])[] = [
  ['llama, paca, 2 × 24', 'wasm', llama('paca', 2, 24)],
  ['llama, paca, 2 × 24', 'cpu', llama('paca', 2, 24)],
  ['llama, full, 2 × 24', 'wasm', llama('full', 2, 24)],
  ['llama, full, 2 × 24', 'cpu', llama('full', 2, 24)],
  ['llama, paca, 1 × 256', 'wasm', llama('paca', 1, 256)],
  ['llama, lora, 2 × 96', 'wasm', llama('lora', 2, 96)],
  ['llama, dora, 3 × 40', 'wasm', llama('dora', 3, 40)],
  ['llama, moslora, 1 × 64', 'wasm', llama('moslora', 1, 64)],
  ['llama, ia3, 2 × 64', 'wasm', llama('ia3', 2, 64)],
  ['llama, lora, all recomputed', 'wasm', llama('lora', 2, 96), all],
  ['llama, paca, none recomputed', 'wasm', llama('paca', 2, 96), none],
  ['llama, full, 3 micro-batches', 'wasm', llama('full', 1, 8), undefined, 3],
  ['llama, lora, 2 micro-batches', 'wasm', llama('lora', 2, 24), undefined, 2],
  ['vit, paca', 'wasm', vit('paca', 4)],
  ['vit, lora', 'wasm', vit('lora', 3)],
  ['vit, full', 'wasm', vit('full', 2)],
  ['convolutions, paca', 'wasm', convolutions('paca', 4)],
  ['convolutions, lora', 'wasm', convolutions('lora', 2)],
  ['convolutions, full', 'wasm', convolutions('full', 2)],
]
for (const [name, target, open, compiler, accumulate = 1] of measured)
  test(`the plan and the certificate are the peak of tf.memory().numBytes: ${name} on ${target}; nothing is left after a step or a session`, async () => {
    const before = heldNow()
    const { step, weights, buffers, dims } = await open()
    const planned = await plan(step, { target, dims, accumulate, ...(compiler ? { compiler } : {}) })
    assert.deepEqual(heldNow(), before)
    {
      await using session = await compile(step, {
        target,
        threads: 1,
        weights: weights as never,
        ...(buffers === undefined ? {} : { buffers: buffers as never }),
        ...(compiler ? { compiler } : {}),
      })
      const batch = valuesFor(step.tuned.model.batch, { ...step.tuned.model.dims, ...dims })
      const batches = Array.from({ length: accumulate }, () => batch)
      await session.step(batches)
      const held = session.bytes()
      const tensors = heldNow().numTensors
      const peak = (await peakWhile(() => session.step(batches))) - before.numBytes
      const certificate = session.certificate(dims)
      assert.equal(planned.total, peak)
      if (accumulate === 1) assert.equal(certificate.total, peak)
      assert.equal(planned.weights, certificate.weights)
      assert.equal(planned.state, certificate.state)
      assert.equal(planned.weights + planned.state + planned.saved + planned.passing, planned.total)
      assert.equal(session.bytes(), held)
      assert.equal(heldNow().numTensors, tensors)
      assert.ok(held <= certificate.weights + certificate.state)
    }
    assert.deepEqual(heldNow(), before)
  })

/** A curve of bytes that grows with the size: a parabola with steps. */
const curve = fc
  .record({
    constant: fc.integer({ min: 0, max: 1e6 }),
    linear: fc.integer({ min: 1, max: 1e4 }),
    square: fc.integer({ min: 0, max: 100 }),
    step: fc.integer({ min: 0, max: 1e5 }),
    every: fc.integer({ min: 1, max: 100 }),
  })
  .map(
    of => (size: number) =>
      of.constant + of.linear * size + of.square * size ** 2 + of.step * Math.floor(size / of.every),
  )
const isLargest = (find: typeof largestFitting) =>
  fc.property(curve, fc.integer({ min: 1, max: 1e9 }), (total, bytes) => {
    const found: Fit | undefined = find(total, bytes)
    return found === undefined
      ? total(1) > bytes
      : found.total === total(found.largest) && found.total <= bytes && total(found.largest + 1) > bytes
  })
test('the largest size that fits is within the bytes, and the next size is not', () => {
  fc.assert(isLargest(largestFitting))
  // a mutant that trusts the line through the first two sizes
  const straight: typeof largestFitting = (total, bytes) => {
    const largest = 1 + Math.floor((bytes - total(1)) / (total(2) - total(1)))
    return largest < 1 ? undefined : { largest, total: total(largest) }
  }
  assert.equal(fc.check(isLargest(straight)).failed, true)
})

test('few plans are made in order to find the largest size', () => {
  for (const bytes of [1e9, 80e9, 1e13]) {
    let made = 0
    largestFitting(size => {
      made += 1
      return 1e8 + 3e6 * size + 4096 * size ** 2
    }, bytes)
    assert.ok(made <= 10, `${made}`)
  }
})
