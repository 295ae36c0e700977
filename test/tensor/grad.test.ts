import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  contractOp,
  gradients,
  placeholder,
  scalar,
  topological,
  whole,
  u,
  type Node,
  type Wanted,
} from '../../src/tensor/index.ts'
import { instances, type Instance, type Plan } from '../support/op-subjects.ts'
import { allEqual, dot, near, noise, quotient, run } from '../support/calculus.ts'

const product = (x: Node, y: Node): Node => u.contract(x, y, { a: 'ij', b: 'jk', out: 'ik' })
const tanh = (x: Node): Node => u.tanh(x)

/** The steps by which a random expression combines two earlier values. */
const steps: readonly ((x: Node, y: Node) => Node)[] = [
  u.add,
  u.sub,
  u.mul,
  product,
  tanh,
  (x, y) => u.add(tanh(product(x, y)), x),
]
/** Random expressions of square matrices, in which values are read several times. */
const expressions = fc
  .array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 3, maxLength: 7 })
  .map((choices): Plan => ({
    leaves: [{ shape: ['a', 'a'] }, { shape: ['a', 'a'] }, { shape: ['a', 'a'] }],
    build: inputs =>
      choices
        .reduce<readonly Node[]>(
          (made, [step, i, j]) => [
            ...made,
            u.mul(steps[step % steps.length]!(made[i % made.length]!, made[j % made.length]!), scalar(0.5)),
          ],
          inputs,
        )
        .at(-1)!,
  }))

/** Runs nodes with data for cotangents and indices as well. */
const fed = (
  instance: Instance,
  more: readonly (readonly [Node, ReturnType<typeof noise>])[],
  roots: readonly Node[],
) => run({ ...instance, feeds: new Map([...instance.feeds, ...more]) }, roots)
const cotangentOf = (instance: Instance) =>
  [placeholder(instance.root.shape, 'f32'), noise(instance.root.shape.map(instance.size), 5)] as const

const isDerivative = (through: (root: Node) => Node) =>
  fc.property(instances(expressions), instance => {
    const dy = cotangentOf(instance)
    const found = fed(
      instance,
      [dy],
      gradients([through(instance.root)], [dy[0]], instance.leaves.map(whole)).gradients,
    )
    return instance.leaves.every((leaf, i) => {
      const direction = noise(found[i]!.sizes, 9 + i)
      return near(dot(found[i]!, direction), quotient(instance, instance.root, dy[1], leaf, direction), 1e-5)
    })
  })
test('the gradients of a random expression are its difference quotients, in every leaf', () => {
  fc.assert(
    isDerivative(root => root),
    { numRuns: 200 },
  )
})
test('the gradients of another expression are refuted', () => {
  assert.equal(fc.check(isDerivative(root => u.mul(root, root))).failed, true)
})

const index = placeholder(['few'], 'i32')
const entries = placeholder(['few'], 'i32')
const columns = (leaf: Node): Wanted => ({
  leaf,
  kind: 'columns',
  index: [index],
  get: (cotangent, [i]) => u.take(cotangent, i!, 0),
})
const flat = (leaf: Node): Wanted => ({
  leaf,
  kind: 'entries',
  index: [entries],
  get: (cotangent, [i]) => u.take(u.reshape(cotangent, ['a*a']), i!, 0),
})

const isPart = (wanted: (leaf: Node) => Wanted, part: (full: Node) => Node) =>
  fc.property(instances(expressions), instance => {
    const dy = cotangentOf(instance)
    const few = instance.size('few')
    const a = instance.size('a')
    const indices = [
      [index, { sizes: [few], data: Float64Array.of(a - 1, 0).subarray(0, few) }],
      [entries, { sizes: [few], data: Float64Array.of(a, 1).subarray(0, few) }],
    ] as const
    const full = gradients([instance.root], [dy[0]], instance.leaves.map(whole)).gradients
    const parts = gradients([instance.root], [dy[0]], instance.leaves.map(wanted)).gradients
    return allEqual(fed(instance, [dy, ...indices], parts), fed(instance, [dy, ...indices], full.map(part)))
  })
test('wanted columns are the columns of the full gradient', () => {
  fc.assert(isPart(columns, full => u.take(full, index, 0)))
})
test('wanted entries are the entries of the full gradient', () => {
  fc.assert(isPart(flat, full => u.take(u.reshape(full, ['a*a']), entries, 0)))
})
test('the wrong columns are refuted', () => {
  assert.equal(fc.check(isPart(columns, full => u.take(full, index, 1))).failed, true)
})

const x = placeholder(['batch', 'in'], 'f32')
const up = placeholder(['in', 'hidden'], 'f32')
const down = placeholder(['hidden', 'out'], 'f32')
const dy = placeholder(['batch', 'out'], 'f32')
const layers = product(tanh(product(x, up)), down)
const contractionsFor = (wanted: readonly Node[]): number =>
  topological(gradients([layers], [dy], wanted.map(whole)).gradients).filter(n => n.op === contractOp).length

test('a cotangent is computed only where it leads to something wanted', () => {
  // one product for every wanted weight, one for every layer that a cotangent passes through; of the forward ones only
  // the first is read
  assert.equal(contractionsFor([down]), 1 + 1)
  assert.equal(contractionsFor([up]), 1 + 2)
  assert.equal(contractionsFor([x]), 1 + 2)
  assert.equal(contractionsFor([x, up, down]), 1 + 4)
})

test('a leaf that the outputs do not read has the gradient 0, in its shape', () => {
  const unread = placeholder(['in', 3], 'f32')
  const [g] = gradients([layers], [dy], [whole(unread)]).gradients
  assert.deepEqual(g!.shape, ['in', 3])
  assert.deepEqual([...run({ feeds: new Map(), size: () => 2 }, [g!])[0]!.data], [0, 0, 0, 0])
})

test('several outputs add their cotangents', () => {
  const dh = placeholder(['batch', 'hidden'], 'f32')
  const h = product(x, up)
  const y = product(h, down)
  const feeds = new Map([x, up, down, dy, dh].map((leaf, i) => [leaf, noise([2, 2], i)]))
  const both = gradients([y, h], [dy, dh], [whole(up)]).gradients
  const apart = [gradients([y], [dy], [whole(up)]), gradients([h], [dh], [whole(up)])].map(g => g.gradients[0]!)
  const size = () => 2
  assert.ok(allEqual(run({ feeds, size }, both), run({ feeds, size }, [u.add(apart[0]!, apart[1]!)])))
})
