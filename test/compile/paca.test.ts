import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  explain,
  explanationText,
  print,
  programsOf,
  sizing,
  type CompilerOptions,
  type Traits,
} from '../../src/compile/index.ts'
import {
  adapt,
  crossEntropy,
  f32,
  full,
  i32,
  integer,
  matmul,
  maximum,
  model,
  paca,
  relu,
  sgd,
  size as sizeOf,
  sum,
  trainStep,
} from '../../src/index.ts'
import { deviceEngine, openSession, referenceDevice } from '../../src/compiler.ts'
import { llama, type CausalConfig } from '../../src/model.ts'

const network = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(relu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, maximum(b.y, integer(0)))), count: sizeOf('batch') }),
})
const dims = { batch: 64, pixels: 100, hidden: 32, classes: 10 }
const size = sizing(dims)
const step = () => trainStep(adapt(network, paca({ targets: ['up', 'down'], rank: 4, seed: 0 })), sgd({ lr: 0.1 }))
const compiler = (options: CompilerOptions): Traits & CompilerOptions => ({
  layOut: false,
  runs: () => true,
  inPlace: new Map(),
  ...options,
})

test('the backward pass of PaCA is the product of the taken columns: equation 9 of the paper, derived', () => {
  const programs = programsOf(step(), compiler({}))
  assert.equal(
    print(programs.gradients(size).outputs, programs.names),
    `\
  %0: [] = parameter()
  %1: [batch, hidden] = contract(x, up) {"a":"ay","b":"yz","out":"az"}
  %2: [batch, hidden] = maximum(%0, %1)
  %3: [batch, classes] = contract(%2, down) {"a":"ay","b":"yz","out":"az"}
  %4: [] i32 = parameter()
  %5: [batch] i32 = maximum(y, %4)
  %6: [batch] = crossEntropy(%3, %5)
  %7: [] = sum(%6) {"axes":[0],"keepDims":false}
  %8: [] = parameter()
  %9: [batch, 4] = take(x, columns(up)) {"axis":1}
  %10: [batch, hidden] bool = equal(%2, %0)
  %11: [batch] = parameter()
  %12: [batch, classes] = crossEntropyGrad(%3, %5, %11)
  %13: [batch, hidden] = contract(%12, down) {"a":"az","b":"yz","out":"ay"}
  %14: [batch, hidden] = select(%10, %0, %13)
  %15: [4, hidden] = contract(%9, %14) {"a":"ay","b":"az","out":"yz"}
  %16: [batch, 4] = take(%2, columns(down)) {"axis":1}
  %17: [4, classes] = contract(%16, %12) {"a":"ay","b":"az","out":"yz"}
  return %7, %8, %15, %17`,
  )
})

test('with the take rule switched off a step computes the same, through whole gradients', async () => {
  const data = (n: number, f: (i: number) => number): Float32Array => Float32Array.from({ length: n }, (_, i) => f(i))
  const weights = {
    up: { shape: ['pixels', 'hidden'], sizes: [100, 32], dtype: 'f32', data: data(3200, i => Math.sin(i) / 10) },
    down: { shape: ['hidden', 'classes'], sizes: [32, 10], dtype: 'f32', data: data(320, i => Math.cos(i) / 5) },
  } as const
  const batch = {
    x: { shape: ['batch', 'pixels'], sizes: [64, 100], dtype: 'f32', data: data(6400, i => Math.sin(3 * i)) },
    y: { shape: ['batch'], sizes: [64], dtype: 'i32', data: Int32Array.from({ length: 64 }, (_, i) => i % 10) },
  } as const
  const losses = async (without: readonly string[]): Promise<readonly number[]> => {
    const session = await openSession(step(), deviceEngine(referenceDevice()), { weights, compiler: { without } })
    const found: number[] = []
    for (let i = 0; i < 4; i++) found.push((await session.step([batch])).loss)
    return found
  }
  const on = await losses([])
  const off = await losses(['take-contract'])
  on.forEach((loss, i) => assert.ok(Math.abs(loss - off[i]!) < 1e-12))
  assert.ok(on[3]! < on[0]!)
  const wholeGradients = [[], ['take-contract']].map(
    without =>
      programsOf(step(), compiler({ without }))
        .gradients(size)
        .plan.instructions.filter(
          i => i.kind === 'run' && i.node.op.name === 'contract' && i.node.shape.join() === 'pixels,hidden',
        ).length,
  )
  assert.deepEqual(wholeGradients, [0, 1])
})

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
const batchDims = { batch: 2, seq: 24 }
const tokens = 48
const explained = (rank: number, options: CompilerOptions = {}) =>
  explain(trainStep(adapt(llama(config), paca({ targets, rank, seed: 0 })), sgd({ lr: 0.1 })), {
    dims: batchDims,
    ...options,
  })

test('without the take rule every layer keeps its four inputs instead of seven times r columns, and the certificate grows by just that', () => {
  const rank = 4
  const on = explained(rank, { recompute: 'none' })
  const off = explained(rank, { recompute: 'none', without: ['take-contract'] })
  // x of q, k and v; x of o; x of gate and up; x of down
  const inputs = 64 + 64 + 64 + 176
  const predicted = 3 * tokens * 4 * (inputs - 7 * rank)
  assert.equal(off.saved - on.saved, predicted)
  assert.equal(off.peak - on.peak, predicted)
})

test('what PaCA keeps grows by seven columns a token and layer for each rank', () => {
  assert.equal(explained(9).saved - explained(8).saved, 3 * tokens * 4 * 7)
})

test('full fine-tuning keeps more than PaCA, and recomputing everything keeps only the inputs of layers', () => {
  const whole = explain(trainStep(adapt(llama(config), full({ targets })), sgd({ lr: 0.1 })), {
    dims: batchDims,
    recompute: 'none',
  })
  assert.ok(whole.saved > explained(4, { recompute: 'none' }).saved)
  const least = explained(4, { recompute: 'all' })
  // the result of a layer is the input of the next one, or of the last norm
  assert.equal(least.saved, 3 * tokens * 4 * 64)
})

test('explain says of every trained leaf that its columns are kept and x is not', () => {
  const text = explanationText(explained(4))
  for (const target of targets)
    assert.match(text, new RegExp(`x\\[:, columns\\] of model\\.layers\\.\\S*${target}; x is not kept`))
  assert.doesNotMatch(explanationText(explained(4, { without: ['take-contract'], recompute: 'none' })), /x is not kept/)
})

test('blocks are planned once, however many layers there are', () => {
  const layersOf = (num_hidden_layers: number): number =>
    explain(
      trainStep(adapt(llama({ ...config, num_hidden_layers }), paca({ targets, rank: 4, seed: 0 })), sgd({ lr: 0.1 })),
      { dims: batchDims },
    ).layers.length
  assert.equal(layersOf(4), layersOf(20))
})
