import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  contractOp,
  count,
  gradients,
  is,
  node,
  placeholder,
  primitives,
  scalar,
  deduplicated,
  topological,
  whole,
  u,
  type Node,
  type Shape,
} from '../../src/tensor/index.ts'
import {
  associate,
  checkDropout,
  distribute,
  dropInput,
  keepInput,
  layoutRules,
  lowRankNorm,
  rewrite,
  scaleProduct,
  simplifications,
  type Rule,
} from '../../src/compile/rewrite/index.ts'
import { instances, type Instance, type Leaf, type Plan, type Subject } from '../support/op-subjects.ts'
import { equal, run } from '../support/calculus.ts'

/**
 * Weights that are expressions are decomposed: products of an activation, the first leaf, with expressions of the other
 * leaves.
 */

interface Letters {
  readonly a: string
  readonly b: string
  readonly out: string
  readonly near: string
  readonly far: string
  readonly inner: string
  readonly outer: string
  readonly dims: Readonly<Record<string, string>>
}
const shuffled = (letters: string) =>
  fc.shuffledSubarray([...letters], { minLength: letters.length }).map(all => all.join(''))
/**
 * Letters of a product, and of two factors of its weight, in any order: those of rows, those of the sum, and the
 * further ones of the result.
 */
const letters: fc.Arbitrary<Letters> = fc
  .tuple(fc.constantFrom('x', 'xy'), fc.constantFrom('i', 'ij'), fc.constantFrom('o', 'op'))
  .chain(([rows, inner, outer]) =>
    fc.record({
      a: shuffled(rows + inner),
      b: shuffled(inner + outer),
      out: shuffled(rows + outer),
      near: shuffled(inner + 'k'),
      far: shuffled(outer + 'k'),
      inner: fc.constant(inner),
      outer: fc.constant(outer),
      dims: fc
        .array(fc.constantFrom('a', 'b', 'c'), { minLength: 6, maxLength: 6 })
        .map(of => ({ k: 'few', ...Object.fromEntries([...'xyijop'].map((c, n) => [c, of[n]!])) })),
    }),
  )
const shapeOf = ({ dims }: Letters, of: string): Shape => [...of].map(c => dims[c]!)
/** The factors' product has letters of its own, which mean other things than those outside. */
const inside = (of: string): string => [...of].map(c => 'xjoyi'['ijopk'.indexOf(c)]!).join('')
const lowRankOf = ({ near, far, b }: Letters, p: Node, q: Node, flipped: boolean): Node =>
  flipped
    ? u.contract(q, p, { a: inside(far), b: inside(near), out: inside(b) })
    : u.contract(p, q, { a: inside(near), b: inside(far), out: inside(b) })
const multiplied = ({ a, b, out }: Letters, x: Node, w: Node, flipped: boolean): Node =>
  flipped ? u.contract(w, x, { a: b, b: a, out }) : u.contract(x, w, { a, b, out })

/** A rule, expressions in which it applies, and a wrong version of it. */
interface Case {
  readonly rule: Rule
  /**
   * Given the letters: the leaves after the activation and the weight's factors x, W, P, Q, and the expression of them
   * all.
   */
  readonly more?: (l: Letters) => readonly Leaf[]
  readonly build: (l: Letters, inputs: readonly Node[], choice: number) => Node
  readonly mutant: Rule['apply']
}
const subjectOf = ({ more = () => [], build }: Case): Subject =>
  fc.tuple(letters, fc.nat(7)).map(([l, choice]): Plan => ({
    leaves: [l.a, l.b, l.near, l.far].map((of): Leaf => ({ shape: shapeOf(l, of) })).concat(more(l)),
    build: inputs => build(l, inputs, choice),
  }))

const broadcastAlong = (l: Letters, along: string): Shape => {
  const first = [...l.b].findIndex(c => along.includes(c))
  return first < 0 ? [] : Array.from(l.b.slice(first), c => (along.includes(c) ? l.dims[c]! : 1))
}

