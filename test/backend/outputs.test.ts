import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  adapt,
  add,
  compile,
  crossEntropy,
  equal,
  f32,
  full,
  i32,
  lora,
  matmul,
  max,
  mean,
  model,
  mul,
  relu,
  sgd,
  size,
  square,
  sum,
  trainStep,
  cast,
  type Averaged,
  type TargetName,
  type Value,
} from '../../src/index.ts'
import { distance } from '../support/distance.ts'
import { nodeTest } from '../support/native-library.ts'
import { nativeTargets, plainTargets } from '../support/small-models.ts'
import { uniform } from '../../src/index.ts'

/** Answers of a session about a model with named outputs, a loss for each example, and metrics. */

const network = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch'), weight: f32('batch') },
  forward: (p, b) => {
    const code = relu(matmul(b.x, p.up))
    return { code, scores: { logits: matmul(code, p.down) } }
  },
  loss: ({ scores }, b) => crossEntropy(scores.logits, b.y),
  metrics: {
    top: ({ scores }) => max(scores.logits, -1),
    weighted: ({ scores }, b) => ({ sum: sum(mul(max(scores.logits, -1), b.weight)), count: sum(b.weight) }),
    penalty: (_, __, p) => ({ mean: mean(square(p.up)), over: 'batch' }),
  },
})
const sizes = { pixels: 5, hidden: 4, classes: 3 }
const random = <const S extends readonly string[]>(shape: S, of: readonly number[], stream: number): Value<S> => ({
  shape,
  sizes: of,
  dtype: 'f32',
  data: uniform(
    0,
    stream,
    of.reduce((a, b) => a * b, 1),
  ).map(x => x - 0.5),
})
const weights = {
  up: random(['pixels', 'hidden'], [sizes.pixels, sizes.hidden], 1),
  down: random(['hidden', 'classes'], [sizes.hidden, sizes.classes], 2),
}
const batchOf = (rows: number, stream = rows) => ({
  x: random(['batch', 'pixels'], [rows, sizes.pixels], 10 + stream),
  y: {
    shape: ['batch'],
    sizes: [rows],
    dtype: 'i32',
    data: Int32Array.from({ length: rows }, (_, i) => i % 3),
  } as const,
  weight: { ...random(['batch'], [rows], 30 + stream), data: uniform(3, stream, rows) },
})

/** The same by plain loops in float64. */
const byHand = (batches: readonly ReturnType<typeof batchOf>[]) => {
  const rows = batches.flatMap(({ x, y, weight }) =>
    Array.from(y.data, (label, r) => {
      const pixels = Array.from(x.data.subarray(r * 5, r * 5 + 5))
      const code = Array.from({ length: 4 }, (_, h) =>
        Math.max(
          0,
          pixels.reduce((total, v, p) => total + v * weights.up.data[p * 4 + h]!, 0),
        ),
      )
      const logits = Array.from({ length: 3 }, (_, c) =>
        code.reduce((total, v, h) => total + v * weights.down.data[h * 3 + c]!, 0),
      )
      const total = Math.log(logits.reduce((all, v) => all + Math.exp(v), 0))
      return { code, logits, loss: total - logits[label]!, weight: weight.data[r]! }
    }),
  )
  const of = (f: (row: (typeof rows)[number]) => number): number => rows.reduce((total, row) => total + f(row), 0)
  return {
    rows,
    loss: of(row => row.loss) / rows.length,
    top: of(row => Math.max(...row.logits)) / rows.length,
    weighted: of(row => Math.max(...row.logits) * row.weight) / of(row => row.weight),
    penalty: weights.up.data.reduce((total, v) => total + v * v, 0) / weights.up.data.length,
  }
}
const near = (a: number, b: number, what: string, tolerance = 1e-5): void => {
  assert.ok(Math.abs(a - b) < tolerance, `${what} is ${a}, not ${b}`)
}
const on = (target: TargetName, name: string, run: () => Promise<void>): void => {
  const title = `${name}, on ${target}`
  if ((nativeTargets as readonly string[]).includes(target)) nodeTest(title, run)
  else test(title, run)
}

