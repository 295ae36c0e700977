import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, inputGroups, type CompilerOptions } from '../../src/compile/index.ts'
import {
  adapt,
  add,
  compile,
  crossEntropy,
  f32,
  i32,
  matmul,
  model,
  paca,
  relu,
  scalar,
  sgd,
  sum,
  trainStep,
  type TargetName,
} from '../../src/index.ts'
import { llama, type CausalConfig } from '../../src/model.ts'
import { noNode } from '../support/native-library.ts'
import { curves, openTiny, targets as names, tinyBatch } from '../support/tiny-llama.ts'

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
const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const
const small = llama(config)

test('the groups of a LLaMA are q, k, v and gate, up of every layer', () => {
  assert.deepEqual(
    inputGroups(small),
    [0, 1, 2].flatMap(layer => [
      ['q_proj', 'k_proj', 'v_proj'].map(name => `model.layers.${layer}.self_attn.${name}`),
      ['gate_proj', 'up_proj'].map(name => `model.layers.${layer}.mlp.${name}`),
    ]),
  )
})

test('leaves with one input are a group whether they stand in a block or not; a leaf applied to another input, or along its outputs, is in none', () => {
  const two = model({
    params: { a: f32('in', 'in'), b: f32('in', 'in'), c: f32('in', 'in'), d: f32('in', 'in') },
    batch: { x: f32('batch', 'in'), y: i32('batch') },
    // d is applied to the results of b and c; relu(x) is one value, computed twice
    forward: (p, { x }) => matmul(add(matmul(relu(x), p.b), matmul(relu(x), p.c)), p.d),
    loss: (logits, { y }) => ({ sum: sum(crossEntropy(logits, y)), count: scalar(1) }),
  })
  assert.deepEqual(inputGroups(two), [['b', 'c']])
})

const tokens = 48
const dims = { batch: 2, seq: 24 }
const explained = (rank: number, shared: boolean, options: CompilerOptions = {}) =>
  explain(
    trainStep(
      adapt(small, paca({ targets, rank, seed: 0, groups: shared ? inputGroups(small) : [] })),
      sgd({ lr: 0.1 }),
    ),
    { dims, recompute: 'none', ...options },
  )

test('a shared selection keeps r columns once for q, k, v and once for gate, up: three times r less a token and layer', () => {
  for (const rank of [4, 9])
    assert.equal(explained(rank, false).saved - explained(rank, true).saved, 3 * tokens * 4 * 3 * rank)
  const columns = (shared: boolean): number =>
    explained(4, shared).layers[0]!.kept.filter(({ columnsOf }) => columnsOf !== undefined).length
  assert.deepEqual([columns(false), columns(true)], [7, 4])
})

/** Losses of four steps with a write in between, and the selection. */
const run = async (
  target: TargetName,
  selection: { readonly shared: 'all' | 'first layer' | 'none'; readonly columns?: ReadonlyMap<string, Int32Array> },
) => {
  const { model: tiny, weights, checkpoint } = await openTiny()
  const batch = await tinyBatch()
  const every: readonly string[] = names
  try {
    const { shared, columns } = selection
    const groups = inputGroups(tiny).filter(
      ([path]) => shared === 'all' || (shared === 'first layer' && path!.includes('.0.')),
    )
    const step = trainStep(
      adapt(
        tiny,
        paca({ targets: every, rank: curves.recipe.rank, seed: 3, groups, ...(columns && { selection: columns }) }),
      ),
      sgd({ lr: 0.05 }),
    )
    await using session = await compile(step, { target, threads: 1, weights })
    const losses: number[] = []
    for (let i = 0; i < 4; i++) {
      if (i === 3) await session.write(await session.read())
      losses.push((await session.step([batch])).loss)
    }
    return { losses, columns: session.selection }
  } finally {
    await checkpoint.close()
  }
}
const distance = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((loss, i) => Math.abs(loss - b[i]!)))

for (const target of ['reference', 'wasm', 'graph'] as const) {
  test(
    `a shared selection trains as the same selection that is not shared, on ${target}`,
    { skip: target === 'graph' && noNode ? noNode : false },
    async () => {
      const together = await run(target, { shared: 'all' })
      const apart = await run('reference', { shared: 'none', columns: together.columns })
      const q = [...together.columns].filter(([path]) => path.endsWith('.q_proj'))
      assert.equal(q.length, 2)
      for (const [path, chosen] of q)
        for (const other of ['k_proj', 'v_proj'])
          assert.deepEqual(together.columns.get(path.replace('q_proj', other)), chosen)
      assert.ok(
        distance(together.losses, apart.losses) < 1e-5,
        `${together.losses.join()} is not ${apart.losses.join()}`,
      )
      // a selection of its own for each module ends elsewhere
      assert.ok(distance((await run('reference', { shared: 'none' })).losses, apart.losses) > 1e-4)
    },
  )
}

test('a layer that shares and one that does not are told apart', async () => {
  const mixed = await run('reference', { shared: 'first layer' })
  const apart = await run('reference', { shared: 'none', columns: mixed.columns })
  assert.ok(distance(mixed.losses, apart.losses) < 1e-12)
})
