import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  contractOp,
  gradients,
  interpret,
  is,
  node,
  placeholder,
  topological,
  transposeOp,
  whole,
  u,
  type Contraction,
  type Node,
} from '../../src/tensor/index.ts'
import {
  isMatrixProduct,
  laidOut,
  layoutRules,
  movementRules,
  rewrite,
  simplifications,
  type Rule,
} from '../../src/compile/rewrite/index.ts'
import { instances, products, type Instance, type Plan } from '../support/op-subjects.ts'
import { equal, run } from '../support/calculus.ts'

/** Every product becomes one that a matrix kernel computes as it stands, with permutations around it. */

/** The eight forms of a kernel, written out. */
const forms = new Set(
  ['', 'b'].flatMap(b => ['mk', 'km'].flatMap(left => ['kn', 'nk'].map(right => `${b}${left},${b}${right}->${b}mn`))),
)
const contractions = (roots: readonly Node[]): readonly Contraction[] =>
  topological(roots).flatMap(n => (is(n, contractOp) ? [n.attributes] : []))
const isForm = ({ a, b, out }: Contraction): boolean => forms.has(`${a},${b}->${out}`)

test('a matrix product is one of the eight forms, with or without a batch', () => {
  const words = fc.stringMatching(/^[bmknx]{0,3}$/)
  fc.assert(
    fc.property(words, words, words, (a, b, out) => isMatrixProduct({ a, b, out }) === forms.has(`${a},${b}->${out}`)),
    { numRuns: 3000 },
  )
  for (const form of forms) {
    const [a, b, out] = form.split(/,|->/) as [string, string, string]
    assert.ok(isMatrixProduct({ a, b, out }), form)
  }
})

const permutation = (rank: number) =>
  fc.shuffledSubarray(
    Array.from({ length: rank }, (_, axis) => axis),
    { minLength: rank },
  )
/** A product of random letters, whose operands and result are permuted once more. */
const permutedProducts: fc.Arbitrary<Plan> = products(2).chain(({ letters, a, b }) =>
  fc.tuple(permutation(a.length), permutation(b.length), permutation(letters.out.length)).map(([p, q, r]) => ({
    leaves: [{ shape: a }, { shape: b }],
    build: ([x, y]) => {
      const permute = (of: string, by: readonly number[]): string => by.map(axis => of[axis]!).join('')
      return u.transpose(
        u.contract(u.transpose(x!, p), u.transpose(y!, q), {
          a: permute(letters.a, p),
          b: permute(letters.b, q),
          out: letters.out,
        }),
        r,
      )
    },
  })),
)
/** Several products, one of the results of the other: grouped attention, with its reshapes and transposes. */
const chained: fc.Arbitrary<Plan> = fc.constant({
  leaves: [{ shape: ['a', 'b', 'c*few'] }, { shape: ['c*few', 'c*few'] }, { shape: ['a', 'b', 'c*few'] }],
  build: ([x, w, y]) => {
    const heads = (of: Node): Node => u.transpose(u.reshape(of, ['a', 'b', 'c', 'few']), [0, 2, 1, 3])
    const q = heads(u.contract(x!, w!, { a: 'bsi', b: 'io', out: 'bso' }))
    const k = heads(y!)
    const mixed = u.contract(u.contract(q, k, { a: 'bhqd', b: 'bhkd', out: 'bhqk' }), k, {
      a: 'bhqk',
      b: 'bhkd',
      out: 'bhqd',
    })
    return u.contract(u.reshape(u.transpose(mixed, [0, 2, 1, 3]), ['a', 'b', 'c*few']), w!, {
      a: 'bsi',
      b: 'io',
      out: 'bso',
    })
  },
})

const lower = (
  roots: readonly Node[],
  environment: Parameters<typeof rewrite>[2],
  products: Rule = laidOut,
): readonly Node[] =>
  rewrite(
    rewrite(rewrite(roots, [...layoutRules, ...simplifications], environment), [products], environment),
    [...movementRules, ...simplifications],
    environment,
  )

