import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile, type TargetName } from '../../src/index.ts'
import { nodeTest } from '../support/native-library.ts'
import { openTiny, tinyBatch, tinyStep } from '../support/tiny-llama.ts'

/** More scored tokens than their dim has room for are never left out in silence. */
const refuses = async (target: TargetName): Promise<void> => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  const step = await tinyStep(loaded, 'paca')
  await using run = await compile(step, { target, weights: loaded.weights })
  const before = await run.read()
  const { tokens } = await run.step([batch])
  const says = {
    name: 'SessionError',
    message: `nonzero: ${tokens} positions do not fit into scored, which is ${tokens - 1}`,
  }
  await run.write(before)
  await assert.rejects(run.step([batch], { scored: tokens - 1 }), says)
  await assert.rejects(run.step([batch, batch], { scored: tokens - 1 }), says)
  await assert.rejects(run.gradients(batch, { scored: tokens - 1 }), says)
  await assert.rejects(run.evaluate(batch, { scored: tokens - 1 }), says)
  assert.deepEqual((await run.read()).focus, before.focus, 'nothing was updated')
  assert.equal((await run.step([batch], { scored: tokens })).tokens, tokens)
}
for (const target of ['reference', 'wasm'] as const)
  test(`scored tokens beyond their dim are refused on ${target}`, () => refuses(target))
nodeTest('and on graph', () => refuses('graph'))
