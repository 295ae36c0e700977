import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adapt, paca, SessionError, sgd, trainStep } from '../../../src/index.ts'
import { explainOn } from '../../../src/compiler.ts'
import { llama } from '../../../src/model.ts'
import { chunkOp, sizing } from '../../../src/compile/index.ts'
import { certified } from '../../../src/backend/graph/certificate.ts'
import { compiledGraph } from '../../../src/backend/graph/compiled.ts'
import { savedModel } from '../../../src/backend/graph/saved-model.ts'
import { count, is, topological, type Node } from '../../../src/tensor/index.ts'
import { openTiny, tinyStep, type CurveMethod } from '../../support/tiny-llama.ts'

const compiledTiny = async (method: CurveMethod, precision: 'f32' | 'bf16', seq = 24) => {
  const loaded = await openTiny()
  await loaded.checkpoint.close()
  const step = await tinyStep(loaded, method)
  const dims = { ...loaded.model.dims, batch: 2, seq }
  return { step, compiled: compiledGraph(step, { precision, xla: true }), size: sizing(dims, loaded.model.capacities) }
}

test('frozen matrices are counted in the type that they are stored in, vectors, what is trained and the state in float32', async () => {
  for (const precision of ['f32', 'bf16'] as const) {
    const { compiled, size } = await compiledTiny('paca', precision)
    const { programs } = compiled
    const elements = (leaves: readonly (readonly [string, Node])[]): number =>
      leaves.reduce((sum, [, leaf]) => sum + count(leaf.shape.map(size)), 0)
    const parts = elements(programs.trained.map(({ path, part }) => [path, part]))
    const { weights, state, transient, total } = certified(compiled, size)
    const matrices = programs.params.filter(([, leaf]) => leaf.shape.length > 1)
    const vectors = programs.params.filter(([, leaf]) => leaf.shape.length === 1)
    assert.equal(
      weights,
      elements(matrices) * (precision === 'bf16' ? 2 : 4) +
        4 * (elements(vectors) + parts + elements(programs.indices)),
    )
    // both moments of every trained value, and two counts
    assert.equal(state, 4 * (2 * parts + 2))
    assert.equal(total, weights + state + transient)
  }
})

test('in bf16 a step of many tokens holds about half of what it holds in f32, and with twice the tokens about twice as much', async () => {
  const transient = async (precision: 'f32' | 'bf16', seq: number): Promise<number> => {
    const { compiled, size } = await compiledTiny('paca', precision, seq)
    return certified(compiled, size).transient
  }
  const ratio = (await transient('bf16', 1024)) / (await transient('f32', 1024))
  const growth = (await transient('bf16', 1024)) / (await transient('bf16', 512))
  assert.ok(ratio > 0.45 && ratio < 0.7, `${ratio}`)
  assert.ok(growth > 1.6 && growth < 4.2, `${growth}`)
})

test('explain tells what the graph target keeps, in its own types; others refuse 16 bits', async () => {
  const { step } = await compiledTiny('paca', 'f32')
  const dims = { batch: 2, seq: 24 }
  const [f32, bf16] = [
    await explainOn(step, { target: 'graph', dims }),
    await explainOn(step, { target: 'graph', precision: 'bf16', dims }),
  ]
  assert.ok(bf16.saved < f32.saved && bf16.weights < f32.weights && bf16.state === f32.state)
  await assert.rejects(
    explainOn(step, { target: 'wasm', precision: 'bf16', dims }),
    error => error instanceof SessionError && /bf16 needs --target graph/.test(error.message),
  )
})

test('the same step is written as the same bytes, whenever it is compiled', async () => {
  const [first, second] = [await compiledTiny('full', 'bf16'), await compiledTiny('full', 'bf16')].map(({ compiled }) =>
    savedModel(compiled.entry.graph()),
  )
  assert.deepEqual(first, second)
})

test('the logits of a large vocabulary are made in pieces, by the size that a capacity has of others', () => {
  const made = llama({
    hidden_size: 16,
    intermediate_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 8,
    vocab_size: 50_000,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
  })
  const step = trainStep(adapt(made, paca({ targets: ['q_proj'], rank: 2, seed: 0 })), sgd({ lr: 0.1 }))
  const chunks = (without: readonly string[]): number => {
    const { whole } = compiledGraph(step, { precision: 'f32', xla: true }, { without })
    const { sum, count: scored, gradients } = whole.gradients()
    return topological([sum, scored, ...gradients.map(([, g]) => g)]).filter(n => is(n, chunkOp)).length
  }
  assert.equal(chunks([]), 1)
  assert.equal(chunks(['chunk']), 0)
})
