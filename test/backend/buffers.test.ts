import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  add,
  compile,
  f32,
  i32,
  init,
  mean,
  model,
  mul,
  nn,
  sgd,
  square,
  sub,
  tensor,
  trainStep,
  type Session,
  type TargetName,
  type Values,
} from '../../src/index.ts'
import { deviceEngine, openSession, referenceDevice, type Engine, type OpenEngine } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'

/** Buffers: state that a training step leaves together with the weights, and that nothing else changes. */

const targets: readonly TargetName[] = ['reference', 'cpu', 'wasm', 'node', 'graph']
const missing = (target: TargetName): string | false =>
  (target === 'graph' || target === 'node') && noNode !== undefined ? noNode : false

/**
 * Every micro-batch is counted, and halves a trail before it adds its mean, so that the order of batches counts; all of
 * these numbers are exact. The loss does not read what the trail is made of.
 */
const counting = model({
  params: { w: f32() },
  buffers: { count: i32(), trail: { total: f32() } },
  batch: { x: f32('batch'), of: f32('batch') },
  forward: (p, b, { count, trail: { total } }) => ({
    outputs: { y: mul(b.x, p.w), seen: nn.whenTraining(-1, total) },
    buffers: { count: add(count, 1), trail: { total: add(mul(total, 0.5), mean(b.of)) } },
  }),
  loss: ({ y }) => square(sub(y, 1)),
})
const step = trainStep(counting, sgd({ lr: 0.5 }))
const weights = { w: tensor(0.5) }
type Batch = Values<typeof counting.batch>
type Run = Pick<
  Session<
    typeof counting.params,
    typeof counting.params,
    unknown,
    unknown,
    typeof counting.batch,
    unknown,
    never,
    typeof counting.buffers
  >,
  'step' | 'evaluate' | 'predict' | 'perExample' | 'gradients' | 'params' | 'buffers' | 'write'
>
const batch = (of: number, x = 1): Batch => ({ x: tensor([x, x], ['batch']), of: tensor([of, of], ['batch']) })

interface State {
  readonly count: number
  readonly total: number
}
/** The buffers after some micro-batches, by plain arithmetic. */
const after = (from: State, batches: readonly number[]): State =>
  batches.reduce(({ count, total }, of) => ({ count: count + 1, total: total / 2 + of }), from)

/** A request, and what it leaves of the buffers. */
interface Request {
  readonly name: string
  readonly run: (run: Run) => Promise<unknown>
  readonly next: (from: State) => State
  readonly isRefused?: boolean
}
const numbers = fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 1, maxLength: 3 })
const unchanged = (from: State): State => from
const only = (name: string, run: Request['run']): fc.Arbitrary<Request> => fc.constant({ name, run, next: unchanged })
const requests: fc.Arbitrary<readonly Request[]> = fc.array(
  fc.oneof(
    numbers.map(all => ({
      name: `step ${all.join()}`,
      run: (run: Run) => run.step(all.map(of => batch(of))),
      next: (from: State) => after(from, all),
    })),
    fc.tuple(numbers, fc.constantFrom('loss', 'buffer')).map(([all, wrong]) => ({
      name: `step ${all.join()} with a wrong ${wrong}`,
      run: (run: Run) =>
        run.step([...all.map(of => batch(of)), wrong === 'loss' ? batch(0, Number.NaN) : batch(Number.NaN)]),
      next: unchanged,
      isRefused: true,
    })),
    fc.integer({ min: 0, max: 9 }).map(count => ({
      name: `write ${count}`,
      run: (run: Run) => run.write({ buffers: { count: tensor(count, [], { dtype: 'i32' }) } }),
      next: ({ total }: State) => ({ count, total }),
    })),
    only('evaluate', run => run.evaluate([batch(3), batch(4)])),
    only('predict', run => run.predict({ x: batch(3).x })),
    only('perExample', run => run.perExample(batch(3))),
    only('gradients', run => run.gradients(batch(3))),
    only('params', run => run.params()),
  ),
  { maxLength: 6 },
)
/** Runs requests, and holds the buffers after each to plain arithmetic, and the weights to themselves after a refusal. */
const checkRequests = async (run: Run, all: readonly Request[]): Promise<void> => {
  let state: State = { count: 0, total: 0 }
  for (const { name, run: ask, next, isRefused = false } of all) {
    const before = (await run.params()).w.data[0]
    await (isRefused ? assert.rejects(ask(run), { name: 'SessionError', message: /: nothing was updated$/ }) : ask(run))
    if (isRefused) assert.equal((await run.params()).w.data[0], before, name)
    state = next(state)
    const { count, trail } = await run.buffers()
    assert.deepEqual({ count: count.data[0], total: trail.total.data[0] }, state, name)
  }
}
const opened = (open: OpenEngine): Promise<Run & AsyncDisposable> =>
  openSession(step, open, { weights, buffers: init.buffers(counting) })
