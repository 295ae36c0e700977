import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  add,
  and,
  ceil,
  clip,
  equal,
  f32,
  floor,
  greater,
  i32,
  isFinite,
  isNaN,
  logSoftmax,
  not,
  notEqual,
  or,
  pow,
  remainder,
  round,
  select,
  softmax,
  sub,
  trunc,
  ShapeMismatch,
  type Node,
} from '../../src/index.ts'
import { interpret, placeholder, u } from '../../src/compiler.ts'

/** Additions of the typed functions of single numbers to their ops: numbers as operands, integers, and their errors. */

const n = f32('n')
const i = i32('n')
const bits = placeholder(['n'], 'bool')
const evaluated = (root: Node, feeds: ReadonlyMap<Node, readonly number[]>): readonly number[] => {
  const size = [...feeds.values()][0]!.length
  const data = new Map([...feeds].map(([x, values]) => [x, { sizes: [size], data: Float64Array.from(values) }]))
  return [...interpret([root], data, dim => (typeof dim === 'number' ? dim : size))[0]!.data]
}
/** The same numbers, of which no zero is told apart by its sign. */
const zeros = (all: readonly number[]): readonly number[] => all.map(v => v + 0)
/** The sentence of a refusal. `tsc` refuses most of these calls too. */
const refusal = (f: unknown, ...args: readonly unknown[]): string => {
  try {
    ;(f as (...all: readonly unknown[]) => Node)(...args)
  } catch (error) {
    assert.ok(error instanceof ShapeMismatch, String(error))
    return error.message
  }
  return assert.fail('nothing was refused')
}

test('a number on either side is a scalar with the dtype of the other', () => {
  assert.deepEqual(evaluated(sub(1, n), new Map([[n, [3, 0.5]]])), [-2, 0.5])
  assert.deepEqual(evaluated(sub(10, i), new Map([[i, [3, -2]]])), [7, 12])
  assert.equal(sub(10, i).dtype, 'i32')
  assert.deepEqual(evaluated(select(greater(0, n), -1, n), new Map([[n, [3, -5]]])), [3, -1])
})

test('a square is a product, and other powers are powers', () => {
  const feeds = new Map<Node, readonly number[]>([
    [n, [-3, 0.5]],
    [i, [-3, 7]],
  ])
  assert.equal(pow(n, 2).op, u.mul(n, n).op)
  assert.deepEqual(evaluated(pow(n, 2), feeds), [9, 0.25])
  assert.deepEqual(evaluated(pow(i, 2), feeds), [9, 49])
  assert.deepEqual(evaluated(pow(n, 3), feeds), [-27, 0.125])
  assert.deepEqual(evaluated(pow(2, n), feeds), [0.125, 2 ** 0.5])
  assert.equal(refusal(pow, bits, 2), 'pow: bool and f32 differ: cast one')
})

test('what does not fit is refused in one sentence that names the function', () => {
  assert.equal(refusal(add, i, 0.5), 'add: 0.5 is no 32-bit integer')
  assert.equal(refusal(sub, 2 ** 31, i), 'sub: 2147483648 is no 32-bit integer')
  assert.equal(refusal(clip, i, 0.5, 1), 'clip: 0.5 is no 32-bit integer')
  assert.equal(refusal(greater, n, i), 'greater: f32 and i32 differ: cast one')
  assert.equal(refusal(and, n, n), 'and: takes bool, not f32: cast it')
  assert.equal(refusal(not, i), 'not: takes bool, not i32: cast it')
  assert.equal(refusal(equal, bits, 1), 'equal: bool and f32 differ: cast one')
  assert.equal(refusal(select, n, n, n), 'select: the condition is f32, not bool')
  assert.equal(refusal(floor, bits), 'floor: takes f32, not bool: cast it')
})

test('logic has the truth tables of its names', () => {
  const other = placeholder(['n'], 'bool')
  const feeds = new Map([
    [bits, [0, 0, 1, 1]],
    [other, [0, 1, 0, 1]],
  ])
  const tables: readonly (readonly [Node, readonly number[]])[] = [
    [u.and(bits, other), [0, 0, 0, 1]],
    [u.or(bits, other), [0, 1, 1, 1]],
    [u.notEqual(bits, other), [0, 1, 1, 0]],
    [u.not(bits), [1, 1, 0, 0]],
  ]
  for (const [root, table] of tables) assert.deepEqual(evaluated(root, feeds), table)
  const [a, b] = [equal(n, 1), equal(n, 2)]
  for (const [root, table] of [
    [and(a, b), [0, 0, 0]],
    [or(a, b), [1, 1, 0]],
    [notEqual(a, not(b)), [0, 0, 1]],
  ] as const)
    assert.deepEqual(evaluated(root, new Map([[n, [1, 2, 3]]])), table)
})

test('NaN is found, and so is what is not finite', () => {
  const feeds = new Map([[n, [Number.NaN, Infinity, -Infinity, 3e38, 0]]])
  assert.deepEqual(evaluated(isNaN(n), feeds), [1, 0, 0, 0, 0])
  assert.deepEqual(evaluated(isFinite(n), feeds), [0, 0, 0, 1, 1])
})

test('roundings of reals, and of integers, which they leave unchanged', () => {
  const x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -1.2, 1.8]
  const feeds = new Map([[n, x]])
  assert.deepEqual(zeros(evaluated(floor(n), feeds)), [-3, -2, -1, 0, 1, 2, -2, 1])
  assert.deepEqual(zeros(evaluated(ceil(n), feeds)), [-2, -1, 0, 1, 2, 3, -1, 2])
  assert.deepEqual(zeros(evaluated(trunc(n), feeds)), [-2, -1, 0, 0, 1, 2, -1, 1])
  assert.deepEqual(zeros(evaluated(round(n), feeds)), [-2, -2, 0, 0, 2, 2, -1, 2])
  for (const f of [floor, ceil, trunc, round]) assert.ok(f(i) === i)
  assert.deepEqual(evaluated(clip(i, -1, 1), new Map([[i, [-3, 0, 7]]])), [-1, 0, 1])
})

test('a remainder has the sign of its divisor, as in Python', () => {
  // [7 % 3, -7 % 3, 7 % -3, -7 % -3] in Python
  const feeds = new Map<Node, readonly number[]>([
    [n, [7, -7, 7, -7]],
    [i, [3, 3, -3, -3]],
  ])
  assert.deepEqual(evaluated(u.remainder(n, u.cast(i, 'f32')), feeds), [1, 2, -2, -1])
  assert.deepEqual(zeros(evaluated(remainder(i, 2), new Map([[i, [3, -3, 4, -4]]]))), [1, 1, 0, 0])
  assert.deepEqual(evaluated(remainder(i, 0), new Map([[i, [3, -3]]])), [3, -3])
})

test('logSoftmax is the logarithm of softmax, without its underflow', () => {
  const feeds = new Map([[n, [1, 2, -3]]])
  const logs = evaluated(logSoftmax(n), feeds)
  evaluated(softmax(n), feeds).forEach((p, k) => assert.ok(Math.abs(Math.exp(logs[k]!) - p) < 1e-12))
  assert.deepEqual(zeros(evaluated(logSoftmax(n), new Map([[n, [0, -2000, -Infinity]]]))), [0, -2000, -Infinity])
})
