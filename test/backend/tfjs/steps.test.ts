import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { faultsOf, rowsOf, stepsOp } from '../../../src/compile/index.ts'
import { planOf, type Plan } from '../../../src/compile/plan.ts'
import { placeholder, u, type Node, type Shape } from '../../../src/tensor/index.ts'
import type { Device } from '../../../src/backend/index.ts'
import { wasmDevice } from '../../../src/backend/tfjs/wasm-device.ts'

/** Elementwise ops that follow one another run as one instruction, with the very numbers that they have one by one. */

const shapes: readonly Shape[] = [['a', 'b'], ['b'], ['a', 1], []]
const unary = [u.neg, u.abs, u.exp, u.tanh, u.sigmoid, u.sqrt, u.log, u.rsqrt, u.log1p, u.erf]
const binary = [u.add, u.sub, u.mul, u.div, u.maximum, u.minimum]
const comparisons = [u.equal, u.notEqual, u.less, u.lessEqual, u.greater, u.greaterEqual]
const logical = [u.and, u.or]

interface Program {
  readonly inputs: readonly Node[]
  readonly outputs: readonly Node[]
}
/** Each step is a decision: an op, and which of the values made so far it reads. */
const programs: fc.Arbitrary<Program> = fc
  .record({
    steps: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat()), { minLength: 2, maxLength: 30 }),
    outputs: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  })
  .map(({ steps, outputs }) => {
    const inputs = shapes.map(shape => placeholder(shape, 'f32'))
    const values: Node[] = [...inputs]
    const truths: Node[] = [u.less(inputs[0]!, inputs[1]!)]
    const of = <A>(all: readonly A[], i: number): A => all[i % all.length]!
    for (const [kind, op, i, j] of steps) {
      if (kind % 8 < 2) values.push(of(unary, op)(of(values, i)))
      else if (kind % 8 < 5) values.push(of(binary, op)(of(values, i), of(values, j)))
      else if (kind % 8 === 5) truths.push(of(comparisons, op)(of(values, i), of(values, j)))
      else if (kind % 8 === 6) values.push(u.select(of(truths, op), of(values, i), of(values, j)))
      else truths.push(op % 3 === 0 ? u.not(of(truths, i)) : of(logical, op)(of(truths, i), of(truths, j)))
    }
    values.push(u.cast(truths.at(-1)!, 'f32'))
    const roots = outputs.map(i => of([...values.slice(shapes.length), ...truths], i))
    return { inputs, outputs: [...new Set(roots), values.at(-1)!] }
  })

const numbers = [0, -0, 1, -1, 0.5, -2.25, 1e-8, -3e7, Infinity, -Infinity, Number.NaN]
const run = async <H>(device: Device<H>, plan: Plan, size: (dim: string | number) => number) => {
  const before = device.bytes()
  const given = plan.inputs.map((slot, k) => {
    const { sizes } = plan.slots[slot]!
    const n = sizes.reduce((all, length) => all * length, 1)
    const data = Float32Array.from({ length: n }, (_, i) => numbers[(i * 7 + k * 3) % numbers.length]! * (1 + (i % 5)))
    return device.upload({ sizes, dtype: 'f32', data })
  })
  const results = await device.run(plan, given, size)
  const found = []
  for (const result of results) found.push((await device.download(result)).data)
  for (const handle of [...results, ...given]) device.free(handle)
  assert.equal(device.bytes(), before, 'nothing is left')
  return found
}
const instructionsOf = ({ instructions }: Plan) =>
  instructions.filter(({ kind }) => kind === 'run' || kind === 'update').length

test('steps have the numbers of their ops, bit for bit, for sizes that fill no lanes and no blocks', async () => {
  const device = await wasmDevice({ threads: 1 })
  let joinedOnce = 0
  await fc.assert(
    fc.asyncProperty(
      programs,
      fc.constantFrom(1, 2, 3, 5),
      fc.constantFrom(1, 3, 4, 7, 255, 259, 600),
      async (of, a, b) => {
        const size = (dim: string | number): number => (dim === 'a' ? a : dim === 'b' ? b : Number(dim))
        const { inPlace, isStep } = device.traits
        const apart = planOf({ ...of, size, inPlace })
        const together = planOf({ ...of, size, inPlace, isStep: isStep! })
        assert.deepEqual(faultsOf(together), [])
        joinedOnce += instructionsOf(apart) - instructionsOf(together)
        const [expected, found] = [await run(device, apart, size), await run(device, together, size)]
        expected.forEach((data, i) =>
          data.forEach((v, k) =>
            assert.ok(Object.is(v, found[i]![k]), `output ${i}[${k}] is ${found[i]![k]}, not ${v}`),
          ),
        )
      },
    ),
    { numRuns: 200 },
  )
  assert.ok(joinedOnce > 200, 'instructions were joined')
  await device.dispose()
})

test('a result that is read elsewhere is an instruction of its own, and every other step is inside', () => {
  const [x, y] = [placeholder(['a', 'b'], 'f32'), placeholder(['b'], 'f32')]
  const z = placeholder([4, 'a', 'b'], 'f32')
  const size = (dim: string | number): number => (dim === 'a' ? 2 : 3)
  const isStep = (n: Node): boolean => n.op.kind === 'elementwise'
  const shared = u.exp(u.add(x, y))
  const of = (outputs: readonly Node[]): readonly string[] =>
    planOf({ inputs: [x, y, z], outputs, size, isStep }).instructions.flatMap(i =>
      i.kind === 'run' ? [i.node.op.name] : [],
    )
  assert.deepEqual(of([u.mul(shared, u.neg(shared))]), [stepsOp.name])
  assert.deepEqual(of([u.mul(shared, u.neg(shared)), shared]), [stepsOp.name, stepsOp.name])
  // after a sum the values before it are computed again, for x and y are there, but a product that is not cheap is kept
  assert.deepEqual(of([u.mul(shared, u.sum(shared, [1], true))]), [stepsOp.name, 'sum', stepsOp.name])
  const dear = u.sum(u.mul(z, z), [0])
  assert.deepEqual(of([u.mul(dear, u.sum(dear, [1], true))]), ['mul', 'sum', 'sum', 'mul'])
})

test('operands are rows and columns of a result, or there is no such division', () => {
  assert.deepEqual(rowsOf([32, 64], [[32, 64], [64], [32, 1], []]), {
    rows: 32,
    columns: 64,
    readings: [
      { row: 64, column: 1 },
      { row: 0, column: 1 },
      { row: 1, column: 0 },
      { row: 0, column: 0 },
    ],
  })
  assert.deepEqual(rowsOf([2, 1, 3, 4], [[2, 1, 3, 4], [1]])?.columns, 24)
  assert.equal(
    rowsOf(
      [2, 3, 4],
      [
        [2, 3, 4],
        [2, 1, 4],
      ],
    ),
    undefined,
  )
})
