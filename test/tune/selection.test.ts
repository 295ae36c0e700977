import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  adapt,
  compile,
  f32,
  full,
  nn,
  orThrow,
  trainStep,
  type DType,
  type Shape,
  type TargetName,
  type Tensor,
  type Value,
} from '../../src/index.ts'
import {
  carryState,
  columnNorms,
  interpret,
  isValue,
  leaves,
  selectByScore,
  selectByWeight,
  squaredNorms,
  tensorsOf,
  type ColumnNormsState,
} from '../../src/compiler.ts'
import { openSafetensors } from '../../src/io.ts'
import { largest } from '../../src/tune/selection/score.ts'
import { noNode } from '../support/native-library.ts'
import { golden, openTiny, targets as names, tinyBatch } from '../support/tiny-llama.ts'
import type { Equal, Expect } from '../support/expect-type.ts'
import { trajectory } from '../support/trajectories.ts'

const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

test('the columns with the largest norm are those of PyTorch, for every module of the tiny LLaMA', async () => {
  const archive = await orThrow(openSafetensors(golden('selection.safetensors')))
  const { weights, checkpoint } = await openTiny()
  const isLazy = (leaf: unknown): leaf is { readonly read: () => Promise<Value<Shape>> } =>
    typeof leaf === 'object' && leaf !== null && 'read' in leaf
  try {
    const modules = leaves(weights, isLazy).filter(([path]) => archive.tensors.has(`column_l2.${path}`))
    assert.equal(modules.length, 14)
    for (const [path, leaf] of modules) {
      const { data: norms } = await archive.tensors.get(`column_l2.${path}`)!.read()
      const { data, sizes } = await leaf.read()
      const width = sizes[0]!
      squaredNorms(data, width).forEach((square, i) =>
        assert.ok(Math.abs(Math.sqrt(square) - norms[i]!) < 1e-5 * norms[i]!, path),
      )
      for (const rank of [1, 8, width]) assert.deepEqual(selectByWeight(data, width, rank), largest(norms, rank), path)
    }
  } finally {
    await archive.close()
    await checkpoint.close()
  }
})

/**
 * A selection is sorted and of the requested size, and no unselected column precedes a selected one: none has a larger
 * score, or an equal one that comes first.
 */
const topLaw = (choose: (scores: readonly number[], rank: number) => Int32Array) =>
  fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 12 }), fc.nat(), (scores, n) => {
    const rank = n % (scores.length + 1)
    const chosen = [...choose(scores, rank)]
    const taken = new Set(chosen)
    const before = (a: number, b: number): boolean => scores[a]! > scores[b]! || (!(scores[b]! > scores[a]!) && a < b)
    return (
      chosen.length === rank &&
      taken.size === rank &&
      chosen.every((c, i) => i === 0 || chosen[i - 1]! < c) &&
      scores.every((_, other) => taken.has(other) || chosen.every(c => before(c, other)))
    )
  })
test('the largest scores are chosen, of equal ones the first', () => {
  fc.assert(topLaw(largest))
})
test('choosing the last of equal scores is refuted', () => {
  const last = (scores: readonly number[], rank: number): Int32Array =>
    largest(scores.toReversed(), rank)
      .map(i => scores.length - 1 - i)
      .sort()
  assert.equal(fc.check(topLaw(last)).failed, true)
})

test('modules of one group are chosen by the sum of their scores; others by their own, each with its rank', () => {
  const scores = new Map([
    ['q', [3, 0, 2]],
    ['k', [0, 9, 2]],
    ['o', [1, 2, 3]],
  ])
  assert.deepEqual(
    [...selectByScore(scores, [['q', 'k', 'absent']], path => (path === 'k' ? 2 : 1))],
    [
      ['q', Int32Array.of(1)],
      ['k', Int32Array.of(1, 2)],
      ['o', Int32Array.of(2)],
    ],
  )
  assert.deepEqual(selectByScore(scores, [], () => 1).get('q'), Int32Array.of(0))
})

const tree = { up: f32('in', 'out'), layers: [{ g: f32('hidden') }] }
type State = ColumnNormsState<typeof tree>
export type Checks = [
  Expect<Equal<State['squares']['up'], Tensor<readonly ['in']>>>,
  Expect<Equal<State['squares']['layers'][number]['g'], Tensor<readonly ['hidden']>>>,
]