const cases: readonly Case[] = [
  {
    rule: distribute,
    build: (l, [x, w, p, q], choice) => {
      const D = lowRankOf(l, p!, q!, choice % 2 === 0)
      const terms = [u.add(w!, D), u.sub(w!, u.mul(D, 0.5)), u.sub(u.neg(D), w!), u.add(u.div(D, scalar(3)), w!)]
      return multiplied(l, x!, terms[choice % 4]!, choice > 3)
    },
    // a difference is not a sum
    mutant: n => {
      if (!is(n, contractOp)) return undefined
      const terms = n.inputs.find(i => i.op === primitives.sub || i.op === primitives.add)
      const { attributes } = n
      if (terms === undefined) return undefined
      return node(
        primitives.add,
        terms.inputs.map(term =>
          node(
            contractOp,
            n.inputs.map(i => (i === terms ? term : i)),
            attributes,
          ),
        ),
        {},
      )
    },
  },
  {
    rule: associate,
    build: (l, [x, , p, q], choice) => multiplied(l, x!, lowRankOf(l, p!, q!, choice % 2 === 0), choice > 3),
    // the axes of a factor are met in another order
    mutant: (n, context) => {
      const next = associate.apply(n, context)
      const met = next?.inputs[0]
      if (!next || !met || !is(next, contractOp) || !is(met, contractOp)) return undefined
      const { a, b, out } = met.attributes
      const inner = [...b].filter(c => a.includes(c))
      const turned = [...b].map(c => (inner.includes(c) ? inner[(inner.indexOf(c) + 1) % inner.length]! : c)).join('')
      return node(contractOp, [node(contractOp, met.inputs, { a, b: turned, out }), next.inputs[1]!], next.attributes)
    },
  },
  {
    rule: scaleProduct,
    more: l =>
      [broadcastAlong(l, l.outer), broadcastAlong(l, l.inner), []].map(shape => ({ shape, domain: 'positive' })),
    build: (l, [x, w, p, q, outer, inner, number], choice) => {
      const D = lowRankOf(l, p!, q!, choice % 2 === 0)
      const scaled = [
        u.mul(w!, outer!),
        u.div(w!, outer!),
        u.mul(number!, w!),
        u.mul(D, number!),
        u.div(D, number!),
        u.mul(w!, inner!),
        u.mul(outer!, D),
        u.mul(w!, scalar(2)),
      ]
      return multiplied(l, x!, scaled[choice]!, choice % 3 === 0)
    },
    // a scale of the weight scales the result, wherever its letters are
    mutant: n => {
      if (!is(n, contractOp)) return undefined
      const i = n.inputs.findIndex(w => w.op === primitives.mul || w.op === primitives.div)
      return i < 0
        ? undefined
        : u.mul(
            node(
              contractOp,
              n.inputs.map((w, j) => (j === i ? w.inputs[0]! : w)),
              n.attributes,
            ),
            n.inputs[i]!.inputs[1]!,
          )
    },
  },
  {
    rule: lowRankNorm,
    build: (l, [, w, p, q], choice) => {
      const D = lowRankOf(l, p!, q!, choice % 2 === 0)
      const V = [u.add(w!, D), u.sub(w!, u.mul(D, 0.5)), u.add(u.mul(D, 2), w!), u.sub(D, w!)].at(choice % 4)!
      const along = choice > 3 ? l.inner : l.outer
      return u.sum(
        u.mul(V, V),
        [...along].map(c => l.b.indexOf(c)),
        choice % 3 === 0,
      )
    },
    // the common part once instead of twice
    mutant: n => {
      const square = n.inputs[0]
      if (!is(n, primitives.sum) || square?.op !== primitives.mul) return undefined
      const [U, D] = square.inputs[0]!.inputs as [Node, Node]
      const sum = (x: Node): Node => node(primitives.sum, [x], n.attributes)
      return u.add(sum(u.mul(U, U)), sum(u.mul(D, u.add(U, D))))
    },
  },
]

const weightsOf =
  ({ leaves }: Instance) =>
  (n: Node): boolean =>
    leaves.indexOf(n) > 0
const environment = (instance: Instance) => ({
  size: instance.size,
  isStatic: () => false,
  isWeight: weightsOf(instance),
})
const counted = (rule: Rule) => {
  const fires = { fired: 0 }
  const apply: Rule['apply'] = (n, context) => {
    const next = rule.apply(n, context)
    if (next) fires.fired++
    return next
  }
  return { count: fires, rule: { ...rule, apply } }
}
const once = (mutant: Case['mutant']): Rule => {
  let isDone = false
  const apply: Rule['apply'] = (n, context) => {
    const next = isDone ? undefined : mutant(n, context)
    isDone ||= next !== undefined
    return next
  }
  return { name: 'mutant', apply }
}
const holds = (instance: Instance, rules: readonly Rule[]): boolean => {
  const { root, feeds, size } = instance
  const [next] = rewrite([root], rules, environment(instance))
  const [before, after] = run({ feeds, size }, [root, next!])
  return next!.shape.join() === root.shape.join() && equal(before!, after!)
}

