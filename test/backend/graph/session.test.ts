import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { compile, SessionError, type TargetName, type Value, type Values } from '../../../src/index.ts'
import { isValue, leaves, openSession } from '../../../src/compiler.ts'
import type { CausalBatch } from '../../../src/model.ts'
import { graphEngine } from '../../../src/backend/graph/engine.ts'
import type { FloatType } from '../../../src/backend/graph/index.ts'
import { nodeTest } from '../../support/native-library.ts'
import { curves, openTiny, tinyBatch, tinyColumns, tinyStep, type CurveMethod } from '../../support/tiny-llama.ts'
import { apart, distance } from '../../support/distance.ts'

const batch = await tinyBatch()
const columns = await tinyColumns()
const methods = ['paca', 'full'] as const
const precisions = ['f32', 'bf16'] as const

/** A session of the tiny LLaMA: on graph, or on another target. */
const open = async (
  method: CurveMethod,
  { precision = 'f32', target = 'graph' }: { readonly precision?: FloatType; readonly target?: TargetName } = {},
) => {
  const loaded = await openTiny()
  try {
    return await compile(await tinyStep(loaded, method, columns), {
      target,
      threads: 1,
      precision,
      weights: loaded.weights,
    })
  } finally {
    await loaded.checkpoint.close()
  }
}
type Opened = Awaited<ReturnType<typeof open>>

/** A session that tests share: each gets it as it was at first. */
const opened = new Map<string, { readonly session: Opened; readonly first: Awaited<ReturnType<Opened['read']>> }>()
const shared = async (
  method: CurveMethod,
  precision: FloatType = 'f32',
  target: TargetName = 'graph',
): Promise<Opened> => {
  const key = `${method} ${precision} ${target}`
  const known = opened.get(key)
  if (known) {
    await known.session.write(known.first)
    return known.session
  }
  const session = await open(method, { precision, target })
  opened.set(key, { session, first: await session.read() })
  return session
}
after(async () => {
  for (const { session } of opened.values()) await session[Symbol.asyncDispose]()
})

const losses = async (session: Pick<Opened, 'step'>, steps: number): Promise<readonly number[]> => {
  const found: number[] = []
  for (let i = 0; i < steps; i++) found.push((await session.step([batch])).loss)
  return found
}
/** Some rows and positions of the batch, with tokens scored from the ninth on. */
const part = (rows: readonly number[], length: number): Values<CausalBatch> => {
  const of = ({ data, ...rest }: Values<CausalBatch>['labels']): Values<CausalBatch>['labels'] => ({
    ...rest,
    sizes: [rows.length, length],
    data: Int32Array.from(rows.flatMap(row => Array.from(data.slice(24 * row, 24 * row + length)))),
  })
  return { input_ids: of(batch.input_ids), labels: of(batch.labels) }
}
const near = (a: number, b: number, relative: number): boolean => Math.abs(a - b) <= relative * Math.abs(b)

/**
 * In bf16 losses from 5.7 down to 2.1 are off by 0.0032 at most on a processor with AVX-512, and by 0.015 on one
 * without, whose products round otherwise: ten steps gain hundreds of times as much.
 */