test('columnNorms sums the squared gradient of each column, and changes nothing', () => {
  const x = f32(2, 3)
  const transform = columnNorms()
  const [updates, next] = transform.update({ x }, transform.init({ x }), { x })
  assert.deepEqual(
    [tensorsOf(updates).map(([, leaf]) => leaf.shape), tensorsOf(next).map(([path, leaf]) => [path, leaf.shape])],
    [[[2, 3]], [['squares.x', [2]]]],
  )
  const start = { sizes: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) }
  assert.deepEqual(
    trajectory(transform, { x }, at => at, [start], 2),
    [[start], [start]],
  )
})

/** Selection by gradient, as the sum of squares of gradients that a session tells one by one. */
for (const target of ['reference', 'wasm', 'graph'] as const) {
  const skip = target === 'graph' && noNode ? noNode : false
  test(
    `on ${target} a session's state is the sum of squared gradients over its steps, and its weights stay`,
    { skip },
    async () => {
      const batch = await tinyBatch()
      const every: readonly string[] = names
      const open = async (on: TargetName) => {
        const { model, weights, checkpoint } = await openTiny()
        try {
          return await compile(trainStep(adapt(model, full({ targets: every })), columnNorms()), {
            target: on,
            threads: 1,
            weights,
          })
        } finally {
          await checkpoint.close()
        }
      }
      await using oracle = await open('reference')
      const expected = new Map(
        leaves(await oracle.gradients(batch), isFloats).map(([path, { data, sizes }]) => [
          path,
          squaredNorms(data, sizes[0]!),
        ]),
      )
      await using session = await open(target)
      const before = new Map(leaves((await session.read()).focus, isFloats))
      const losses: number[] = []
      for (let i = 0; i < 2; i++) losses.push((await session.step([batch])).loss)
      const { focus, state } = await session.read()
      const found = leaves(state.squares, isFloats)
      assert.equal(losses[0], losses[1])
      for (const [path, { data }] of leaves(focus, isFloats)) assert.deepEqual(data, before.get(path)!.data, path)
      assert.equal(found.length, 14)
      for (const [path, { data }] of found) {
        const once = expected.get(path)!
        data.forEach((sum, i) => assert.ok(Math.abs(sum - 2 * once[i]!) < 1e-3 * once[i]! + 1e-12, path))
      }
    },
  )
}

/** A state of Adam in which each row names its column. */
const stateOf = (columns: readonly number[], place: 'rows' | 'zeros' = 'rows') => {
  const moment = (sign: number): Value<Shape> => ({
    shape: [columns.length, 'out'],
    sizes: [columns.length, 2],
    dtype: 'f32',
    data: Float32Array.from(
      columns.flatMap(column => (place === 'rows' ? [sign * (column + 1), (sign * (column + 1)) / 2] : [0, 0])),
    ),
  })
  const count: Value<Shape, 'i32'> = { shape: [], sizes: [], dtype: 'i32', data: Int32Array.of(7) }
  return [{}, { mu: { layers: [{ q_proj: moment(1) }] }, nu: { layers: [{ q_proj: moment(-1) }] }, count }]
}
const rowsOf = (state: unknown): ReadonlyMap<string, Value<Shape, DType>> => new Map(leaves(state, isValue))
const picked = fc
  .uniqueArray(fc.nat({ max: 9 }), { minLength: 1, maxLength: 8 })
  .map(columns => columns.sort((a, b) => a - b))

/** Kept columns have their rows, new ones zeros, and counts stay. */
const carryLaw = (carry: typeof carryState) =>
  fc.property(picked, picked, (old, next) => {
    const at = (columns: readonly number[]) => new Map([['layers.0.q_proj', Int32Array.from(columns)]])
    const found = rowsOf(carry(at(old), at(next), stateOf(old)))
    return (
      [
        ['1.mu.layers.0.q_proj', 1],
        ['1.nu.layers.0.q_proj', -1],
      ].every(([path, sign]) => {
        const { sizes, shape, data } = found.get(String(path))!
        return (
          sizes.join() === `${next.length},2` &&
          shape.join() === `${next.length},out` &&
          next.every(
            (column, i) =>
              data[2 * i] === (old.includes(column) ? Number(sign) * (column + 1) : 0) &&
              data[2 * i + 1] === data[2 * i]! / 2,
          )
        )
      }) && found.get('1.count')!.data[0] === 7
    )
  })