const law = (open: () => Promise<Run & AsyncDisposable>) =>
  fc.asyncProperty(requests, async all => {
    await using run = await open()
    await checkRequests(run, all)
  })
const plain: OpenEngine = (...of) => deviceEngine(referenceDevice())(...of)

test('a step moves the buffers batch after batch, a refused one moves nothing, and nothing else does', () =>
  fc.assert(
    law(() => opened(plain)),
    { numRuns: 60 },
  ))

/** An engine with another step. */
const changed =
  (change: (engine: Engine) => Engine['step']): OpenEngine =>
  async (...of) => {
    const loading = await plain(...of)
    return {
      ...loading,
      start: async own => {
        const engine = await loading.start(own)
        return { ...engine, step: change(engine) }
      },
    }
  }
const mutants: Readonly<Record<string, () => Promise<Run & AsyncDisposable>>> = {
  'micro-batches in another order': () => opened(changed(engine => all => engine.step(all.toReversed()))),
  'micro-batches that all read the first buffers': () =>
    opened(
      changed(engine => async all => {
        const { buffers } = await engine.step(all.slice(-1))
        return { ...(await engine.step(all)), buffers }
      }),
    ),
  'a wrong step that is taken for a right one': () =>
    opened(
      changed(engine => async all => {
        const made = await engine.step(all)
        return { ...made, loss: 0, gradNorm: 0 }
      }),
    ),
  'a step that updates the weights before it looks at the buffers': () =>
    opened(
      changed(engine => async all => {
        await engine.step([batchOf(all[0]!)])
        return engine.step(all)
      }),
    ),
  'an evaluation that trains': async () => {
    const run = await opened(plain)
    return {
      ...run,
      evaluate: async () => {
        await run.step([batch(1)])
        return run.evaluate(batch(1))
      },
    }
  },
}
/** The batch with a harmless trail, so that a step on it is made. */
const batchOf = (one: Parameters<Engine['step']>[0][number]): typeof one => ({
  ...one,
  values: new Map([...one.values, ['x', { sizes: [2], dtype: 'f32', data: Float32Array.of(1, 2) }]]),
})
for (const [name, open] of Object.entries(mutants))
  test(`the law refutes ${name}`, async () => {
    const { failed } = await fc.check(law(open), { numRuns: 200 })
    assert.ok(failed)
  })

for (const target of targets)
  test(`buffers follow the law on ${target}`, { skip: missing(target) }, async () => {
    await using run = await compile(step, { target, threads: 1, weights, buffers: init.buffers(counting) })
    const [all] = fc.sample(
      fc.array(requests, { minLength: 4, maxLength: 4 }).map(lists => lists.flat()),
      { numRuns: 1, seed: 15 },
    )
    await checkRequests(run, all!)
    // what an evaluation sees is the trail, and a training step its own
    const { total } = (await run.buffers()).trail
    const { seen } = await run.predict({ x: batch(0).x })
    assert.deepEqual([...seen.data], [...total.data])
    const computed = await run.compute((p, _, { count }) => ({ w: p.w, next: add(count, 1) }))
    assert.equal(computed.next.data[0], (await run.buffers()).count.data[0]! + 1)
  })

for (const target of targets.filter(name => name !== 'reference'))
  test(`a session continues from saved buffers bit for bit on ${target}`, { skip: missing(target) }, async () => {
    const open = (buffers: Values<typeof counting.buffers>) => compile(step, { target, threads: 1, weights, buffers })
    await using whole = await open(init.buffers(counting))
    await whole.step([batch(1, 0.3), batch(2, 0.7)])
    const saved = await whole.read()
    await using next = await open(saved.buffers)
    await next.write({ focus: saved.focus, state: saved.state })
    for (let k = 0; k < 3; k++)
      assert.deepEqual(await next.step(batch(k, 0.1 * k)), await whole.step(batch(k, 0.1 * k)))
    assert.deepEqual(await next.read(), await whole.read())
  })
