import assert from 'node:assert/strict'
import { test } from 'node:test'
import { add, f32, mul, type TargetName } from '../../src/index.ts'
import { noNode } from '../support/native-library.ts'
import { nativeTargets, openSmall, plainTargets, valuesFor, type Small } from '../support/small-models.ts'

/** Parameters whose gradients are one value: an update that writes into one must not change the other. */

const x = f32('batch', 'hidden')
const of = (name: string): never => f32(name) as never
const models: Readonly<Record<string, Small>> = {
  'two biases that are added': {
    params: { a: of('hidden'), b: of('hidden'), c: of('hidden') },
    batch: { x },
    forward: ({ a, b, c }, { x: given }) => add(given!, add(a!, add(b!, c!))),
  },
  'gains that are each other’s gradient': {
    params: { a: of('hidden'), b: of('hidden') },
    batch: { x },
    forward: ({ a, b }, { x: given }) => add(given!, mul(a!, b!)),
  },
}
const dims = { hidden: 3 }
const batch = valuesFor({ x }, { ...dims, batch: 2 })
const losses = async (target: TargetName, model: Small): Promise<readonly number[]> => {
  await using run = await openSmall(target, model, { dims })
  const found: number[] = []
  for (let step = 0; step < 3; step++) found.push((await run.step([batch, batch])).loss)
  return found
}
for (const [name, model] of Object.entries(models))
  for (const target of [...plainTargets, ...nativeTargets].slice(1)) {
    const skip = (nativeTargets as readonly string[]).includes(target) && noNode !== undefined ? noNode : false
    test(`${name}: training on ${target} is that of the reference`, { skip }, async () => {
      const due = await losses('reference', model)
      const found = await losses(target, model)
      due.forEach((loss, i) => assert.ok(Math.abs(found[i]! - loss) <= 1e-5 * Math.max(1, loss), found.join(' ')))
      assert.ok(due[2]! < due[0]!)
    })
  }