for (const example of cases) {
  const { rule, mutant } = example
  const subject = subjectOf(example)
  test(`${rule.name}: what it rewrites has the same shape and value`, () => {
    let fired = 0
    fc.assert(
      fc.property(instances(subject), instance => {
        const { rule: watched, count } = counted(rule)
        const result = holds(instance, [watched])
        fired += count.fired
        return result
      }),
      { numRuns: 300 },
    )
    assert.ok(fired > 100, `fired ${fired} times`)
  })
  test(`${rule.name}: a mutant is refuted`, () => {
    const law = fc.property(instances(subject), instance => holds(instance, [once(mutant)]))
    assert.equal(fc.check(law, { numRuns: 300, endOnFailure: true }).failed, true)
  })
  test(`${rule.name}: products of activations, and of weights, are left alone`, () => {
    fc.assert(
      fc.property(instances(subject), fc.boolean(), (instance, all) => {
        // a norm is one of weights alone
        if (all && rule === lowRankNorm) return true
        return rewrite([instance.root], [rule], { ...environment(instance), isWeight: () => all })[0] === instance.root
      }),
      { numRuns: 50 },
    )
  })
}

const together: readonly Rule[] = [distribute, associate, scaleProduct, lowRankNorm, ...simplifications, ...layoutRules]
test('all rules together end, and keep the value, and no other order gives another', () => {
  for (const example of cases) {
    const orders = fc.shuffledSubarray([...together], { minLength: together.length })
    fc.assert(
      fc.property(instances(subjectOf(example)), orders, (instance, rules) => holds(instance, rules)),
      { numRuns: 150 },
    )
  }
})

const size = (dim: string | number): number => ({ batch: 40, in: 12, out: 10, r: 2 })[dim as string] ?? Number(dim)
const f32 = (...shape: Shape): Node => placeholder(shape, 'f32')
const x = f32('batch', 'in')
const W = f32('in', 'out')
const A = f32('in', 'r')
const B = f32('r', 'out')
const g = f32('out')
const key = placeholder([3], 'i32')
const stream = placeholder([1], 'i32')
const isWeight = (n: Node): boolean => [W, A, B, g, stream].includes(n)
const surroundings = { size, isStatic: () => false, isWeight }
const by = (w: Node): Node => u.contract(x, w, { a: 'bi', b: 'io', out: 'bo' })
const product = (a: Node, b: Node): Node => u.contract(a, b, { a: 'ik', b: 'kj', out: 'ij' })
const shapesIn = (root: Node): readonly string[] =>
  topological([root])
    .filter(n => n.op !== primitives.parameter && n.op !== primitives.constant)
    .map(n => `${n.op.name} ${n.shape.join()}`)

test("LoRA's weight is never made: its product is that of the base and two narrow ones, the scale on what is r wide", () => {
  const [derived] = rewrite([by(u.add(W, u.mul(product(A, B), 0.5)))], together, surroundings)
  assert.deepEqual(shapesIn(derived!), [
    'contract batch,out',
    'contract batch,r',
    'mul batch,r',
    'contract batch,out',
    'add batch,out',
  ])
})

test('a sum of which no term is of low rank, and a product over as many dims as both sides have, are one weight', () => {
  const V = f32('in', 'out')
  const square = f32('in', 'in')
  const weights = { ...surroundings, isWeight: (n: Node) => n !== x }
  for (const root of [by(u.add(W, V)), by(product(square, u.contract(square, W, { a: 'io', b: 'ok', out: 'ik' })))])
    assert.equal(rewrite([root], [distribute, associate], weights)[0], root)
})

test('a weight that is scaled along both axes is not taken apart', () => {
  const root = by(u.mul(W, f32('in', 'out')))
  const free = { ...surroundings, isWeight: (n: Node) => n !== x }
  assert.equal(rewrite([root], [scaleProduct], free)[0], root)
})

