import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adamw,
  adapt,
  compile,
  lora,
  nf4,
  paca,
  quantized,
  trainStep,
  type CompilerOptions,
  type Method,
  type Opaque,
  type TargetName,
} from '../../src/index.ts'
import { isValue, leaves } from '../../src/compiler.ts'
import { openTiny, targets, tinyBatch } from '../support/tiny-llama.ts'

/** What is recomputed changes no bit of a result. */

const names: readonly string[] = targets
const methods: Readonly<Record<string, () => Method<Opaque>>> = {
  PaCA: () => paca({ targets: names, rank: 4, seed: 0 }),
  'LoRA with dropout': () => lora({ targets: names, rank: 4, alpha: 8, seed: 0, dropout: 0.3 }),
  'PaCA on NF4': () => quantized(nf4({ double: true }))(paca({ targets: names, rank: 4, seed: 0 })),
}

/** Two steps: every loss and norm, the trained values and the optimizer's state. */
const trained = async (method: Method<Opaque>, target: TargetName, compiler: CompilerOptions): Promise<string> => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  try {
    await using run = await compile(trainStep(adapt(loaded.model, method), adamw({ lr: 1e-2 })), {
      target,
      threads: 2,
      weights: loaded.weights,
      compiler,
    })
    const steps = [await run.step(batch), await run.step(batch)]
    const { focus, state } = await run.read()
    return JSON.stringify([
      steps,
      ...leaves({ focus, state }, isValue).map(([path, { data }]) => [path, ...data]),
    ])
  } finally {
    await loaded.checkpoint.close()
  }
}

for (const [target, modes] of [
  ['reference', ['all', 40]],
  ['wasm', ['cheap', 'all', 1, 40, 200]],
] as const)
  for (const [name, make] of Object.entries(methods))
    test(`${name} on ${target}: results have the same bits however much is recomputed`, async () => {
      const whole = await trained(make(), target, { recompute: 'none' })
      for (const recompute of modes)
        assert.equal(await trained(make(), target, { recompute }), whole, String(recompute))
    })
