import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Device } from '../../src/backend/index.ts'
import { planned } from '../../src/compile/pipeline.ts'
import { f32, i32, u, type Node } from '../../src/tensor/index.ts'
import { devices } from '../support/devices.ts'
import { noNode } from '../support/native-library.ts'

// `put` may change floats where they lie. Some backends keep truth values otherwise.

const x = f32('rows', 'columns') as Node
const zeros = f32('rows', 'columns') as Node
const others = f32('few', 'columns') as Node
const noughts = f32('few', 'columns') as Node
const at = i32('few') as Node
const sizes: Readonly<Record<string, number>> = { rows: 3, columns: 2, few: 2 }
const sizeOf = (dim: string | number): number => (typeof dim === 'number' ? dim : sizes[dim]!)
const data: ReadonlyMap<Node, Float32Array | Int32Array> = new Map<Node, Float32Array | Int32Array>([
  [x, Float32Array.of(-1, 1, -1, 1, 1, 1)],
  [zeros, new Float32Array(6)],
  [others, Float32Array.of(1, -1, -1, -1)],
  [noughts, new Float32Array(4)],
  [at, Int32Array.of(2, 0)],
])
const less = (a: Node, b: Node): Node => u.less(a, b)
const put = (target: Node, values: Node): Node => u.put(target, at, values, 0)

/** The result of an expression on a device, and if its plan changes a buffer where it lies. */
const resultOn = async <H>(device: Device<H>, root: Node) => {
  const { plan, inputs } = planned([root], { size: sizeOf, inPlace: device.traits.inPlace })
  const given = inputs.map(n => device.upload({ sizes: n.shape.map(sizeOf), dtype: n.dtype, data: data.get(n)! }))
  const [handle] = await device.run(plan, given, sizeOf)
  const { data: found } = await device.download(handle!)
  for (const each of [...given, handle!]) device.free(each)
  return { found: Array.from(found), inPlace: plan.instructions.some(({ kind }) => kind === 'update') }
}

for (const [title, open] of devices) {
  const skip = title === 'tfjs node' && noNode !== undefined ? noNode : false
  test(
    `put replaces rows of truth values, and rows of floats in place where it can, on ${title}`,
    { skip },
    async () => {
      const device = await open()
      const truths = await resultOn(device, put(less(x, zeros), less(others, noughts)))
      assert.deepEqual(truths.found, [1, 1, 1, 0, 0, 1])
      const floats = await resultOn(device, put(u.neg(x), others))
      assert.deepEqual(floats.found, [-1, -1, 1, -1, 1, -1])
      assert.equal(floats.inPlace, device.traits.inPlace.has('put'))
      assert.equal(truths.inPlace, false)
      // what is read again is copied first
      const both = u.add(put(x, others), x)
      assert.deepEqual((await resultOn(device, both)).found, [-2, 0, -2, 2, 2, 0])
      await device.dispose()
    },
  )
}