test('the norms of DoRA: no tensor of the size of the weight is made', () => {
  const V = u.add(W, u.mul(product(A, B), 0.5))
  const norm = u.sqrt(u.sum(u.mul(V, V), [0]))
  const [derived] = deduplicated(rewrite([by(u.mul(V, u.div(g, norm)))], together, surroundings))
  const found = shapesIn(derived!)
  assert.deepEqual(
    found.filter(text => text.endsWith('in,out')),
    [],
  )
  // with the rule switched off, the sum and its square are made
  const off = shapesIn(
    deduplicated(
      rewrite(
        [by(u.mul(V, u.div(g, norm)))],
        together.filter(rule => rule !== lowRankNorm),
        surroundings,
      ),
    )[0]!,
  )
  assert.deepEqual(
    off.filter(text => text.endsWith('in,out')),
    ['contract in,out', 'mul in,out', 'add in,out', 'mul in,out'],
  )
})

const marked = (a: Node): Node => u.inputDropout(a, key, stream, { rate: 0.3 })
const numbers = (n: number, f: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => f(i))
const feeds = new Map(
  [x, W, A, B, g].map((n, i) => {
    const sizes = n.shape.map(size)
    return [n, { sizes, data: numbers(count(sizes), k => Math.sin(7 * i + k) + 0.1) }]
  }),
)
const drawn = new Map([
  ...feeds,
  [key, { sizes: [3], data: Float64Array.of(1, 0, 5) }],
  [stream, { sizes: [1], data: Float64Array.of(77) }],
])

test("a factor whose input is dropped out: in training x B' is dropout(x) B', elsewhere the marker is gone", () => {
  const s = 0.5
  const root = by(u.add(W, u.mul(product(marked(A), B), s)))
  const [trained] = rewrite([root], [dropInput, ...together], surroundings)
  const [plain] = rewrite([root], [keepInput, ...together], surroundings)
  const narrow = u.contract(u.dropout(x, key, stream, { rate: 0.3 }), A, { a: 'bi', b: 'ik', out: 'bk' })
  const expected = u.add(by(W), u.mul(u.contract(narrow, B, { a: 'bk', b: 'kj', out: 'bj' }), s))
  const [meant, after, without, whole] = run({ feeds: drawn, size }, [
    expected,
    trained!,
    plain!,
    by(u.add(W, u.mul(product(A, B), s))),
  ])
  assert.ok(equal(meant!, after!))
  assert.ok(equal(whole!, without!))
  // dropping out does something, and the program without it reads no key
  assert.ok(!equal(after!, without!))
  assert.ok(!topological([plain!]).includes(key))
})

test('a factor whose input is dropped out is taken apart however wide it is', () => {
  const wide = f32('in', 60)
  const out = f32(60, 'out')
  const free = { ...surroundings, isWeight: (n: Node) => n !== x && n !== key }
  const [derived] = rewrite([by(u.add(W, product(marked(wide), out)))], [dropInput, ...together], free)
  assert.doesNotThrow(() => {
    checkDropout([derived!])
  })
  assert.ok(!shapesIn(derived!).includes('contract in,out'))
})

test('a marked factor that meets no activation is refused', () => {
  const norm = u.sum(product(marked(A), B), [0])
  assert.throws(() => {
    checkDropout(rewrite([norm], [dropInput, ...together], surroundings))
  }, /^Error: inputDropout: its factor is used other than in a product with an activation/)
})

test('gradients of a rewritten product are those of the product', () => {
  const V = u.add(W, u.mul(product(A, B), 0.5))
  const norm = u.sqrt(u.sum(u.mul(V, V), [0]))
  const root = by(u.mul(V, u.div(g, u.stopGradient(norm))))
  const dy = f32('batch', 'out')
  const fed = new Map([...feeds, [dy, { sizes: [40, 10], data: numbers(400, Math.cos) }]])
  const of = [A, B, g, x].map(whole)
  const before = gradients([root], [dy], of).gradients
  const after = gradients(rewrite([root], together, surroundings), [dy], of).gradients
  const values = run({ feeds: fed, size }, [...before, ...after])
  of.forEach((_, i) => {
    assert.ok(equal(values[i]!, values[i + of.length]!))
  })
  // no gradient of the whole weight
  assert.ok(!topological(after).some(n => n.op === primitives.contract && n.shape.join() === 'in,out'))
  assert.ok(topological(before).some(n => n.op === primitives.contract && n.shape.join() === 'in,out'))
})