test('re-selection moves the state of kept columns and starts new ones from zero', () => {
  fc.assert(carryLaw(carryState))
})
test('a state that stays where it is, and one that is forgotten, are refuted', () => {
  const resized =
    (by: (state: unknown, next: readonly number[]) => unknown): typeof carryState =>
    (_, next, state) =>
      by(
        state,
        [...next.values()].flatMap(columns => [...columns]),
      ) as typeof state
  const mutants = [
    resized((_, next) => stateOf(next, 'zeros')),
    resized((state, next) => {
      const old = (rowsOf(state).get('1.mu.layers.0.q_proj')!.data as Float32Array)
        .filter((_, i) => i % 2 === 0)
        .map(x => x - 1)
      return stateOf(next.map((_, i) => old[i] ?? -1))
    }),
  ]
  for (const mutant of mutants) assert.equal(fc.check(carryLaw(mutant)).failed, true)
})
test('carrying a state to the same selection changes nothing', () => {
  const columns = new Map([['layers.0.q_proj', Int32Array.of(1, 4)]])
  const state = stateOf([1, 4])
  assert.deepEqual(carryState(columns, columns, state), state)
})

// the columns of a convolution are on another axis
const kernelSizes = [2, 3, 4, 5]
const kernelData = Float32Array.from({ length: 120 }, (_, i) => Math.sin(i))
const channelOf = (i: number): number => Math.floor(i / 5) % 4
const squaresOfChannels = (data: ArrayLike<number>): readonly number[] =>
  [0, 1, 2, 3].map(channel => Array.from(data).reduce((sum, v, i) => (channelOf(i) === channel ? sum + v * v : sum), 0))

test('the columns of a convolution are its input channels: their norms, and those of their gradients', () => {
  const squares = squaresOfChannels(kernelData)
  squaredNorms(kernelData, 4, 5).forEach((v, i) => assert.ok(Math.abs(v - squares[i]!) < 1e-12))
  assert.deepEqual(selectByWeight(kernelData, 4, 2, 5), largest(squares, 2))
  const w = nn.Conv2d(4, 5, { size: [2, 3], bias: false }).weight
  const transform = columnNorms()
  const part = { w }
  const [, next] = transform.update(part, transform.init(part), part)
  const named: Tensor<readonly [4]> = next.squares.w
  const given = new Map([[w, { sizes: kernelSizes, data: Float64Array.from(kernelData) }]])
  const [found] = interpret([named], given, size => Number(size))
  found!.data.forEach((v, i) => assert.ok(Math.abs(v - squares[i]!) < 1e-12))
  const open = { w: f32(2, 3, 4, 5) }
  assert.throws(() => transform.init(open), /does not declare the axis of its inputs/)
})

test('a state is carried along the axis of the inputs, and refused along one that has not its columns', () => {
  const at = (...columns: readonly number[]) => new Map([['w', Int32Array.from(columns)]])
  const value = (...columns: readonly number[]): Value<Shape> => ({
    shape: ['places', columns.length, 2],
    sizes: [3, columns.length, 2],
    dtype: 'f32',
    data: Float32Array.from({ length: 6 * columns.length }, (_, i) => {
      const column = columns[Math.floor(i / 2) % columns.length]!
      return column < 0 ? 0 : 100 * Math.floor(i / (2 * columns.length)) + 10 * column + (i % 2) + 1
    }),
  })
  const carried = carryState(at(1, 4), at(4, 2, 1), { mu: { w: value(1, 4) } }, () => 1)
  // a column that is new has zeros
  assert.deepEqual(carried.mu.w, value(4, -1, 1))
  assert.throws(() => carryState(at(1, 4), at(4, 2), { mu: { w: value(1, 4) } }), {
    name: 'RangeError',
    message: 'carryState: mu.w is [3, 2, 2], and axis 0 does not have the 2 columns of w',
  })
})
