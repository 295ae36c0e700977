import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as p from '../../src/index.ts'
import type { Node } from '../../src/index.ts'
import { gradients, interpret, placeholder, whole } from '../../src/compiler.ts'
import { hasXla } from '../../src/backend/graph/index.ts'
import { devices } from '../support/devices.ts'
import { native, resultsOf } from '../support/graph-results.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import type { Instance } from '../support/op-subjects.ts'
import { runOn } from '../support/run-on.ts'

/** Values and gradients of elementwise functions on every target, against PyTorch's and against float64. */

interface Golden {
  readonly name: string
  readonly sizes: readonly number[]
  readonly operands: readonly (readonly (number | string)[])[]
  readonly cotangent: readonly (number | string)[]
  readonly y: readonly (number | string)[]
  readonly gradients: readonly (readonly (number | string)[])[]
}
const golden = JSON.parse(
  readFileSync(new URL('../golden/elementwise/elementwise.json', import.meta.url), 'utf8'),
) as readonly Golden[]

type X = p.Tensor<readonly ['n']>
/** The functions of the language by the names in the golden file, if these differ from theirs. */
const named: Readonly<Record<string, (x: X, y: X) => Node>> = {
  'clip': x => p.clip(x, -1, 1),
  'clip above': x => p.clip(x, -Infinity, 3),
  'leakyRelu': x => p.nn.leakyRelu(x),
  'leakyRelu 0.2': x => p.nn.leakyRelu(x, 0.2),
  'elu': x => p.nn.elu(x),
  'elu 0.5': x => p.nn.elu(x, 0.5),
  'celu': x => p.nn.celu(x),
  'celu 0.5': x => p.nn.celu(x, 0.5),
  'gelu': x => p.gelu(x),
  'gelu tanh': x => p.gelu(x, { approximate: 'tanh' }),
  'hardTanh': x => p.nn.hardTanh(x),
  'hardTanh -2 3': x => p.nn.hardTanh(x, -2, 3),
  'remainder': p.remainder,
  'atan2': p.atan2,
  'pow': p.pow,
  'clip by tensors': (x, high) => p.clip(x, -Infinity, high),
}
const plain: Readonly<Record<string, unknown>> = { ...p.nn, ...p }
const functionOf = (name: string): ((x: X, y: X) => Node) =>
  // every other name in the golden file is that of a function of one tensor
  named[name] ?? (plain[name] as (x: X) => Node)

/** An expression with data, and the numbers that are expected. */
interface Case {
  readonly name: string
  readonly instance: Instance
  readonly expected: readonly number[]
}
const dataOf = (values: readonly (number | string)[]): readonly number[] => values.map(Number)
const instanceOf = (root: Node, feeds: Instance['feeds']): Instance => ({
  root,
  leaves: [...feeds.keys()],
  differentiable: [],
  feeds,
  sizes: {},
  size: Number,
})
const casesOf = ({ name, sizes, operands, cotangent, y, gradients: due }: Golden): readonly Case[] => {
  const leaf = (): Node => placeholder(sizes, 'f32')
  const leaves = operands.map(leaf)
  const dy = leaf()
  const [a, b] = leaves as [X, X]
  const root = functionOf(name)(a, b)
  const feeds = new Map(
    [...leaves, dy].map((x, i) => [x, { sizes, data: Float64Array.from(dataOf([...operands, cotangent][i]!)) }]),
  )
  const found = gradients([root], [dy], leaves.map(whole)).gradients
  const given = new Map([...feeds].filter(([x]) => x !== dy))
  return [
    { name, instance: instanceOf(root, given), expected: dataOf(y) },
    ...found.map((g, i): Case => ({
      name: `the gradient of ${name}${i === 0 ? '' : ' in its second operand'}`,
      instance: instanceOf(g, feeds),
      expected: dataOf(due[i]!),
    })),
  ]
}

const same = (found: number, expected: number, tolerance: number): boolean =>
  Object.is(found, expected) ||
  found === expected ||
  (Number.isNaN(found) && Number.isNaN(expected)) ||
  Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected))
const faultsOf = ({ name, instance, expected }: Case, found: ArrayLike<number>, tolerance: number): readonly string[] =>
  expected.flatMap((v, i) => {
    const x = instance.leaves.map(leaf => instance.feeds.get(leaf)!.data[i]).join(', ')
    return same(found[i]!, v, tolerance) ? [] : [`${name} at ${x}: ${found[i]} is not ${v}`]
  })
const none = (faults: readonly string[]): void => {
  assert.equal(faults.length, 0, faults.slice(0, 200).join('\n'))
}

