import assert from 'node:assert/strict'
import { footprintOf } from '../../src/compile/index.ts'
import { preparedKeys, type Preparations } from '../../src/compile/prepare.ts'
import { compileProgram, planned } from '../../src/compile/pipeline.ts'
import { expressionKeys, type Node } from '../../src/tensor/index.ts'
import type { Device } from '../../src/backend/index.ts'
import type { Instance } from './op-subjects.ts'

const typedArray = { f32: Float32Array, i32: Int32Array, bool: Uint8Array } as const

/**
 * Compiles an instance as a session would, runs it, and checks on the way that the certificate equals the memory held.
 */
export const runOn = async <H>(
  device: Device<H>,
  { root, leaves, feeds, size }: Pick<Instance, 'root' | 'leaves' | 'feeds' | 'size'>,
): Promise<ArrayLike<number>> => {
  const preparations: Preparations = new Map()
  const before = device.bytes()
  const held = new Map<Node, H>()
  const compiler = {
    ...device.traits,
    size,
    isStaticLeaf: () => false,
    keyOf: preparedKeys(expressionKeys(), size),
    preparations,
  }
  const { plan, inputs, outputs } = compileProgram([root], compiler)
  for (const leaf of leaves) {
    const { sizes, data } = feeds.get(leaf)!
    const make = typedArray[leaf.dtype as keyof typeof typedArray]
    held.set(leaf, device.upload({ sizes, dtype: leaf.dtype, data: make.from(data) }))
  }
  for (const { placeholder, expression } of preparations.values())
    held.set(placeholder, (await device.run(planned([expression], compiler).plan, [], size))[0]!)
  const given = device.bytes()
  const run = async (): Promise<readonly H[]> => {
    try {
      return await device.run(
        plan,
        inputs.map(n => held.get(n)!),
        size,
      )
    } catch (error) {
      assert.equal(device.bytes(), given, 'what fails leaves nothing behind')
      for (const handle of held.values()) device.free(handle)
      throw error
    }
  }
  const results = await run()
  assert.equal(outputs.length, 1)
  assert.equal(device.bytes() - given, footprintOf(plan).end)
  const { data } = await device.download(results[0]!)
  for (const handle of [...results, ...held.values()]) device.free(handle)
  assert.equal(device.bytes(), before, 'nothing is left')
  return data as ArrayLike<number>
}
