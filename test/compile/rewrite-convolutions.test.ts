import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { convOp, is, node, placeholder, primitives, topological, u, type Node } from '../../src/tensor/index.ts'
import { convolveLowRank, reshapeLowRank, rewrite, type Rule } from '../../src/compile/rewrite/index.ts'
import { equal, run } from '../support/calculus.ts'
import { instances, type Instance, type Subject } from '../support/op-subjects.ts'

/** Low-rank weights of convolutions: the first leaf is the activation, the others are weights. */

const attributes = fc.constantFrom(
  { dims: [4, 3] as const, stride: [1, 1] as const, padding: ['same', 'same'] as const, depthwise: false },
  { dims: [2, 2] as const, stride: [2, 1] as const, padding: ['same', 'valid'] as const, depthwise: false },
  { dims: [4, 3] as const, stride: [1, 1] as const, padding: [[2, 0], 1] as const, depthwise: false },
)
const kernelOf = ({ padding: [rows, columns] }: { readonly padding: readonly unknown[] }) =>
  Array.isArray(rows) ? ([3, 3] as const) : columns === 'valid' ? ([3, 2] as const) : ([3, 3] as const)
const letters = { a: 'ijcr', b: 'ro', out: 'ijco' }
/** W, W + A B and their like; a difference is no sum. */
const weights = (w: Node, p: Node, q: Node): readonly Node[] => {
  const D = u.contract(p, q, letters)
  return [
    u.add(w, D),
    u.add(w, u.mul(D, 0.5)),
    u.add(u.div(u.mul(D, 3), 2), w),
    u.add(u.mul(D, -2), w),
    u.sub(w, D),
    u.sub(D, w),
    w,
  ]
}
const convolved: Subject = fc.tuple(attributes, fc.nat(6)).map(([of, choice]) => {
  const [rows, columns] = kernelOf(of)
  return {
    leaves: [
      { shape: ['few', 4, 3, 'a'] },
      { shape: [rows, columns, 'a', 'b'] },
      { shape: [rows, columns, 'a', 1] },
      { shape: [1, 'b'] },
    ],
    build: ([x, w, p, q]) => node(convOp, [x!, weights(w!, p!, q!)[choice]!], of),
  }
})
const reshaped: Subject = fc.tuple(fc.nat(6), fc.boolean()).map(([choice, merged]) => ({
  leaves: [{ shape: ['few'] }, { shape: [3, 2, 'a', 'b'] }, { shape: [3, 2, 'a', 1] }, { shape: [1, 'b'] }],
  build: ([, w, p, q]) => u.reshape(weights(w!, p!, q!)[choice]!, merged ? [3, '2*a', 'b'] : [1, 3, 2, 'a', 'b']),
}))

const environment = ({ size, leaves }: Instance, isWeight: (n: Node) => boolean = n => leaves.indexOf(n) > 0) => ({
  size,
  isStatic: () => false,
  isWeight,
})
const holds = (instance: Instance, rule: Rule): boolean => {
  const { root, feeds, size } = instance
  const [next] = rewrite([root], [rule], environment(instance))
  const [before, after] = run({ feeds, size }, [root, next!])
  return next!.shape.join() === root.shape.join() && equal(before!, after!)
}
/** A wrong rule, which applies once. */
const once = (mutant: Rule['apply']): Rule => {
  let isDone = false
  const apply: Rule['apply'] = (n, context) => {
    const next = isDone ? undefined : mutant(n, context)
    isDone ||= next !== undefined
    return next
  }
  return { name: 'mutant', apply }
}

const cases: readonly { readonly rule: Rule; readonly subject: Subject; readonly mutant: Rule['apply'] }[] = [
  {
    rule: convolveLowRank,
    subject: convolved,
    // a difference is taken for a sum
    mutant: (n, context) => {
      const [x, w] = n.inputs
      return is(n, convOp) && w!.op === primitives.sub
        ? convolveLowRank.apply(node(convOp, [x!, node(primitives.add, w!.inputs, {})], n.attributes), context)
        : undefined
    },
  },
  {
    rule: reshapeLowRank,
    subject: reshaped,
    // the number is lost
    mutant: (n, context) => {
      const next = reshapeLowRank.apply(n, context)
      return next === undefined ? undefined : u.add(next.inputs[0]!, next.inputs[1]!.inputs[0]!)
    },
  },
]
for (const { rule, subject, mutant } of cases) {
  test(`${rule.name}: what it rewrites has the same shape and value`, () => {
    let fired = 0
    const watched: Rule = {
      ...rule,
      apply: (n, context) => {
        const next = rule.apply(n, context)
        if (next) fired++
        return next
      },
    }
    fc.assert(
      fc.property(instances(subject), instance => holds(instance, watched)),
      { numRuns: 200 },
    )
    assert.ok(fired > 50, `fired ${fired} times`)
  })
  test(`${rule.name}: a mutant is refuted`, () => {
    const law = fc.property(instances(subject), instance => holds(instance, once(mutant)))
    assert.equal(fc.check(law, { numRuns: 300, endOnFailure: true }).failed, true)
  })
  test(`${rule.name}: what is no weight is left alone`, () => {
    fc.assert(
      fc.property(
        instances(subject),
        instance =>
          rewrite(
            [instance.root],
            [rule],
            environment(instance, () => false),
          )[0] === instance.root,
      ),
      { numRuns: 50 },
    )
  })
}

test('LoRA’s weight of a convolution is never made: x is convolved with A, the scale is on what is r wide', () => {
  const [x, W] = [placeholder(['n', 8, 8, 'in'], 'f32'), placeholder([3, 3, 'in', 'out'], 'f32')]
  const [A, B] = [placeholder([3, 3, 'in', 'r'], 'f32'), placeholder(['r', 'out'], 'f32')]
  const weight = u.add(W, u.mul(u.contract(A, B, letters), 0.5))
  const of = { dims: [8, 8], stride: [1, 1], padding: ['same', 'same'], depthwise: false } as const
  const [derived] = rewrite([node(convOp, [x, weight], of)], [convolveLowRank], {
    size: dim => ({ n: 4, in: 12, out: 10, r: 2 })[dim as string] ?? Number(dim),
    isStatic: () => false,
    isWeight: n => [W, A, B].includes(n),
  })
  assert.deepEqual(
    topological([derived!])
      .filter(n => n.op !== primitives.parameter && n.op !== primitives.constant)
      .map(n => `${n.op.name} ${n.shape.join()}`),
    ['conv n,8,8,out', 'conv n,8,8,r', 'mul n,8,8,r', 'contract n,8,8,out', 'add n,8,8,out'],
  )
})
