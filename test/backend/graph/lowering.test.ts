import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { interpret } from '../../../src/tensor/index.ts'
import { graphLowerings, hasXla } from '../../../src/backend/graph/index.ts'
import { instances, printed, registry, type Instance } from '../../support/op-subjects.ts'
import { nodeTest } from '../../support/native-library.ts'
import { native, resultsOf, type Lowering, type Result } from '../../support/graph-results.ts'

/** Data that a float with `bits` bits of fraction holds exactly. */
const rounded = (bits: number, instance: Instance): Instance => {
  const round = (v: number): number => {
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(v))) - bits)
    return v === 0 ? 0 : Math.round(v / unit) * unit
  }
  return {
    ...instance,
    feeds: new Map(
      [...instance.feeds].map(([leaf, { sizes, data }]) => [
        leaf,
        { sizes, data: leaf.dtype === 'f32' ? data.map(round) : data },
      ]),
    ),
  }
}

const ops = registry.map(([name]) => name)
/** So many instances of each op. */
const samples = (names: readonly string[], each: number, bits: number): readonly Instance[] =>
  registry
    .filter(([name]) => names.includes(name))
    .flatMap(([, subject]) => fc.sample(instances(subject), each))
    .map(instance => rounded(bits, instance))

/**
 * The allowed difference between a result and its meaning. `unit` is the largest number in the result, or in the
 * operands of a difference that the result is.
 */
type Tolerance = (expected: number, unit: number) => number
/** Float32 results of a few operations each: a few roundings of the largest value involved. */
const single: Tolerance = expected => 2e-5 * Math.max(1, Math.abs(expected))
/**
 * Operands are exact; a result in bf16 is rounded to 8 bits once or twice, each time by at most 2^-8 of the rounded
 * number. Cancellation in f32 is as in f32.
 */
const half: Tolerance = (expected, unit) => Math.max(2 ** -8 * (Math.abs(expected) + unit), single(expected, unit))

const largest = (numbers: ArrayLike<number>): number =>
  Array.from(numbers).reduce((most, v) => Math.max(most, Math.abs(v)), 0)

const check = (
  { root, leaves, feeds, size, sizes: named }: Instance,
  { sizes, data }: Result,
  tolerance: Tolerance,
): void => {
  const [expected] = interpret([root], feeds, size)
  // a probability near 1 is rounded before 1 is taken from it
  const unit = largest((root.op.name === 'crossEntropyGrad' ? feeds.get(leaves[2]!)! : expected!).data)
  const what = `${printed(root)} with ${JSON.stringify(named)}`
  assert.deepEqual(sizes, expected!.sizes, what)
  expected!.data.forEach((v, i) =>
    assert.ok(Math.abs(data[i]! - v) <= tolerance(v, unit), `${what}: ${data[i]} is not ${v}`),
  )
}

const checkAll = async (subjects: readonly Instance[], lowering: Lowering, tolerance: Tolerance): Promise<void> => {
  const results = await resultsOf(subjects, lowering)
  subjects.forEach((instance, i) => check(instance, results[i]!, tolerance))
}

for (const sizes of ['static', 'fed'] as const) {
  nodeTest(`every op in a graph is what it means, with sizes that are ${sizes}`, () =>
    checkAll(samples(ops, 6, 23), { sizes }, single),
  )
  nodeTest(
    `every op on bf16 values and with bf16 products is what it means to 2^-7, with sizes that are ${sizes}`,
    () => checkAll(samples(ops, 6, 7), { sizes, stored: 'bf16', compute: 'bf16' }, half),
  )
}

nodeTest('a wrong lowering is refuted', async () => {
  const lowerings = { ...graphLowerings, add: graphLowerings.sub }
  await assert.rejects(checkAll(samples(['add'], 4, 23), { sizes: 'static', lowerings }, single), /add .* is not/)
  await assert.rejects(
    checkAll(samples(['add'], 4, 7), { sizes: 'static', lowerings, stored: 'bf16', compute: 'bf16' }, half),
    /add .* is not/,
  )
})

/** XLA needs to know the sizes of its values; here they are data. */
const notCompiled = ['nonzero']

nodeTest('every op that XLA compiles is what it means', async t => {
  if (!(await hasXla(await native()))) {
    t.skip('this TensorFlow has no XLA')
    return
  }
  await checkAll(
    samples(
      ops.filter(name => !notCompiled.includes(name)),
      2,
      23,
    ),
    { sizes: 'static', xla: true },
    single,
  )
})