const cases = golden.flatMap(casesOf)
test('the golden file covers every function of one real number that is exported', () => {
  assert.ok(cases.length > 100)
  for (const { name } of golden) assert.equal(typeof functionOf(name), 'function', name)
})
for (const [title, open] of devices) {
  test(
    `elementwise functions and their gradients are PyTorch's on ${title}`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      try {
        const faults: string[] = []
        for (const one of cases)
          faults.push(...faultsOf(one, await runOn(device, one.instance), title === 'reference' ? 1e-6 : 2e-5))
        none(faults)
      } finally {
        await device.dispose()
      }
    },
  )
}
for (const xla of [false, true])
  nodeTest(
    `elementwise functions and their gradients are PyTorch's in a graph${xla ? ' that XLA compiles' : ''}`,
    async t => {
      if (xla && !(await hasXla(await native()))) {
        t.skip('this TensorFlow has no XLA')
        return
      }
      const results = await resultsOf(
        cases.map(({ instance }) => instance),
        { sizes: 'static', xla },
      )
      none(cases.flatMap((one, i) => faultsOf(one, results[i]!.data, 2e-5)))
    },
  )
test('a wrong gradient is refuted', () => {
  const { instance, expected, name } = cases.find(one => one.name === 'the gradient of softplus')!
  const [found] = interpret([p.mul(instance.root as X, 1.001)], instance.feeds, instance.size)
  assert.ok(faultsOf({ instance, expected, name }, found!.data, 2e-5).length > 0)
})

/** Small numbers of both signs, exact in float32. */
const small = Array.from({ length: 60 }, (_, i) => Math.fround((i % 2 === 0 ? 1 : -1) * 10 ** -(i / 4 + 0.6)))
const negative = Array.from({ length: 40 }, (_, i) => Math.fround(-1 - 2.1 * i))
/** Functions with the points at which all digits of their float32 results count. */
const precise: Readonly<Record<string, readonly [(x: X) => Node, (x: number) => number, readonly number[]]>> = {
  log1p: [p.log1p, Math.log1p, small],
  expm1: [p.expm1, Math.expm1, small],
  sinh: [p.sinh, Math.sinh, small],
  asinh: [p.asinh, Math.asinh, small],
  atanh: [p.atanh, Math.atanh, small],
  tan: [p.tan, Math.tan, small],
  asin: [p.asin, Math.asin, small],
  atan: [p.atan, Math.atan, small],
  elu: [x => p.nn.elu(x), x => (x > 0 ? x : Math.expm1(x)), small],
  softplus: [p.nn.softplus, x => Math.log1p(Math.exp(x)), negative],
  logSigmoid: [x => p.nn.logSigmoid(p.neg(x)), x => -Math.log1p(Math.exp(x)), negative],
}
const preciseCases = Object.entries(precise).map(([name, [f, meaning, points]]): Case => {
  const x = placeholder([points.length], 'f32')
  const feeds = new Map([[x, { sizes: [points.length], data: Float64Array.from(points) }]])
  return { name, instance: instanceOf(f(x as X), feeds), expected: points.map(meaning) }
})
/** Relative to the number itself, however small; below the normal numbers of float32 it is that of their smallest. */
const imprecise = ({ name, instance, expected }: Case, found: ArrayLike<number>): readonly string[] =>
  expected.flatMap((v, i) =>
    Math.abs(found[i]! - v) <= 3e-6 * Math.abs(v) + 2e-38
      ? []
      : [`${name} of ${instance.feeds.get(instance.leaves[0]!)!.data[i]}: ${found[i]} is not ${v}`],
  )
for (const [title, open] of devices) {
  test(
    `functions are precise where their results are small, on ${title}`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      try {
        const faults: string[] = []
        for (const one of preciseCases) faults.push(...imprecise(one, await runOn(device, one.instance)))
        none(faults)
      } finally {
        await device.dispose()
      }
    },
  )
}
for (const xla of [false, true])
  nodeTest(`and in a graph${xla ? ' that XLA compiles' : ''}`, async t => {
    if (xla && !(await hasXla(await native()))) {
      t.skip('this TensorFlow has no XLA')
      return
    }
    const results = await resultsOf(
      preciseCases.map(({ instance }) => instance),
      { sizes: 'static', xla },
    )
    none(preciseCases.flatMap((one, i) => imprecise(one, results[i]!.data)))
  })
test('the logarithm of 1 + x is refuted where x is small', () => {
  const one = preciseCases.find(({ name }) => name === 'log1p')!
  const rounded = small.map(x => Math.log(Math.fround(1 + x)))
  assert.ok(imprecise(one, rounded).length > 20)
})
