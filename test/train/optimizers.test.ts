import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { loadAdapter } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { chooseOptimizer, type OptimizerChoice } from '../../src/train/index.ts'
import { loadMoments } from '../../src/train/finetune.ts'
import { optimizerNames, type OptimizerName } from '../../src/tune/index.ts'
import { golden } from '../support/command-line.ts'
import { at, data, tuned } from '../support/finetuned.ts'

/** Rates at which the first updates go far: those of radam are plain momentum. */
const rates: Partial<Readonly<Record<OptimizerName, number>>> = { radam: 1 }
/** Runs of every optimizer with its own settings, and of those that remember more with others. */
const choices: readonly (readonly [name: string, choice: Omit<OptimizerChoice, 'clip'>])[] = [
  ...optimizerNames.map(optimizer => [optimizer, { optimizer, lr: rates[optimizer] ?? 1e-2 }] as const),
  ['sgd-momentum', { optimizer: 'sgd', optimizerArgs: { momentum: 0.9 }, lr: 1 }],
  ['lion-b1', { optimizer: 'lion', optimizerArgs: { b1: 0.95, b2: 0.98 }, weightDecay: 0.3, lr: 1e-2 }],
]
const short = { data, rank: 4 } as const
const messages = ({ events }: Awaited<ReturnType<typeof tuned>>): readonly string[] =>
  events.flatMap(event => (event.event === 'warning' ? [event.message] : []))

for (const [name, choice] of choices) {
  test(`${name}: two runs of two steps, with the optimizer saved between them, are one run of four`, async () => {
    const whole = await tuned(`${name}-four`, { ...short, ...choice, steps: 4 })
    const first = await tuned(`${name}-two`, { ...short, ...choice, saveOptimizer: true })
    const second = await tuned(`${name}-more`, { ...choice, adapter: first.out })
    assert.deepEqual(messages(second), [])
    const off = Math.abs(second.done.evalLossAfter! - whole.done.evalLossAfter!)
    assert.ok(off < 1e-6, `${off}`)
    const moments = await orThrow(loadMoments(first.out))
    assert.equal(moments?.optimizer, choice.optimizer)
    // mutant: a run that has forgotten what the optimizer remembered goes elsewhere
    await rm(join(first.out, 'optimizer'), { recursive: true })
    const forgetful = await tuned(`${name}-forgetful`, { ...choice, adapter: first.out })
    const apart = Math.abs(forgetful.done.evalLossAfter! - whole.done.evalLossAfter!)
    if (moments!.values.size > 0) assert.ok(apart > 1e-4, `${apart}`)
    else assert.ok(apart < 1e-6, `${apart}`)
  })
}

// the targets agree on every transform: test/backend/optimizers.test.ts
for (const [name, choice] of choices.filter(([name]) => optimizerNames.indexOf(name as OptimizerName) < 2))
  test(`${name}: wasm learns what reference learns`, async () => {
    const [one, two] = [
      await tuned(`${name}-wasm`, { ...short, ...choice }),
      await tuned(`${name}-reference`, { ...short, ...choice, target: 'reference' }),
    ]
    assert.ok(one.done.evalLossAfter! < one.done.evalLossBefore!)
    assert.ok(Math.abs(one.done.evalLossAfter! - two.done.evalLossAfter!) < 1e-3)
  })

test('an adapter says which optimizer it was trained with, at which settings, defaults included', async () => {
  const { out } = await tuned('said', { ...short, optimizer: 'lion', lr: undefined, weightDecay: undefined })
  const { optimizer, lr, weightDecay, b1, b2 } = (await orThrow(loadAdapter(out))).settings
  assert.deepEqual(
    { optimizer, lr, weightDecay, b1, b2 },
    { optimizer: 'lion', lr: 1e-5, weightDecay: 0.1, b1: 0.9, b2: 0.99 },
  )
})

test("another optimizer's moments are not taken, and a warning tells", async () => {
  const first = await tuned('of-adamw', { ...short, saveOptimizer: true })
  const lion = { optimizer: 'lion', adapter: first.out } as const
  const second = await tuned('then-lion', lion)
  assert.deepEqual(messages(second), [
    `${first.out}: the optimizer's moments are those of adamw, and this run has lion: they begin at zero`,
  ])
  await rm(join(first.out, 'optimizer'), { recursive: true })
  const plain = await tuned('plain-lion', lion)
  assert.deepEqual(messages(plain), [])
  assert.equal(second.done.evalLossAfter, plain.done.evalLossAfter)
})

test('moments of 0.1.0, whose file names no optimizer, are those of adamw', async () => {
  const directory = at('earlier')
  await cp(join(golden, 'earlier/paca'), directory, { recursive: true })
  const moments = (await orThrow(loadMoments(directory)))!
  assert.equal(moments.optimizer, 'adamw')
  assert.deepEqual([...new Set([...moments.values.keys()].map(path => path.split('.')[0]))], ['count', 'mu', 'nu'])
  const taken = await tuned('earlier-on', { adapter: directory })
  assert.deepEqual(messages(taken), [])
  // mutant: without them the run goes elsewhere
  await rm(join(directory, 'optimizer'), { recursive: true })
  const plain = await tuned('earlier-plain', { adapter: directory })
  assert.ok(Math.abs(plain.done.evalLossAfter! - taken.done.evalLossAfter!) > 1e-4)
})

const refusals: readonly (readonly [OptimizerName, Readonly<Record<string, number>>, RegExp])[] = [
  ['lion', { eps: 1e-8 }, /^--optimizer lion takes no eps: it takes b1, b2$/],
  ['sgd', { b1: 0.9 }, /^--optimizer sgd takes no b1: it takes momentum$/],
  ['adamw', { b2: 1 }, /^adam: b2 is 1: it is a finite number, at least 0, below 1$/],
  ['sgd', { momentum: 2 }, /^the decay of momentum is 2: /],
]
for (const [optimizer, optimizerArgs, says] of refusals) {
  test(`${optimizer} with ${JSON.stringify(optimizerArgs)} is refused before anything is read`, async () => {
    const chosen = chooseOptimizer({ optimizer, optimizerArgs, clip: 1 })
    assert.ok(E.isLeft(chosen))
    assert.match(chosen.left.message, says)
    await assert.rejects(tuned('refused', { optimizer, optimizerArgs, data: 'missing.jsonl' }), ({ message }: Error) =>
      says.test(message),
    )
  })
}