for (const target of [...plainTargets, ...nativeTargets]) {
  on(target, 'a session of a model answers by name, for several sizes of batches', async () => {
    await using run = await compile(network, { target, weights })
    const batches = [batchOf(3), batchOf(2), batchOf(3, 7)]
    const expected = byHand(batches)
    const { loss, count, metrics } = await run.evaluate(batches)
    near(loss, expected.loss, 'the loss')
    assert.equal(count, 8)
    near(metrics.top, expected.top, 'top')
    near(metrics.weighted, expected.weighted, 'weighted')
    near(metrics.penalty, expected.penalty, 'penalty')

    const [first] = batches
    const one = byHand([first!])
    // labels and weights are not needed to predict
    const { code, scores } = await run.predict({ x: first!.x })
    assert.deepEqual(
      [code.shape, code.sizes],
      [
        ['batch', 'hidden'],
        [3, 4],
      ],
    )
    assert.ok(
      distance(
        code.data,
        one.rows.flatMap(row => row.code),
      ) < 1e-5,
    )
    assert.ok(
      distance(
        scores.logits.data,
        one.rows.flatMap(row => row.logits),
      ) < 1e-5,
    )

    const each = await run.perExample(first!)
    assert.deepEqual(each.sizes, [3])
    assert.ok(
      distance(
        each.data,
        one.rows.map(row => row.loss),
      ) < 1e-5,
    )
    const doubled = (p: typeof network.params, b: typeof network.batch) => ({
      twice: matmul(mul(b.x, 2), p.up),
      hits: equal(b.y, b.y),
    })
    const computed = await run.compute(doubled, { x: first!.x, y: first!.y })
    assert.deepEqual([...computed.hits.data], [1, 1, 1])
    assert.equal(computed.hits.dtype, 'bool')
    const held = run.bytes()
    near(
      computed.twice.data[0]!,
      2 * first!.x.data.subarray(0, 5).reduce((total, v, p) => total + v * weights.up.data[p * 4]!, 0),
      'an expression',
    )
    assert.ok(distance((await run.compute(p => p.up)).data, weights.up.data) === 0)
    await run.compute(doubled, { x: first!.x, y: first!.y })
    if (target !== 'graph') assert.equal(run.bytes(), held, 'what is computed leaves nothing')
    await assert.rejects(run.predict({ y: first!.y } as never), { message: 'the batch has no x' })
    await assert.rejects(run.compute(doubled, { x: first!.x }), { message: 'the batch has no y' })
    await assert.rejects(run.predict({ x: first!.x, z: first!.x } as never), {
      message: 'the batch has z, which is not declared',
    })
  })

  on(target, 'parameters are read as the model sees them, and parts are written', async () => {
    const step = trainStep(
      adapt(network, lora({ targets: ['up', 'down'], rank: 2, alpha: 2, seed: 0 })),
      sgd({ lr: 0.1 }),
    )
    await using run = await compile(step, { target, weights })
    const before = await run.params()
    assert.ok(distance(before.up.data, weights.up.data) < 1e-6, 'B is zero at first')
    await run.step(batchOf(3))
    await run.step([batchOf(3), batchOf(2)])
    const after = await run.params()
    assert.ok(distance(after.up.data, weights.up.data) > 1e-5)
    // a session on these weights computes the same
    await using merged = await compile(network, { target, weights: after })
    const [found, expected] = [await merged.evaluate(batchOf(4)), await run.evaluate(batchOf(4))]
    near(found.loss, expected.loss, 'the loss of the merged weights')
    const { focus } = await run.read()
    const zero = { ...focus.up.lora_B, data: focus.up.lora_B.data.map(() => 0) }
    await run.write({ focus: { up: { lora_B: zero } } })
    const written = await run.params()
    assert.ok(distance(written.up.data, weights.up.data) < 1e-6)
    assert.ok(distance(written.down.data, after.down.data) === 0, 'the other leaves keep their values')
  })
}

const regression = (
  loss: (error: ReturnType<typeof matmul<readonly ['batch', 'in'], readonly ['in', 'out']>>) => Averaged,
) =>
  model({
    params: { w: f32('in', 'out') },
    batch: { x: f32('batch', 'in') },
    forward: (p, b) => matmul(b.x, p.w),
    loss,
  })
