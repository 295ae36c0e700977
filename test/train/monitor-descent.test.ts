import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  accumulate,
  adamw,
  adapt,
  chain,
  clipByGlobalNorm,
  compile,
  f32,
  masked,
  monitorDescent,
  paca,
  sgd,
  trainStep,
  type Fn,
  type StepResult,
  type TargetName,
  type Transform,
} from '../../src/index.ts'
import { noNode } from '../support/native-library.ts'
import { openTiny, targets, tinyBatch } from '../support/tiny-llama.ts'

const names: readonly string[] = targets
const everyTarget: readonly TargetName[] = ['reference', 'wasm', 'graph']
const missing = (target: TargetName): string | false => (target === 'graph' && noNode !== undefined ? noNode : false)

/** Steps on one batch, the report of each, and the state of the last transform. */
const ran = async <F extends Fn>(target: TargetName, transform: Transform<F>, steps: number) => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  await using session = await compile(
    trainStep(adapt(loaded.model, paca({ targets: names, rank: 4, seed: 0 })), transform),
    { target, threads: 1, weights: loaded.weights },
  )
  await loaded.checkpoint.close()
  const results: StepResult[] = []
  for (let k = 0; k < steps; k++) results.push(await session.step([batch]))
  return { results, state: (await session.read()).state }
}
type State = Readonly<
  Record<'count' | 'value' | 'directional' | 'squared' | 'slack' | 'curvature' | 'ascents' | 'violations', number>
>
const numbersOf = (state: Readonly<Record<string, { readonly data: ArrayLike<number> }>>): State =>
  Object.fromEntries(Object.entries(state).map(([name, { data }]) => [name, data[0]!])) as State
const close = (found: number, due: number, what: string, tolerance = 1e-3): void =>
  assert.ok(Math.abs(found - due) <= tolerance * Math.max(1e-3, Math.abs(due)), `${what} is ${found}, not ${due}`)

for (const target of everyTarget) {
  test(
    `over gradient descent it finds what losses and norms say, on ${target}`,
    { skip: missing(target) },
    async () => {
      const lr = 0.5
      const lipschitz = 2
      const { results, state } = await ran(target, chain(sgd({ lr }), monitorDescent({ lipschitz })), 5)
      const found = numbersOf(state[1])
      const checked = results.slice(1).map(({ loss: next }, k) => {
        const { loss, gradNorm } = results[k]!
        const square = gradNorm ** 2
        return {
          slack: loss - lr * (1 - (lr * lipschitz) / 2) * square - next,
          needed: (2 * (next - loss + lr * square)) / (lr * lr * square),
        }
      })
      assert.equal(found.count, 5)
      close(found.slack, Math.min(...checked.map(({ slack }) => slack)), 'the least slack')
      close(found.curvature, Math.max(...checked.map(({ needed }) => needed)), 'the curvature', 1e-2)
      close(found.value, results[4]!.loss, 'the loss')
      close(found.squared, (lr * results[4]!.gradNorm) ** 2, 'the squared norm of the update')
      close(found.directional, -lr * results[4]!.gradNorm ** 2, 'the directional derivative')
      assert.ok(found.ascents === 0 && found.violations === 0, 'the loss fell, as the bound says')
    },
  )
}

test('a Lipschitz constant that is too small is violated, a rate that is too high ascends; neither hides the other', async () => {
  const small = numbersOf(
    (await ran('reference', chain(sgd({ lr: 0.5 }), monitorDescent({ lipschitz: 0 })), 5)).state[1],
  )
  assert.ok(small.violations === 4 && small.ascents === 0 && small.slack < 0, `${JSON.stringify(small)}`)
  const fast = numbersOf(
    (await ran('reference', chain(sgd({ lr: 40 }), monitorDescent({ lipschitz: 1e4 })), 5)).state[1],
  )
  assert.ok(fast.ascents > 0 && fast.violations === 0, `${JSON.stringify(fast)}`)
})

test('it changes no update, and knows the gradient from before the chain', async () => {
  const plain = await ran('reference', chain(clipByGlobalNorm(0.1), adamw({ lr: 1e-2 })), 4)
  const watched = await ran(
    'reference',
    chain(clipByGlobalNorm(0.1), adamw({ lr: 1e-2 }), monitorDescent({ lipschitz: 10 })),
    4,
  )
  assert.deepEqual(watched.results, plain.results)
  // ⟨g, u⟩ with the clipped gradient would be ‖g‖ / 0.1 times smaller
  const found = numbersOf(watched.state[2])
  const slope = -found.directional / (Math.sqrt(found.squared) * watched.results[3]!.gradNorm)
  assert.ok(slope > 0.05 && slope <= 1, `the cosine of descent and gradient is ${slope}`)
})

test('inside masked it sees the leaves that are selected', async () => {
  const where = (path: string): boolean => path.endsWith('up_proj')
  const { results, state } = await ran(
    'reference',
    chain(sgd({ lr: 1 }), masked(monitorDescent({ lipschitz: 1 }), { by: 'path', where })),
    2,
  )
  const { squared, directional } = numbersOf(state[1])
  assert.ok(squared > 0 && squared < 0.9 * results[1]!.gradNorm ** 2)
  close(directional, -squared, 'with η = 1, ⟨g, u⟩ is −‖u‖²')
})

test('where the loss is not known it is refused in one sentence', () => {
  const part = { w: f32('in', 'out') }
  const transform = accumulate(monitorDescent({ lipschitz: 1 }), 2)
  assert.throws(() => transform.update(part, transform.init(part), part), {
    message: 'monitorDescent: the loss of a step is not known here: put it last in the chain of the training step',
  })
})