const holds = (instance: Instance, isStatic: (n: Node) => boolean, products?: Rule): boolean => {
  const { root, feeds, size } = instance
  const [next] = lower([root], { size, isStatic }, products)
  const [before, after] = run({ feeds, size }, [root, next!])
  return next!.shape.join() === root.shape.join() && contractions([next!]).every(isForm) && equal(before!, after!)
}
for (const [name, subject] of [
  ['a product of random letters', permutedProducts],
  ['a chain of products', chained],
] as const) {
  test(`${name}, laid out, consists of matrix products and has the same value, whichever leaves are static`, () => {
    fc.assert(
      fc.property(instances(subject), fc.boolean(), fc.boolean(), (instance, a, b) => {
        const fixed = new Set([...(a ? instance.leaves.slice(0, 1) : []), ...(b ? instance.leaves.slice(1, 2) : [])])
        return holds(instance, n => fixed.has(n))
      }),
      { numRuns: 300 },
    )
  })
}
test('mutants are refuted: products left as they are, and a result whose axes are not put back', () => {
  const idle: Rule = { name: 'idle', apply: () => undefined }
  const careless: Rule = {
    name: 'careless',
    apply: (n, context) => {
      const next = laidOut.apply(n, context)
      return next && is(next, transposeOp) ? next.inputs[0] : next
    },
  }
  for (const mutant of [idle, careless]) {
    assert.equal(
      fc.check(
        fc.property(instances(permutedProducts), instance => holds(instance, () => false, mutant)),
        { numRuns: 300, endOnFailure: true },
      ).failed,
      true,
      mutant.name,
    )
  }
})
test('gradients of products, laid out, have the values of the original', () => {
  fc.assert(
    fc.property(instances(permutedProducts), instance => {
      const { root, leaves, size } = instance
      const dy = placeholder(root.shape, 'f32')
      const { gradients: g } = gradients([root], [dy], leaves.map(whole))
      const fed = { size, feeds: new Map(instance.feeds).set(dy, run(instance, [root])[0]!) }
      const next = lower(g, { size, isStatic: () => false })
      const before = run(fed, g)
      const after = run(fed, next)
      return contractions(next).every(isForm) && before.every((x, i) => equal(x, after[i]!))
    }),
    { numRuns: 100 },
  )
})

const size = (): number => 4
const transposes = (roots: readonly Node[]): number => topological(roots).filter(n => is(n, transposeOp)).length
test('a linear layer, its input gradient and its weight gradient move nothing', () => {
  const x = placeholder(['batch', 'seq', 'hidden'], 'f32')
  const w = placeholder(['hidden', 'ffn'], 'f32')
  const dy = placeholder(['batch', 'seq', 'ffn'], 'f32')
  const y = u.contract(x, w, { a: 'bsi', b: 'io', out: 'bso' })
  const roots = [y, ...gradients([y], [dy], [whole(x), whole(w)]).gradients]
  const lowered = lower(roots, { size, isStatic: n => n === w })
  assert.equal(contractions(lowered).length, 3)
  assert.ok(contractions(lowered).every(isForm))
  assert.equal(transposes(lowered), 0)
})
test('of the two ways round, the one that moves fewer elements is taken', () => {
  const x = placeholder(['m', 'k'], 'f32')
  const y = placeholder(['k', 'n'], 'f32')
  // out is transposed: as B A it lies right, as A B the result would have to be moved
  const [lowered] = lower([u.contract(x, y, { a: 'ik', b: 'kj', out: 'ji' })], { size, isStatic: () => false })
  assert.equal(transposes([lowered!]), 0)
  assert.deepEqual(lowered!.inputs, [y, x])
})
test('transposes that meet in data movement become one', () => {
  const x = placeholder(['a', 'b*c'], 'f32')
  const split = u.transpose(u.reshape(node(transposeOp, [x], { permutation: [1, 0] }), ['b', 'c', 'a']), [2, 0, 1])
  const [next] = rewrite([split], movementRules, { size, isStatic: () => false })
  assert.equal(transposes([next!]), 0)
  const data = new Map([[x, { sizes: [4, 16], data: Float64Array.from({ length: 64 }, (_, i) => i) }]])
  const sizes = (dim: number | string) => (dim === 'b*c' ? 16 : 4)
  assert.deepEqual(interpret([next!], data, sizes), interpret([split], data, sizes))
})
