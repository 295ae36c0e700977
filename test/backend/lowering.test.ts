import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  composite,
  fitsByShape,
  interpret,
  node,
  opaque,
  placeholder,
  u,
  type Node,
  type Op,
} from '../../src/tensor/index.ts'
import type { Device } from '../../src/backend/index.ts'
import { devices } from '../support/devices.ts'
import { runOn } from '../support/run-on.ts'
import { noNode } from '../support/native-library.ts'
import { instances, registry, type Instance } from '../support/op-subjects.ts'

const rounded = (instance: Instance): Instance => ({
  ...instance,
  feeds: new Map(
    [...instance.feeds].map(([leaf, { sizes, data }]) => [
      leaf,
      { sizes, data: leaf.dtype === 'f32' ? Float64Array.from(data, Math.fround) : data },
    ]),
  ),
})

/** Float32 results of a few operations each: a few roundings of the largest value involved. */
const near = (found: number, expected: number): boolean =>
  Math.abs(found - expected) <= 2e-5 * Math.max(1, Math.abs(expected))

const lowersAs = async <H>(device: Device<H>, instance: Instance): Promise<void> => {
  const [expected] = interpret([instance.root], instance.feeds, instance.size)
  const found = await runOn(device, instance)
  expected!.data.forEach((v, i) => assert.ok(near(found[i]!, v), `${instance.root.op.name}: ${found[i]} is not ${v}`))
}

/** Two ops that the language does not have. */
const outside: { readonly [what: string]: Op<object> } = {
  'a composite': composite<object>({ name: 'cube', kind: 'elementwise', expand: ([x]) => u.mul(x!, u.mul(x!, x!)) }),
  'a primitive': {
    ...opaque,
    name: 'reversed',
    flops: () => 0,
    vjp: (_, dy) => [dy],
    misfit: fitsByShape,
    shape: ([x]) => ({ _tag: 'Right', right: { shape: x!.shape, dtype: 'f32' } }),
    eval: ([x]) => ({ sizes: x!.sizes, data: x!.data.toReversed() }),
  },
}

for (const [title, open] of devices) {
  test(`on ${title}`, { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false }, async t => {
    const device = await open()
    for (const [name, subject] of registry) {
      await t.test(`${name} is lowered to what it means, and leaves nothing behind`, async () => {
        await fc.assert(
          fc.asyncProperty(instances(subject).map(rounded), instance => lowersAs(device, instance)),
          { numRuns: 25 },
        )
      })
    }
    for (const [what, op] of Object.entries(outside)) {
      await t.test(`an op from outside, ${what}, runs as it is defined`, async () => {
        const x = placeholder(['a'], 'f32')
        const feeds = new Map([[x as Node, { sizes: [3], data: Float64Array.of(1, -2, 3) }]])
        await lowersAs(device, {
          root: node(op, [x], {}),
          leaves: [x],
          differentiable: [x],
          feeds,
          sizes: { a: 3 },
          size: dim => (dim === 'a' ? 3 : Number(dim)),
        })
      })
    }
    await t.test('a wrong lowering is refuted', async () => {
      const subject = registry.find(([name]) => name === 'add')![1]
      const wrong = (instance: Instance): Instance => ({
        ...instance,
        root: {
          ...instance.root,
          op: {
            ...instance.root.op,
            eval: (...of) => {
              const y = instance.root.op.eval(...of)
              return { ...y, data: y.data.map(v => v + 1e-3) }
            },
          },
        },
      })
      await assert.rejects(
        fc.assert(
          fc.asyncProperty(instances(subject).map(rounded), async instance => {
            const [expected] = interpret([wrong(instance).root], instance.feeds, instance.size)
            const found = await runOn(device, instance)
            expected!.data.forEach((v, i) => assert.ok(near(found[i]!, v)))
          }),
          { numRuns: 25 },
        ),
      )
    })
    await device.dispose()
  })
}
