import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as E from '../../src/either/index.ts'
import { explain, withinBudget, type Candidate } from '../../src/compile/index.ts'
import { adapt, lora, sgd, trainStep } from '../../src/index.ts'
import { llama } from '../../src/model.ts'

/** The plan that a budget of bytes leads to. */

interface Plan extends Candidate {
  readonly flops: number
}
type Search = (bytes: readonly number[], budget: number) => E.Either<number, Plan>

/** Plans under ascending limits, each of which takes an operation more. */
const planned =
  (within: typeof withinBudget): Search =>
  (bytes, budget) => {
    const limits = bytes.slice(1).map((_, i) => i)
    return within(limit => {
      const flops = limits.filter(own => own <= limit).length
      return { flops, limits, bytes: bytes[flops]! }
    }, budget)
  }
const search = planned(withinBudget)
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 })
const budget = fc.integer({ min: 0, max: 70 })

/** A plan is within the budget; if there is none, the smallest is told. */
const keepsWithin = (of: Search): void => {
  fc.assert(
    fc.property(sizes, budget, (bytes, most) => {
      const found = of(bytes, most)
      const least = Math.min(...bytes)
      return E.isRight(found) ? found.right.bytes <= most : found.left === least && least > most
    }),
    { seed: 17, numRuns: 500 },
  )
}
/** Fewer bytes take no fewer operations, if the plan that recomputes everything is the smallest. */
const isMonotone = (of: Search): void => {
  fc.assert(
    fc.property(sizes, budget, budget, (bytes, a, b) => {
      const all = [...bytes, Math.min(...bytes) - 1]
      const [less, more] = [of(all, Math.min(a, b)), of(all, Math.max(a, b))]
      return E.isLeft(less) || (E.isRight(more) && less.right.flops >= more.right.flops)
    }),
    { seed: 17, numRuns: 500 },
  )
}

test('a plan is within its budget, or none is and the smallest is told', () => {
  keepsWithin(search)
})
test('mutants: a search that overruns by a byte, and one that tells the last plan as the smallest, are refuted', () => {
  assert.throws(() => {
    keepsWithin((bytes, most) => search(bytes, most + 1))
  })
  assert.throws(() => {
    keepsWithin((bytes, most) => {
      const found = search(bytes, most)
      return E.isLeft(found) ? E.left(bytes.at(-1)!) : found
    })
  })
})
test('a smaller budget takes at least as many operations', () => {
  isMonotone(search)
})
test('mutant: a search that recomputes everything for even budgets is refuted', () => {
  assert.throws(() => {
    isMonotone((bytes, most) =>
      most % 2 === 0 && most >= bytes.at(-1)! ? search(bytes, bytes.at(-1)!) : search(bytes, most),
    )
  })
})

const config = {
  hidden_size: 48,
  intermediate_size: 96,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 12,
  vocab_size: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
}
const step = trainStep(
  adapt(llama(config), lora({ targets: ['q_proj', 'v_proj', 'up_proj'], rank: 2, alpha: 4, seed: 0, dropout: 0.1 })),
  sgd({ lr: 0.1 }),
)
const dims = { batch: 2, seq: 64, scored: 126, rank: 2 }

/** Under a higher limit on recomputation a step takes no fewer operations, and keeps no more bytes. */
const trades = (limits: readonly number[], under: (limit: number) => ReturnType<typeof explain>): void => {
  const plans = [-1, ...limits].map(under)
  plans.slice(1).forEach((plan, i) => {
    assert.ok(plan.flops >= plans[i]!.flops, `${i}: ${plan.flops} after ${plans[i]!.flops}`)
    assert.ok(plan.saved < plans[i]!.saved, `${i}: ${plan.saved} after ${plans[i]!.saved}`)
  })
}

test('the limits of a step order its plans from one that keeps all to one that keeps only the inputs of layers', () => {
  const under = (recompute: number | 'none' | 'all') => explain(step, { dims, recompute })
  const { limits, saved, flops } = under(Number.POSITIVE_INFINITY)
  assert.ok(limits.length > 5)
  trades(limits, under)
  const [none, all] = [under('none'), under('all')]
  assert.ok(under(-1).saved <= none.saved && under(-1).flops <= none.flops)
  assert.deepEqual([saved, flops], [all.saved, all.flops])
  assert.deepEqual([under(limits.at(-1)!).saved, under(limits.at(-1)!).flops], [saved, flops])
  // mutant: limits in the other order
  assert.throws(() => {
    trades(limits.toReversed(), under)
  }, assert.AssertionError)
})

test('checkpointing computes a forward half once more: less than half a step', () => {
  const [none, all] = [explain(step, { dims, recompute: 'none' }), explain(step, { dims, recompute: 'all' })]
  assert.ok(all.flops > none.flops && all.flops < 1.5 * none.flops)
  assert.ok(all.peak < none.peak)
})