const bf16 = 2e-2
for (const method of methods) {
  nodeTest(`the ten-step curve of ${method} in bf16 is PyTorch's to ${bf16}, and in bf16 indeed`, async () => {
    const session = await shared(method, 'bf16')
    const found = await losses(session, curves.recipe.steps)
    const { sum, count } = await session.evaluate(batch)
    const off = distance([...found, sum / count], curves[method])
    // in f32 it is off by 1e-6
    assert.ok(1e-4 < off && off < bf16, `${off}: ${[...found, sum / count].join()} is not ${curves[method].join()}`)
    assert.ok(session.bytes() < (await shared(method)).bytes())
    assert.match(session.target, /bf16$/)
  })
  nodeTest(`${method} without XLA takes the steps that PyTorch takes`, async () => {
    const loaded = await openTiny()
    await using session = await openSession(
      await tinyStep(loaded, method, columns),
      await graphEngine({ precision: 'f32', xla: false }),
      { weights: loaded.weights },
    )
    await loaded.checkpoint.close()
    assert.ok(distance(await losses(session, 3), curves[method].slice(0, 3)) < 1e-5)
    const compiled = await shared(method)
    await compiled.write(await session.read())
    assert.ok(distance((await session.predict(batch)).logits.data, (await compiled.predict(batch)).logits.data) < 1e-4)
  })
  nodeTest(
    `${method}: evaluate, logits and gradients are those of reference, for batches of different sizes`,
    async () => {
      const session = await shared(method)
      const reference = await shared(method, 'f32', 'reference')
      for (const given of [part([0], 10), batch, part([1, 0, 1], 13)]) {
        const [found, expected] = [await session.evaluate(given), await reference.evaluate(given)]
        assert.equal(found.count, expected.count)
        assert.ok(near(found.sum, expected.sum, 1e-5), `${found.sum}, not ${expected.sum}`)
        assert.ok(
          distance((await session.predict(given)).logits.data, (await reference.predict(given)).logits.data) < 1e-4,
        )
        assert.ok(apart(await session.gradients(given), await reference.gradients(given)) < 1e-5)
      }
      // nothing of the gradients is left for a step
      const [found, expected] = [await session.step([batch]), await reference.step([batch])]
      assert.ok(near(found.loss, expected.loss, 1e-5) && near(found.gradNorm, expected.gradNorm, 1e-5))
    },
  )
  nodeTest(
    `${method}: micro-batches of different sizes are one batch: counts are summed, and divided once`,
    async () => {
      const session = await shared(method)
      const one = await session.step([batch])
      const after = await session.read()
      const two = await (await shared(method)).step([part([0], 24), part([1], 24)])
      assert.ok(two.tokens === one.tokens && near(two.loss, one.loss, 1e-5) && near(two.gradNorm, one.gradNorm, 1e-5))
      assert.ok(apart(await session.read(), after) < 1e-4)
      // of the last no token is scored
      const unlike = [part([1], 9), part([0, 1], 13), part([1, 0, 1], 5)]
      const reference = await shared(method, 'f32', 'reference')
      await reference.write(await session.read())
      const [found, expected] = [await session.step(unlike), await reference.step(unlike)]
      assert.ok(
        found.tokens === expected.tokens &&
          near(found.loss, expected.loss, 1e-5) &&
          near(found.gradNorm, expected.gradNorm, 1e-4),
      )
      assert.ok(apart((await session.read()).focus, (await reference.read()).focus) < 1e-4)
    },
  )
  for (const precision of precisions) {
    nodeTest(
      `${method} in ${precision}: evaluate, and a step of micro-batches, report the loss that a step reports`,
      async () => {
        const session = await shared(method, precision)
        const { sum, count } = await session.evaluate(batch)
        const { loss } = await session.step([batch])
        assert.ok(near(sum / count, loss, 1e-6), `${sum / count}, not ${loss}`)
        const twice = await (await shared(method, precision)).step([batch, batch])
        assert.ok(near(twice.loss, loss, 1e-6), `${twice.loss}, not ${loss}`)
      },
    )
    nodeTest(
      `${method} in ${precision}: what is read can be written into another session, which goes on as the first would`,
      async () => {
        const first = await shared(method, precision)
        await losses(first, 3)
        const saved = await first.read()
        const expected = await losses(first, 2)
        await using second = await open(method, { precision })
        await second.step([batch])
        await second.write(saved)
        assert.deepEqual(await second.read(), saved)
        assert.ok(distance(await losses(second, 2), expected) < 1e-6)
        const wasm = await shared(method, 'f32', 'wasm')
        await wasm.write(saved)
        assert.ok(distance(await losses(wasm, 2), expected) < (precision === 'f32' ? 1e-4 : bf16))
      },
    )
    nodeTest(
      `${method} in ${precision}: a step whose loss is not finite is refused, and nothing is updated`,
      async () => {
        const session = await shared(method, precision)
        await session.step([batch])
        const good = await session.read()
        const logits = (await session.predict(batch)).logits
        const [[, first]] = leaves(good.focus, isValue) as readonly [readonly [string, Value]]
        const kept = first.data[0]!
        first.data[0] = Number.NaN
        await session.write(good)
        const before = await session.read()
        assert.ok(leaves(before.focus, isValue).some(([, { data }]) => data.some(Number.isNaN)))
        for (const batches of [[batch], [part([0], 24), part([1], 24)]]) {
          await assert.rejects(
            session.step(batches),
            error => error instanceof SessionError && /^the loss is NaN: nothing was updated$/.test(error.message),
          )
          assert.deepEqual(await session.read(), before)
        }
        // nor was anything else: with the number back, all is as it was
        first.data[0] = kept
        await session.write(good)
        assert.deepEqual((await session.predict(batch)).logits, logits)
      },
    )
  }
}

