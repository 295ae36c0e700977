import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  compile,
  full,
  paca,
  sgd,
  trainStep,
  type CompilerOptions,
  type Method,
  type Opaque,
  type Value,
  type Values,
} from '../../src/index.ts'
import { leaves } from '../../src/compiler.ts'
import { bindDims, given, sizing } from '../../src/compile/index.ts'
import { count } from '../../src/tensor/index.ts'
import { isFloats, isTensor, mapTree } from '../../src/tune/index.ts'
import { llama } from '../../src/model.ts'
import { heldNow, peakWhile } from '../support/held.ts'

/** The logits of a large vocabulary are never whole on targets that run plans. */

const [seq, vocab] = [300, 40_000]
const model = llama({
  hidden_size: 16,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  vocab_size: vocab,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
})
const size = sizing(bindDims(given('the model', model.dims ?? {})))
/** Waves of different lengths: no gradient is zero. */
const weights = mapTree(model.params, isTensor, (leaf, path): Value => {
  const sizes = leaf.shape.map(size)
  const data = Float32Array.from(
    { length: count(sizes) },
    (_, i) => Math.sin(i * 1.7 + path.length) / (leaf.shape.length === 1 ? 1 : 4),
  )
  return { shape: leaf.shape, sizes, dtype: 'f32', data }
}) as Values<typeof model.params>
const tokens = (rows: number) => {
  const data = Int32Array.from({ length: rows }, (_, i) => (i * 7919) % vocab)
  return { shape: ['batch', 'seq'], sizes: [1, rows], dtype: 'i32', data } as const
}
const batch = { input_ids: tokens(seq), labels: tokens(seq) }
const methods: Readonly<Record<string, () => Method<Opaque>>> = {
  'PaCA': () => paca({ targets: ['q_proj'] as readonly string[], rank: 2, seed: 0 }),
  'a trained head': () => full({ targets: ['lm_head'] as readonly string[] }),
}

/** The loss, the gradients, the certificate, and the measured peak of a step. */
const measured = async (method: Method<Opaque>, compiler: CompilerOptions, rows = seq) => {
  const before = heldNow().numBytes
  const fed = rows === seq ? batch : { input_ids: tokens(rows), labels: tokens(rows) }
  await using run = await compile(trainStep(adapt(model, method), sgd({ lr: 0.1 })), {
    target: 'wasm',
    threads: 2,
    weights,
    compiler,
  })
  const { loss } = await run.evaluate(fed)
  const gradients = leaves(await run.gradients(fed), isFloats).map(([, { data }]) => data)
  const { loss: first } = await run.step(fed)
  const peak = (await peakWhile(() => run.step(fed))) - before
  return { losses: [loss, first], gradients, peak, ...run.certificate({ batch: 1, seq: rows }) }
}

for (const [name, make] of Object.entries(methods))
  test(`${name}: in pieces a step holds less than the logits, with the loss and gradients of whole logits; the certificate is the peak`, async () => {
    const pieces = await measured(make(), {})
    const whole = await measured(make(), { without: ['chunk'] })
    pieces.losses.forEach((loss, i) => {
      assert.ok(Math.abs(loss - whole.losses[i]!) < 1e-5 * loss, `${loss}, not ${whole.losses[i]}`)
    })
    pieces.gradients.forEach((gradient, i) => {
      const largest = gradient.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
      const error = gradient.reduce((most, x, k) => Math.max(most, Math.abs(x - whole.gradients[i]![k]!)), 0)
      assert.ok(largest > 0 && error < 1e-4 * largest, `${error} of ${largest}`)
    })
    assert.equal(pieces.peak, pieces.total)
    assert.equal(whole.peak, whole.total)
    const logits = 4 * seq * vocab
    assert.ok(whole.transient > logits && pieces.transient < logits, `${pieces.transient} and ${whole.transient}`)
    // what is recomputed changes no bit
    const { losses, gradients } = await measured(make(), { recompute: 'all' })
    assert.deepEqual([losses, gradients], [pieces.losses, pieces.gradients])
  })

test('logits of few rows stay whole: the same plan as without pieces', async () => {
  const of = async (compiler: CompilerOptions) => (await measured(methods['PaCA']!(), compiler, 100)).transient
  assert.equal(await of({}), await of({ without: ['chunk'] }))
})
