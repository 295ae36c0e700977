import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { faultsOf, footprintOf, type Instruction, type Plan } from '../../src/compile/index.ts'
import { bytesOf, planOf } from '../../src/compile/plan.ts'
import { interpret, placeholder, u, type Node } from '../../src/tensor/index.ts'
import { referenceDevice } from '../../src/backend/index.ts'
import { feedsOf, graph, size, type Graph } from '../support/random-graphs.ts'

const planned = ({ inputs, index, outputs }: Graph, donated: readonly Node[] = []): Plan =>
  planOf({ inputs: [...inputs, index], outputs, size, donated: new Set(donated), inPlace: new Map([['put', [0]]]) })

const runs = { numRuns: 300 }

test('every plan is free of faults, whether its inputs are donated or not', () => {
  fc.assert(
    fc.property(graph, fc.boolean(), (g, donate) => {
      assert.deepEqual(faultsOf(planned(g, donate ? g.inputs : [])), [])
    }),
    runs,
  )
})

test('a plan computes what its expressions mean', async () => {
  await fc.assert(
    fc.asyncProperty(graph, async g => {
      const device = referenceDevice()
      const feeds = feedsOf(g)
      const expected = interpret(g.outputs, feeds, size)
      const handles = [...g.inputs, g.index].map(n => {
        const { sizes, data } = feeds.get(n)!
        return device.upload({
          sizes,
          dtype: n.dtype,
          data: n.dtype === 'i32' ? Int32Array.from(data) : Float32Array.from(data),
        })
      })
      const found = device.run(planned(g), handles, size)
      for (const [i, handle] of found.entries()) {
        const { data } = await device.download(handle)
        expected[i]!.data.forEach((v, k) => assert.ok(Math.abs(v - Number(data[k])) <= 1e-4 * Math.max(1, Math.abs(v))))
      }
    }),
    runs,
  )
})

test('the certificate of a plan is what the device holds at its end', () => {
  fc.assert(
    fc.property(graph, fc.boolean(), (g, donate) => {
      const device = referenceDevice()
      const feeds = feedsOf(g)
      const inputs = [...g.inputs, g.index]
      const handles = inputs.map(n =>
        device.upload({
          sizes: feeds.get(n)!.sizes,
          dtype: n.dtype,
          data: n.dtype === 'i32' ? Int32Array.of(2, 0) : new Float32Array(12),
        }),
      )
      const before = device.bytes()
      const plan = planned(g, donate ? g.inputs : [])
      device.run(plan, handles, size)
      const passedThrough = plan.instructions.some(i => i.kind === 'alias' || i.kind === 'call' || i.kind === 'update')
      // the reference device counts a buffer at its first handle only, so plans that return views are compared on tfjs
      if (!passedThrough) assert.equal(device.bytes() - before, footprintOf(plan).end)
      assert.ok(footprintOf(plan).peak >= footprintOf(plan).end)
    }),
    runs,
  )
})

test('an elementwise op repeats its operands itself, and a repeated one is made for other readers only', () => {
  const [x, y] = [placeholder(['a', 'b'], 'f32'), placeholder(['b'], 'f32')]
  const repeated = u.broadcastTo(y, ['a', 'b'])
  const opsOf = (outputs: readonly Node[]): readonly string[] =>
    planOf({ inputs: [x, y], outputs, size: dim => (dim === 'a' ? 2 : 3) }).instructions.flatMap(i =>
      i.kind === 'run' ? [i.node.op.name] : [],
    )
  assert.deepEqual(opsOf([u.add(repeated, x)]), ['add'])
  assert.deepEqual(opsOf([u.mul(x, u.mul(repeated, x))]), ['mul', 'mul'])
  assert.deepEqual(opsOf([u.add(repeated, repeated)]), ['broadcastTo', 'add'])
  assert.deepEqual(opsOf([u.add(repeated, x), u.sum(repeated, [0])]), ['add', 'broadcastTo', 'sum'])
})

/** Ways to break a plan; each must be reported. */
const mutants: { readonly [name: string]: (plan: Plan) => Plan | undefined } = {
  'a free left out': plan => without(plan, i => i.kind === 'free'),
  'a free too early': plan => {
    const at = plan.instructions.findIndex(i => i.kind === 'free')
    const freed = plan.instructions[at]
    const used = plan.instructions.findIndex(
      i =>
        freed?.kind === 'free' &&
        (i.kind === 'run' || i.kind === 'update' || i.kind === 'call') &&
        i.inputs.includes(freed.slot),
    )
    if (freed === undefined || used < 0) return undefined
    const rest = plan.instructions.filter((_, i) => i !== at)
    return { ...plan, instructions: [...rest.slice(0, used), freed, ...rest.slice(used)] }
  },
  'a free twice': plan => {
    const freed = plan.instructions.find(i => i.kind === 'free')
    return freed && { ...plan, instructions: [...plan.instructions, freed] }
  },
  'an output freed': plan => ({
    ...plan,
    instructions: [...plan.instructions, { kind: 'free', slot: plan.outputs[0]! }],
  }),
  'an input freed that is not donated': plan => ({
    ...plan,
    instructions: [...plan.instructions, { kind: 'free', slot: plan.inputs[0]! }],
  }),
  'an instruction left out': plan =>
    without(
      plan,
      i =>
        i.kind === 'run' &&
        plan.instructions.some(j => j.kind !== 'free' && j !== i && 'inputs' in j && j.inputs.includes(i.output)),
    ),
}
const without = (plan: Plan, which: (i: Instruction) => boolean): Plan | undefined => {
  const at = plan.instructions.findIndex(which)
  return at < 0 ? undefined : { ...plan, instructions: plan.instructions.filter((_, i) => i !== at) }
}

for (const [name, mutate] of Object.entries(mutants)) {
  test(`the plan checker refutes ${name}`, () => {
    let tried = 0
    fc.assert(
      fc.property(graph, g => {
        const broken = mutate(planned(g))
        if (broken === undefined) return
        tried += 1
        assert.notDeepEqual(faultsOf(broken), [])
      }),
      runs,
    )
    assert.ok(tried > 10, `only ${tried} plans could be broken so`)
  })
}

test('a put into a dying buffer is an update in place, and one into a living buffer is not', () => {
  let inPlace = 0
  let copied = 0
  fc.assert(
    fc.property(graph, g => {
      for (const i of planned(g).instructions) {
        if (i.kind === 'update') inPlace += 1
        if (i.kind === 'run' && i.node.op.name === 'put') copied += 1
      }
    }),
    runs,
  )
  assert.ok(inPlace > 0 && copied > 0)
})

test('bytes of a slot are its elements times those of its dtype', () => {
  assert.equal(bytesOf({ sizes: [3, 4], dtype: 'f32' }), 48)
  assert.equal(bytesOf({ sizes: [3], dtype: 'bool' }), 3)
})
