import assert from 'node:assert/strict'
import { test } from 'node:test'
import { i32, random, type Node } from '../../src/index.ts'
import { interpret, type Numbers } from '../../src/compiler.ts'
import { devices } from '../support/devices.ts'
import { resultsOf } from '../support/graph-results.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { sizeIn, type Instance } from '../support/op-subjects.ts'
import { runOn } from '../support/run-on.ts'

const sizes = { n: 500 }
const key = i32(3)
const instanceOf = (root: Node): Instance => ({
  root,
  leaves: [key],
  differentiable: [],
  feeds: new Map<Node, Numbers>([[key, { sizes: [3], data: Float64Array.of(11, -4, 2) }]]),
  sizes,
  size: sizeIn(sizes),
})
/** Draws, and the difference that float32 may make. */
const drawn: readonly (readonly [what: string, instance: Instance, tolerance: number])[] = [
  ['uniform', instanceOf(random.uniform(key, ['n', 3])), 0],
  ['uniform of a stream', instanceOf(random.uniform(key, ['n'], { stream: 9 })), 0],
  ['uniform between bounds', instanceOf(random.uniform(key, ['n'], { low: -2, high: 1 })), 1e-6],
  ['normal', instanceOf(random.normal(key, ['n', 3])), 1e-5],
  ['normal of a folded key', instanceOf(random.normal(random.fold(key, 3), ['n'])), 1e-5],
  ['bernoulli', instanceOf(random.bernoulli(key, ['n', 2], 0.3)), 0],
]
const meaning = ({ root, feeds, size }: Instance): Numbers => interpret([root], feeds, size)[0]!
const check = (what: string, instance: Instance, found: ArrayLike<number>, tolerance: number): void => {
  const { data } = meaning(instance)
  assert.equal(found.length, data.length)
  data.forEach((v, i) => assert.ok(Math.abs(found[i]! - v) <= tolerance, `${what}: ${found[i]} is not ${v}`))
}

for (const [title, open] of devices) {
  const skip = title === 'tfjs node' && noNode !== undefined ? noNode : false
  test(`a key draws the same numbers on ${title}`, { skip }, async () => {
    const device = await open()
    for (const [what, instance, tolerance] of drawn) check(what, instance, await runOn(device, instance), tolerance)
    await device.dispose()
  })
}
nodeTest('a key draws the same numbers in a graph', async () => {
  const results = await resultsOf(
    drawn.map(([, instance]) => instance),
    { sizes: 'fed' },
  )
  drawn.forEach(([what, instance, tolerance], k) => check(what, instance, results[k]!.data, tolerance))
})
