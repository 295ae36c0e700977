import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account, AccountOptions } from '../../src/compile/index.ts'
import { countsIn, small, smallAccountant, smallBatch, type SmallStep } from '../support/small-accounts.ts'

/** Counts made with PyTorch, by the script beside them. */
interface Count extends SmallStep {
  readonly dropout: number
  readonly precision: 'f32' | 'bf16' | 'amp'
  readonly checkpointing: boolean
  readonly saved: number
}
const golden = countsIn('autograd') as { readonly counts: readonly Count[] }

const accounted = async (of: Omit<Count, 'saved'>, more: Partial<AccountOptions> = {}): Promise<Account> => {
  const { precision, checkpointing } = of
  return (await smallAccountant(of)).at(smallBatch(of.model), { precision, device: 'cpu', checkpointing, ...more })
}

for (const { saved, ...of } of golden.counts) {
  const { model, method, dropout, precision, checkpointing } = of
  const name = `${model} ${method}${dropout > 0 ? ` with dropout ${dropout}` : ''}${checkpointing ? ' with checkpointing' : ''} in ${precision}`
  test(`${name}: what PyTorch keeps for the backward pass is counted to the byte`, async () => {
    const found = await accounted(of)
    // PEFT's (IA)³ multiplies each vector by 1 before it is used, and keeps the product where its input has a gradient
    const copies = method === 'ia3' ? saved - found.saved : 0
    assert.ok(copies >= 0 && copies <= found.trained * (precision === 'f32' ? 4 : 2), `${copies} bytes`)
    assert.equal(found.saved + copies, saved)
  })
}

test('a checkpointed step holds the inputs of its layers, and recomputes one of them', async () => {
  const of = { model: 'llama', method: 'lora', dropout: 0, precision: 'bf16' } as const
  const plain = await accounted({ ...of, checkpointing: false })
  const again = await accounted({ ...of, checkpointing: true })
  assert.equal(again.live, plain.layer)
  assert.equal(again.total, again.saved + again.live)
  assert.ok(again.total < plain.total)
  const tokens = small.batch * small.seq
  assert.equal(again.layers, 3 * tokens * 64 * 2)
})
test('of a loss in pieces, one piece of the logits is held, and the hidden values from which it is computed', async () => {
  const of = { model: 'llama', method: 'lora', dropout: 0, precision: 'bf16', checkpointing: false } as const
  const tokens = small.batch * small.seq
  const [plain, pieces] = [await accounted(of), await accounted(of, { chunk: 8 })]
  const ofLoss = tokens * (96 * 4 + 8)
  assert.equal(plain.head, ofLoss)
  assert.equal(pieces.head, ofLoss / 3 + tokens * 64 * 2)
})
test('the transformers of 2024 repeat shared keys, make tables in every layer, and hold the logits three times', async () => {
  const of = { model: 'llama', method: 'paca', dropout: 0, precision: 'bf16', checkpointing: false } as const
  const tokens = small.batch * small.seq
  const [now, then] = [await accounted(of), await accounted(of, { transformers: 4 })]
  // 64 features of queries, and 32 of keys and of values; tables of 16 for each of two layers more
  const repeated = 3 * tokens * 2 * (64 - 32) * 2
  const tables = 2 * 2 * small.seq * 16 * 2
  // the first layer's input has no gradient, and PaCA's queries still have one
  assert.equal(then.saved - now.saved, repeated + tables)
  assert.equal(then.held, tokens * 96 * 8)
})