const forms = {
  'a tensor': regression(out => square(out)),
  'a mean': regression(out => mean(square(out))),
  'a mean over dims': regression(out => ({ mean: mean(square(out)), over: ['batch', 'out'] })),
  'a sum and a count': regression(out => ({ sum: sum(square(out)), count: size('batch', 'out') })),
}
const small = { w: random(['in', 'out'], [3, 2], 5) }
const rows = (n: number, stream: number) => ({ x: random(['batch', 'in'], [n, 3], stream) })

test('every form of a loss trains alike over micro-batches of different sizes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }), async counts => {
      const batches = counts.map((n, i) => rows(n, i + 1))
      const trained = await Promise.all(
        Object.values(forms).map(async form => {
          const step = trainStep(adapt(form, full({ targets: ['w'] })), sgd({ lr: 0.1 }))
          await using run = await compile(step, { target: 'reference', weights: small })
          const { loss } = await run.step(batches)
          return [loss, ...(await run.read()).focus.w.data, (await run.evaluate(batches)).loss]
        }),
      )
      for (const one of trained) assert.ok(distance(one, trained[0]!) < 1e-6, JSON.stringify(trained))
    }),
    { numRuns: 30 },
  )
})

test('of a scalar only the value for a whole batch is known: batches of one size are averaged, others are refused', async () => {
  const whole = regression(out => add(mean(square(out)), 1))
  await using run = await compile(whole, { target: 'reference', weights: small })
  const [a, b] = [await run.evaluate(rows(2, 1)), await run.evaluate(rows(2, 2))]
  near((await run.evaluate([rows(2, 1), rows(2, 2)])).loss, (a.loss + b.loss) / 2, 'the mean of two batches')
  const refused = {
    message:
      "the loss is one number for a whole batch, and the batches have different sizes: return one number for each example, or { mean, over: 'batch' }",
  }
  await assert.rejects(run.evaluate([rows(2, 1), rows(3, 2)]), refused)
  const step = trainStep(adapt(whole, full({ targets: ['w'] })), sgd({ lr: 0.1 }))
  await using training = await compile(step, { target: 'reference', weights: small })
  await assert.rejects(training.step([rows(2, 1), rows(3, 2)]), refused)
  await assert.rejects(training.perExample(rows(2, 1)), {
    message: 'the loss of the model is no number for each example: return a tensor of them',
  })
})

test('wrong forms are refused by one sentence', async () => {
  const opens = (loss: unknown): Promise<unknown> =>
    compile(regression(loss as never), { target: 'reference', weights: small })
  const kinds =
    'the loss is one number for each example, their mean(…), { mean, over: dim } with a scalar mean, or { sum, count } with two scalars'
  await assert.rejects(
    opens(() => 3),
    { message: `${kinds}; its sum is missing` },
  )
  await assert.rejects(
    opens(() => cast(i32(), 'i32')),
    { message: `${kinds}; it is [] i32` },
  )
  await assert.rejects(
    opens(() => ({ sum: f32(2), count: size('batch') })),
    { message: `${kinds}; its sum is [2] f32` },
  )
  await assert.rejects(
    opens(() => ({ mean: f32(2), over: 'batch' })),
    { message: `${kinds}; its mean is [2] f32` },
  )
  await assert.rejects(
    opens(() => ({ mean: size('batch') })),
    {
      message: "the loss is a mean over undefined: specify the name of a dim, such as 'batch'",
    },
  )
  const only = model({
    params: { w: f32('in', 'out') },
    batch: { x: f32('batch', 'in') },
    forward: (p, b) => matmul(b.x, p.w),
  })
  await using run = await compile(only, { target: 'reference', weights: small })
  assert.deepEqual((await run.predict(rows(2, 1))).sizes, [2, 2])
  await assert.rejects(run.evaluate(rows(2, 1)), { message: 'the model has no loss: it can predict' })
  await assert.rejects(run.evaluate([]), { message: 'there is no batch to evaluate' })
  await assert.rejects(
    run.compute(() => 3),
    { message: 'compute takes a function that gives a tensor, or a tree of tensors' },
  )
  const nothing = model({ params: only.params, batch: only.batch, forward: () => 3 })
  await assert.rejects(compile(nothing, { target: 'reference', weights: small }), {
    message: 'the forward of a model gives a tensor, or a tree of tensors: it gives none',
  })
})
