import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, type Explanation, type Moment } from '../../src/compile/index.ts'
import { adapt, adamw, full, lora, paca, trainStep } from '../../src/index.ts'
import { llama, type CausalConfig } from '../../src/model.ts'

const config: CausalConfig = {
  hidden_size: 64,
  intermediate_size: 176,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: 320,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
}
const targets = ['q_proj', 'o_proj', 'up_proj', 'down_proj'] as const
const dims = { batch: 2, seq: 24 }
const tuned = {
  paca: adapt(llama(config), paca({ targets, rank: 4, seed: 0 })),
  lora: adapt(llama(config), lora({ targets, rank: 4, alpha: 8, seed: 0 })),
  full: adapt(llama(config), full({ targets })),
}
type Name = keyof typeof tuned
const explained = (name: Name): Explanation => {
  switch (name) {
    case 'paca':
      return explain(trainStep(tuned.paca, adamw({ lr: 1e-3 })), { dims, detailed: true })
    case 'lora':
      return explain(trainStep(tuned.lora, adamw({ lr: 1e-3 })), { dims, detailed: true })
    case 'full':
      return explain(trainStep(tuned.full, adamw({ lr: 1e-3 })), { dims, detailed: true })
  }
}
const held = ({ kept, gradients, passing }: Moment): number => kept + gradients + passing

for (const name of ['paca', 'lora', 'full'] as const) {
  test(`the course of a step of ${name} has the peak that its plan promises, keeps what it says, and ends with gradients`, () => {
    const { course, peak, saved, trainable } = explained(name)
    assert.ok(course && course.loss > 0 && course.loss < course.instructions)
    assert.equal(Math.max(...course.moments.map(held)), peak)
    // the head and the loss keep something too
    assert.ok(course.kept >= saved)
    const [first, last] = [course.moments[0]!, course.moments.at(-1)!]
    assert.ok(held(first) < peak / 4)
    assert.equal(last.gradients, 4 * trainable)
    const atLoss = course.moments.filter(({ at }) => at <= course.loss).at(-1)!
    assert.equal(atLoss.gradients, 0)
    assert.ok(atLoss.kept <= course.kept)
  })
}

test('the gradients of a layer show PaCA’s rule: columns of x, and not of the whole gradient', () => {
  const { equations } = explained('paca')
  assert.equal(equations?.layer, 'model.layers.*')
  assert.deepEqual(
    equations.gradients.map(({ leaf, inward }) => [leaf, inward]),
    ['self_attn.q_proj', 'self_attn.o_proj', 'mlp.up_proj', 'mlp.down_proj'].map(leaf => [leaf, true]),
  )
  assert.equal(
    equations.gradients[0]!.before,
    'take(contract(rmsNorm(x, input_layernorm), dy), columns(self_attn.q_proj))',
  )
  assert.equal(
    equations.gradients[0]!.after,
    'contract(take(rmsNorm(x, input_layernorm), columns(self_attn.q_proj)), dy)',
  )
  assert.match(equations.after, /^layer\.forward\n/)
})

test('LoRA’s product is decomposed: its gradients never go through the gradient of W', () => {
  const { equations } = explained('lora')
  const first = equations?.gradients.find(({ leaf }) => leaf === 'self_attn.q_proj.lora_A')
  assert.deepEqual(
    [first?.before, first?.after, first?.inward],
    [
      'contract(mul(contract(rmsNorm(x, input_layernorm), dy), []), self_attn.q_proj.lora_B)',
      'contract(rmsNorm(x, input_layernorm), dy)',
      false,
    ],
  )
})