nodeTest('a batch without a scored token is refused, and nothing is updated', async () => {
  const session = await shared('paca')
  const none = { ...batch, labels: { ...batch.labels, data: batch.labels.data.map(() => -100) } }
  const before = await session.read()
  for (const batches of [[none], [none, none]])
    await assert.rejects(session.step(batches), /^SessionError: the step has no scored token$/)
  assert.deepEqual(await session.read(), before)
})

for (const precision of precisions) {
  nodeTest(`a step in ${precision} leaves everything outside the focus bit for bit as it was`, async () => {
    const session = await shared('paca', precision)
    const { focus } = await session.read()
    const logits = (await session.predict(batch)).logits
    await losses(session, 3)
    const { state } = await session.read()
    assert.notDeepEqual((await session.predict(batch)).logits, logits)
    await session.write({ focus, state })
    assert.deepEqual((await session.predict(batch)).logits, logits)
  })
  nodeTest(
    `decoders in ${precision} that are given a sequence in pieces give the logits of the whole, each its own`,
    async () => {
      const session = await shared('paca', precision)
      const rows = [part([0], 24), part([1], 24)]
      const vocab = 320
      const tolerance = precision === 'f32' ? 1e-4 : 5e-2
      const whole = [(await session.predict(rows[0]!)).logits, (await session.predict(rows[1]!)).logits]
      const decoders = [session.decoder({ batch: 1, capacity: 32 }), session.decoder({ batch: 1, capacity: 24 })]
      const piece = async (which: number, from: number, to: number): Promise<void> => {
        const { data } = await decoders[which]!.next({
          shape: ['batch', 'seq'],
          sizes: [1, to - from],
          dtype: 'i32',
          data: rows[which]!.input_ids.data.slice(from, to),
        })
        assert.ok(
          distance(data, whole[which]!.data.slice(from * vocab, to * vocab)) < tolerance,
          `tokens ${from} to ${to}`,
        )
      }
      for (const [which, from, to] of [
        [0, 0, 8],
        [1, 0, 3],
        [0, 8, 9],
        [1, 3, 9],
        [0, 9, 10],
        [0, 10, 18],
        [1, 9, 24],
      ] as const)
        await piece(which, from, to)
      decoders[0]!.rewind(9)
      await piece(0, 9, 10)
      await assert.rejects(piece(1, 0, 1), /24 \+ 1 tokens do not fit into a capacity of 24/)
      assert.ok(distance(whole[0]!.data, whole[1]!.data) > 0.1)
      for (const decoder of decoders) decoder[Symbol.dispose]()
    },
  )
}

/** tfjs's own engine, to count the tensors that it holds; its published types require the DOM's. */
interface Engine {
  readonly state: { readonly numBytes: number; readonly numTensors: number }
}
const { engine } = createRequire(import.meta.url)('@tensorflow/tfjs-core') as { readonly engine: () => Engine }
const held = (): readonly number[] => [engine().state.numTensors, engine().state.numBytes]

nodeTest(
  'thirty steps hold what one holds; nothing is left after a session, which refuses everything then',
  async () => {
    const before = held()
    const temporary = process.env['TMPDIR']
    const folder = await mkdtemp(path.join(tmpdir(), 'partensor-test-'))
    process.env['TMPDIR'] = folder
    const session = await open('full', { precision: 'bf16' })
    // the graph was read, and its file is gone
    assert.deepEqual(await readdir(folder), [])
    await rm(folder, { recursive: true })
    if (temporary === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = temporary
    await losses(session, 5)
    const bytes = session.bytes()
    const resident = process.memoryUsage.rss()
    for (let i = 0; i < 30; i++) {
      await session.step([batch])
      assert.deepEqual([session.bytes(), ...held()], [bytes, ...before])
    }
    // a step that left its weights or activations behind would leave two megabytes each time
    assert.ok(process.memoryUsage.rss() - resident < 30e6, `${process.memoryUsage.rss() - resident} bytes more`)
    for (let i = 0; i < 2; i++) await session[Symbol.asyncDispose]()
    await assert.rejects(session.step([batch]), /^SessionError: the session is disposed$/)
    assert.deepEqual(held(), before)
  },
)
