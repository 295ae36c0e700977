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
  SessionError,
  trainStep,
  type CompilerOptions,
  type Dims,
  type Method,
  type Opaque,
  type TargetName,
} from '../../src/index.ts'
import { isValue, leaves } from '../../src/compiler.ts'
import { byteCount, bytesText } from '../../src/text/index.ts'
import { heldNow, peakWhile } from '../support/held.ts'
import { openTiny, targets, tinyBatch } from '../support/tiny-llama.ts'

/** Recomputation changes no bit of a result. */

const names: readonly string[] = targets
const methods: Readonly<Record<string, () => Method<Opaque>>> = {
  'PaCA': () => paca({ targets: names, rank: 4, seed: 0 }),
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
    return JSON.stringify([steps, ...leaves({ focus, state }, isValue).map(([path, { data }]) => [path, ...data])])
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

const sizes = { batch: 2, seq: 24 }
const within = async (
  memory: number | undefined,
  checkpointing = false,
  target: TargetName = 'wasm',
  batch: Dims | undefined = { ...sizes, scored: 48 },
) => {
  const loaded = await openTiny()
  try {
    return await compile(trainStep(adapt(loaded.model, methods['LoRA with dropout']!()), adamw({ lr: 1e-2 })), {
      target,
      threads: 2,
      weights: loaded.weights,
      compiler: checkpointing ? { recompute: 'all' } : {},
      memory,
      batch,
    })
  } finally {
    await loaded.checkpoint.close()
  }
}

test('within every budget the certificate is the measured peak, the bits are the same, and fewer bytes take more operations', async () => {
  const batch = await tinyBatch()
  const all: { readonly memory: number; readonly total: number; readonly flops: number; readonly loss: number }[] = []
  for (const memory of [1e9, 1.3e6, 1.2e6, 1.1e6]) {
    const before = heldNow().numBytes
    await using run = await within(memory)
    const { loss } = await run.step(batch)
    const peak = await peakWhile(() => run.step(batch))
    const { total, flops, instead } = run.certificate(sizes)
    assert.equal(peak - before, total)
    assert.ok(total <= memory, `${total} within ${memory}`)
    assert.ok(instead!.total >= total && instead!.flops <= flops)
    all.push({ memory, total, flops, loss })
  }
  all.slice(1).forEach((now, i) => {
    assert.ok(now.flops > all[i]!.flops && now.total < all[i]!.total)
    assert.equal(now.loss, all[0]!.loss)
  })
})

test('with checkpointing the certificate is the measured peak', async () => {
  const batch = await tinyBatch()
  const before = heldNow().numBytes
  await using run = await within(undefined, true)
  await run.step(batch)
  const peak = await peakWhile(() => run.step(batch))
  const { total, flops, instead } = run.certificate(sizes)
  assert.equal(peak - before, total)
  assert.ok(instead!.total > total && instead!.flops < flops)
})

/** The bytes that a refusal says the smallest plan holds. */
const smallestIn = (error: unknown): number =>
  byteCount(/is below the smallest plan of a step, which holds (.*): /.exec(String(error))?.[1] ?? '') ?? Number.NaN

test('a budget that no plan meets is refused with the smallest that can, before there are weights if the batch is named', async () => {
  await using plain = await within(undefined)
  const { weights, state } = plain.certificate(sizes)
  const below = weights + state + 1e3
  const named: unknown = await within(below).then(
    run => run[Symbol.asyncDispose](),
    (error: unknown) => error,
  )
  const smallest = smallestIn(named)
  assert.ok(named instanceof SessionError && smallest > below)
  await using enough = await within(smallest)
  assert.ok(enough.certificate(sizes).total <= smallest)
  // without the sizes of a batch it is refused as soon as there is one
  await using unnamed = await within(below, false, 'wasm', {})
  assert.throws(
    () => unnamed.certificate(sizes),
    error => smallestIn(error) === smallest,
  )
  await assert.rejects(
    within(1e5),
    new RegExp(
      `memory 100 KB is below the weights with the optimizer's state, which take ${bytesText(weights + state, 'up')}$`,
    ),
  )
  await assert.rejects(within(Number.NaN), /memory is NaN: give a number of bytes above 0/)
  await assert.rejects(within(-1), /memory is -1/)
})
