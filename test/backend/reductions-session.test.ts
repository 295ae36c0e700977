import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  add,
  all,
  any,
  argmax,
  argsort,
  cast,
  compile,
  cumsum,
  div,
  f32,
  full,
  i32,
  less,
  logSumExp,
  matmul,
  max,
  median,
  min,
  model,
  mul,
  norm,
  oneHot,
  prod,
  repeat,
  scalar,
  sgd,
  sort,
  square,
  std,
  sub,
  sum,
  take,
  takeAlong,
  tanh,
  tensor,
  topK,
  trainStep,
  variance,
  type TargetName,
} from '../../src/index.ts'
import { noNode } from '../support/native-library.ts'
import { valuesFor } from '../support/small-models.ts'

// Reductions, orders and elements along an axis as parts of a model, in repeated layers too, trained on every target.

const layer = () => ({ w: f32('hidden', 'hidden'), scale: f32('hidden') })
const network = model({
  params: { table: f32('vocab', 'hidden'), layers: [layer(), layer(), layer()], head: f32('hidden', 'classes') },
  batch: { ids: i32('batch', 'seq'), label: i32('batch'), place: i32('batch', 1, 'hidden') },
  forward: (p, b) => {
    const x = repeat(p.layers, take(p.table, b.ids, 0), (h, { w, scale }) => {
      const normed = div(sub(h, min(h, 'hidden', true)), add(std(h, 'hidden', true), 0.1))
      const running = mul(cumsum(sort(normed, 'seq', { descending: true }), 'seq', { exclusive: true }), 0.1)
      return add(h, tanh(mul(matmul(add(normed, running), w), scale)))
    })
    const chosen = takeAlong(x, b.place, 'seq')
    const pooled = add(add(max(x, 'seq'), logSumExp(x, 'seq')), mul(prod(x, 'seq'), 0.1))
    const logits = matmul(add(div(pooled, norm(pooled, -1, true)), sum(chosen, 1)), p.head)
    return {
      logp: sub(logits, logSumExp(logits, 'classes', true)),
      top: topK(logits, 2).values,
      middle: median(x, 'seq'),
      best: argmax(logits, 'classes'),
      order: argsort(logits, -1, { descending: true }),
      flags: cast(any(less(logits, 0), 'classes'), 'f32'),
      one: cast(all(less(logits, 9)), 'f32'),
      spread: variance(logits, ['batch', 'classes'], false, { correction: 1 }),
    }
  },
  loss: ({ logp, top, spread, middle }, b) => {
    const picked = sum(mul(logp, oneHot(b.label, 'classes')), 'classes')
    return { sum: sub(add(sum(square(top)), sum(middle)), add(sum(picked), mul(spread, 0.1))), count: scalar(3) }
  },
})
const dims = { vocab: 7, hidden: 5, classes: 4, batch: 3, seq: 4 }
const batch = {
  ids: tensor(
    [
      [0, 6, 1, 2],
      [1, 2, 5, 2],
      [3, 3, 4, 0],
    ],
    ['batch', 'seq'],
    { dtype: 'i32' },
  ),
  label: tensor([3, 0, 2], ['batch'], { dtype: 'i32' }),
  place: tensor([[[0, 3, 1, 2, 2]], [[1, 1, 1, 0, 3]], [[2, 0, 0, 3, 1]]], ['batch', 1, 'hidden'], { dtype: 'i32' }),
}

const train = async (target: TargetName, threads: number) => {
  const step = trainStep(adapt(network, full({ targets: ['all'] })), sgd({ lr: 0.02 }))
  await using run = await compile(step, {
    target,
    threads,
    weights: valuesFor(network.params, dims, 5),
    dims: { batch: 3, seq: 4 },
  })
  const { table, layers, head } = await run.gradients(batch)
  const losses: number[] = []
  for (let k = 0; k < 3; k++) losses.push((await run.step(batch)).loss)
  const outputs = await run.predict(batch)
  return {
    losses,
    table: [...table.data],
    layers: layers.flatMap(({ w, scale }) => [...w.data, ...scale.data]),
    head: [...head.data],
    ...Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data)])),
  }
}

const expected = await train('reference', 1)
const differences = (found: Awaited<ReturnType<typeof train>>, tolerance: number): readonly string[] =>
  Object.entries(expected).flatMap(([key, of]) => {
    const other = found[key as keyof typeof found]
    return of.length !== other.length
      ? [`${key} has ${other.length} numbers`]
      : of.flatMap((v, i) =>
          Math.abs(other[i]! - v) <= tolerance * Math.max(1, Math.abs(v))
            ? []
            : [`${key}[${i}] is ${other[i]}, not ${v}`],
        )
  })

test('on reference the loss falls, and every output has numbers', () => {
  assert.ok(
    expected.losses.every((loss, i) => Number.isFinite(loss) && (i === 0 || loss < expected.losses[i - 1]!)),
    expected.losses.join(),
  )
  assert.deepEqual(Object.keys(expected).sort(), [
    'best',
    'flags',
    'head',
    'layers',
    'logp',
    'losses',
    'middle',
    'one',
    'order',
    'spread',
    'table',
    'top',
  ])
  assert.ok(expected.table.some(v => v !== 0) && expected.layers.some(v => v !== 0))
})
for (const [target, threads] of [
  ['cpu', 1],
  ['node', 1],
  ['wasm', 1],
  ['wasm', 2],
  ['graph', 1],
] as const) {
  const skip = (target === 'node' || target === 'graph') && noNode !== undefined ? noNode : false
  test(
    `a model of reductions and orders is trained on ${target} with ${threads} thread(s) as on reference`,
    { skip },
    async () => {
      assert.deepEqual(differences(await train(target, threads), 1e-4), [])
    },
  )
}
test('a wrong number is refuted', () => {
  assert.deepEqual(differences({ ...expected, losses: expected.losses.map(v => v + 0.01) }, 1e-4).length, 3)
})
