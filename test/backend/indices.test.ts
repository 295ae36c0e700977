import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  add,
  compile,
  crossEntropy,
  f32,
  full,
  i32,
  matmul,
  model,
  sgd,
  size,
  sum,
  trainStep,
  type TargetName,
  type Value,
} from '../../src/index.ts'
import { u } from '../../src/compiler.ts'
import {
  integer,
  interpret,
  node,
  placeholder,
  primitives,
  slice,
  take,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'
import { indexedBy } from '../../src/compile/index.ts'
import { devices } from '../support/devices.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { runOn } from '../support/run-on.ts'
import { plainTargets, untyped, valuesFor } from '../support/small-models.ts'

/**
 * An index beyond a dim is refused, on every target: nothing is read that is not there, and nothing counts from the
 * end.
 */

const words = (shift: number) =>
  model({
    params: { table: f32('vocab', 'hidden'), out: f32('hidden', 'classes') },
    batch: { ids: i32('batch', 2), y: i32('batch') },
    forward: (p, { ids }) => {
      const first = untyped(slice)(ids, 1, { as: 1 })
      const index = untyped(add)(node(primitives.reshape, [first], { shape: ['batch'] }), integer(shift))
      return untyped(matmul)(untyped(take)(p.table, index, 0), p.out)
    },
    loss: (logits, { y }) => ({ sum: sum(untyped(crossEntropy)(logits, y)), count: size('batch') }),
  })
const dims = { vocab: 5, hidden: 3, classes: 4 }
const batch = (ids: readonly number[], y: readonly number[]): never =>
  ({
    ids: { shape: ['batch', 2], sizes: [ids.length / 2, 2], dtype: 'i32', data: Int32Array.from(ids) },
    y: { shape: ['batch'], sizes: [y.length], dtype: 'i32', data: Int32Array.from(y) },
  }) satisfies Readonly<Record<string, Value<readonly (string | number)[], 'i32'>>> as never

const refuses = async (target: TargetName): Promise<void> => {
  for (const shift of [0, 1]) {
    const made = words(shift)
    const step = trainStep(adapt(made, full({ targets: ['all'] })), sgd({ lr: 0.1 }))
    await using run = await compile(step, { target, weights: valuesFor(made.params, dims) })
    const right = batch([0, 9, 3, 9], [0, 3])
    const before = (await run.read()).focus.table.data.slice()
    for (const [wrong, says] of [
      [batch([5 - shift, 0, 0, 0], [0, 0]), /index 5 is not below 5$/],
      [batch([0, 0, -1 - shift, 0], [0, 0]), /index -1 is not above -1$/],
      [batch([0, 0, 0, 0], [0, 4]), /index 4 is not below 4$/],
      [batch([0, 0, 0, 0], [-100, 0]), /index -100 is not above -1$/],
    ] as const) {
      const said = { name: 'SessionError', message: says }
      await assert.rejects(run.step([wrong]), said)
      await assert.rejects(run.step([right, wrong]), said)
      await assert.rejects(run.evaluate(wrong), said)
    }
    // labels do not concern the logits, and neither do the parts that a slice leaves out
    assert.equal(((await run.predict(batch([0, 9, 3, -9], [0, 77]))) as Value).sizes.join(), '2,4')
    assert.deepEqual((await run.read()).focus.table.data, before, 'nothing was updated')
    const first = (await run.step([right])).loss
    assert.ok((await run.step([right])).loss < first)
  }
}
for (const target of plainTargets)
  test(`an index of a batch, and one that is computed, is refused on ${target}, and the session goes on`, () =>
    refuses(target))
for (const target of ['node', 'graph'] as const) nodeTest(`and on ${target}`, () => refuses(target))

test('the leaves that are indices as they are given are told from those that only become one', () => {
  const ids = i32('batch', 2)
  const y = i32('batch')
  const table = f32('vocab', 'hidden')
  const flat = node(primitives.reshape, [ids], { shape: ['batch*2'] })
  const taken = u.take(table, flat, 0)
  const loss = u.crossEntropy(f32('batch', 'classes'), y)
  assert.deepEqual(indexedBy([taken, loss], [ids, y]), [
    { leaf: ids, within: 'vocab' },
    { leaf: y, within: 'classes' },
  ])
  const shifted = u.add(y, integer(1))
  const cut = u.slice(y, 0, { as: 1 })
  assert.deepEqual(
    indexedBy(
      [shifted, cut].map(index => u.take(table, index, 0)),
      [ids, y],
    ),
    [],
  )
  const p = placeholder(['batch'], 'i32')
  const block = { name: 'inner', parameters: [p], outputs: [u.take(table, p, 0)] }
  assert.deepEqual(indexedBy([node(primitives.call, [y], { block })], [y]), [{ leaf: y, within: 'vocab' }])
})

const numbers = (sizes: readonly number[], data: readonly number[]): Numbers => ({
  sizes,
  data: Float64Array.from(data),
})
/** An op on a value and an index, whichever comes first. */
const indexed = (
  at: number,
): Readonly<Record<string, { readonly root: Node; readonly feeds: readonly (readonly [Node, Numbers])[] }>> => {
  const index = i32(2)
  const x = f32(3, 2)
  const rows = f32(2, 2)
  const whole = i32(3, 2)
  const row = i32(2, 2)
  const given = [index, numbers([2], [0, at])] as const
  const numbersOf = (n: Node): readonly [Node, Numbers] => [
    n,
    numbers(
      n.shape as readonly number[],
      (n.shape as readonly number[]).reduce((a, b) => a * b) === 6 ? [1, 2, 3, 4, 5, 6] : [7, 8, 9, 10],
    ),
  ]
  const bits = u.less(whole, integer(3))
  const each = i32(2, 2)
  const ofEach = [each, numbers([2, 2], [0, 1, 0, at])] as const
  const on = (root: Node, ...of: readonly Node[]) => ({ root, feeds: [given, ...of.map(numbersOf)] })
  return {
    'take': on(u.take(x, index, 0), x),
    'take of integers': on(u.take(whole, index, 0), whole),
    'take of truth values': on(node(primitives.cast, [u.take(bits, index, 0)], { dtype: 'i32' }), whole),
    'put': on(u.put(x, index, rows, 0), x, rows),
    'put of integers': on(u.put(whole, index, row, 0), whole, row),
    'scatterAdd': on(u.scatterAdd(index, rows, 0, 3), rows),
    'scatterAdd of integers': on(u.scatterAdd(index, row, 0, 3), row),
    'takeAlong': { root: u.takeAlong(x, each, 0), feeds: [ofEach, numbersOf(x)] },
    'takeAlong of integers': { root: u.takeAlong(whole, each, 0), feeds: [ofEach, numbersOf(whole)] },
    'scatterAlong': { root: u.scatterAlong(each, rows, 0, 3), feeds: [ofEach, numbersOf(rows)] },
    'scatterAlong of integers': { root: u.scatterAlong(each, row, 0, 3), feeds: [ofEach, numbersOf(row)] },
  }
}
const run = async (device: never, { root, feeds }: ReturnType<typeof indexed>[string]): Promise<readonly number[]> =>
  Array.from(await runOn(device, { root, leaves: feeds.map(([leaf]) => leaf), feeds: new Map(feeds), size: Number }))
for (const [title, open] of devices) {
  test(
    `every op with an index refuses one that is not within its dim, on ${title}`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = (await open()) as never
      for (const at of [3, -1, 2 ** 31 - 1, -(2 ** 31)]) {
        for (const [name, one] of Object.entries(indexed(at))) {
          await assert.rejects(
            run(device, one),
            { name: 'SessionError', message: new RegExp(`^${name.split(' ')[0]}: index ${at} is not`) },
            `${name} ${at}`,
          )
        }
      }
      for (const one of Object.values(indexed(2))) {
        assert.deepEqual(await run(device, one), Array.from(interpret([one.root], new Map(one.feeds), Number)[0]!.data))
      }
      await (device as { dispose: () => Promise<void> }).dispose()
    },
  )
  test(
    `a query that sees nothing, or everything, reads no other row, on ${title}`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = (await open()) as never
      const scores = f32(2, 2, 5)
      const offset = i32()
      const data = Array.from({ length: 20 }, (_, i) => Math.sin(i))
      for (const start of [-1, -3, -100, 0, 9, 2 ** 31 - 1, -(2 ** 31)]) {
        const root = u.causalSoftmax(scores, offset)
        const feeds = [
          [scores, numbers([2, 2, 5], data)],
          [offset, numbers([], [start])],
        ] as const
        const found = await run(device, { root, feeds })
        const expected = interpret([root], new Map<Node, Numbers>(feeds), Number)[0]!.data
        expected.forEach((v, i) =>
          assert.ok(Math.abs(found[i]! - v) < 1e-6, `${start}: ${found[i]} is not ${v} at ${i}`),
        )
      }
      await (device as { dispose: () => Promise<void> }).dispose()
    },
  )
}
