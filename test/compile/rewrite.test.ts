import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  composites,
  contractOp,
  gradients,
  inverse,
  is,
  node,
  placeholder,
  primitives,
  reshapeOp,
  scalar,
  deduplicated,
  takeOp,
  topological,
  transposeOp,
  u,
  type Node,
  type Shape,
  type Wanted,
} from '../../src/tensor/index.ts'
import {
  contractTranspose,
  rewrite,
  simplifications,
  stopGradientValue,
  takeComposite,
  takeContract,
  takeElementwise,
  takeMerged,
  takeReshape,
  takeRules,
  takeTranspose,
  takeWindows,
  transposePointwise,
  transposeSplit,
  transposeTranspose,
  type Rule,
} from '../../src/compile/rewrite/index.ts'
import {
  axisOf,
  broadcastable,
  declared,
  instances,
  merged,
  products,
  shapes,
  subjects,
  type Instance,
  type Leaf,
  type Subject,
} from '../support/op-subjects.ts'
import { equal, run } from '../support/calculus.ts'

/** A rule, random expressions in which it applies, and a wrong version of it that the same property must refute. */
interface Case {
  readonly rule: Rule
  readonly subject: Subject
  readonly mutant: (n: Node) => Node | undefined
  /** The rule asks that nothing else reads the first input. */
  readonly readOnce?: boolean
}

const permutation = (rank: number) =>
  fc.shuffledSubarray(
    Array.from({ length: rank }, (_, axis) => axis),
    { minLength: rank },
  )
const permuted = (x: Node, of: readonly number[]): Node => node(transposeOp, [x], { permutation: of })
const reshapedTo = (x: Node, shape: Shape): Node => node(reshapeOp, [x], { shape })
const indexInto = (shape: Shape, axis: number): Leaf => ({ shape: ['few'], domain: { below: shape[axis]! } })
/** An expression and a take of it, along each of its axes. */
const takenFrom = (leaves: readonly Leaf[], shape: Shape, build: (inputs: readonly Node[]) => Node): Subject =>
  axisOf(shape).map(axis => ({
    leaves: [...leaves, indexInto(shape, axis)],
    build: inputs => u.take(build(inputs.slice(0, leaves.length)), inputs[leaves.length]!, axis),
  }))

/** The same along one axis. */
const takenAt = (leaves: readonly Leaf[], shape: Shape, axis: number, build: (inputs: readonly Node[]) => Node) =>
  fc.constant({
    leaves: [...leaves, indexInto(shape, axis)],
    build: (inputs: readonly Node[]) => u.take(build(inputs.slice(0, -1)), inputs.at(-1)!, axis),
  })

const named = fc.constantFrom('a', 'b', 'c')
const shaped = (minLength: number, maxLength: number) => shapes(minLength, maxLength, named)
const resultOf = (letters: string, a: string, of: Shape, b: string, from: Shape): Shape =>
  [...letters].map(c => (a.includes(c) ? of[a.indexOf(c)]! : from[b.indexOf(c)]!))
const isTake = (n: Node) => is(n, takeOp) && is(n.inputs[0]!, contractOp)

/**
 * Products whose result has neighbours that stand side by side in the left operand too, then merged into the axis that
 * is taken.
 */
const mergedProducts: Subject = fc
  .tuple(
    fc.shuffledSubarray(['x', 'pq', 'k'], { minLength: 3 }),
    fc.shuffledSubarray(['x', 'k', 'n'], { minLength: 3 }),
    fc.shuffledSubarray(['x', 'pq', 'n'], { minLength: 3 }),
    fc.array(named, { minLength: 5, maxLength: 5 }),
  )
  .map(([left, right, result, of]) => {
    const [a, b, out] = [left, right, result].map(groups => groups.join('')) as [string, string, string]
    const dimOf = (c: string) => of['xpqkn'.indexOf(c)]!
    const shape = result.map(group => [...group].map(dimOf).join('*'))
    const axis = result.indexOf('pq')
    return {
      leaves: [{ shape: [...a].map(dimOf) }, { shape: [...b].map(dimOf) }, indexInto(shape, axis)],
      build: ([x, y, index]) => u.take(reshapedTo(u.contract(x!, y!, { a, b, out }), shape), index!, axis),
    }
  })

/** Composites, and a take of each along an axis that an operand has too. */
const takenComposites: Subject = fc
  .constantFrom(...Object.keys(composites).map(name => subjects[name as keyof typeof composites]))
  .chain(subject => subject)
  .chain(({ leaves, build }) => {
    const root = build(leaves.map(declared))
    const axes = root.shape.flatMap((_, axis) =>
      root.op.along(root, axis)?.some(at => at !== undefined) === true ? [axis] : [],
    )
    return root.op.expand === undefined || axes.length === 0
      ? fc.constant(undefined)
      : fc.constantFrom(...axes).chain(axis => takenAt(leaves, root.shape, axis, build))
  })
  .filter(found => found !== undefined)

/** Windows, and a take of them along another axis. */
const takenWindows: Subject = subjects.windows
  .chain(({ leaves, build }) => {
    const root = build(leaves.map(declared))
    const axes = root.shape.flatMap((_, axis) => (root.op.along(root, axis) === undefined ? [] : [axis]))
    return axes.length === 0
      ? fc.constant(undefined)
      : fc.constantFrom(...axes).chain(axis => takenAt(leaves, root.shape, axis, build))
  })
  .filter(found => found !== undefined)

const ones: Subject = fc
  .tuple(broadcastable(2), fc.boolean(), fc.boolean())
  .map(([[shape = [], whole = []], first, isScalar]) => ({
    leaves: [{ shape }],
    build: ([x]) => {
      const one = isScalar ? scalar(1) : u.broadcastTo(scalar(1), whole)
      return first ? u.mul(one, x!) : u.mul(x!, one)
    },
  }))

const cases: readonly Case[] = [
  {
    rule: takeComposite,
    readOnce: true,
    subject: takenComposites,
    // the first slices are taken, not those of the index
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || x!.op.expand === undefined) return undefined
      const along = x!.op.along(x!, n.attributes.axis)
      const first = u.iota(index!.shape[0]!)
      const inputs = x!.inputs.map((input, i) => (along?.[i] === undefined ? input : u.take(input, first, along[i])))
      return along === undefined ? undefined : node(x!.op, inputs, x!.attributes)
    },
  },
  {
    rule: takeWindows,
    subject: takenWindows,
    // the axis is that of the result, also behind the two axes that windows make of one
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || !is(x!, primitives.windows)) return undefined
      const { axis } = n.attributes
      return node(x!.op, [u.take(x!.inputs[0]!, index!, Math.min(axis, x!.shape.length - 2))], x!.attributes)
    },
  },
  {
    rule: takeContract,
    readOnce: true,
    subject: products(2)
      .filter(({ letters }) => letters.out.length > 0)
      .chain(({ letters, a, b }) =>
        takenFrom([{ shape: a }, { shape: b }], resultOf(letters.out, letters.a, a, letters.b, b), ([x, y]) =>
          u.contract(x!, y!, letters),
        ),
      ),
    // the axis of the result is not that of the operand
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || !is(x!, contractOp)) return undefined
      return u.contract(
        u.take(x.inputs[0]!, index!, Math.min(n.attributes.axis, x.inputs[0]!.shape.length - 1)),
        x.inputs[1]!,
        x.attributes,
      )
    },
  },
  {
    rule: takeTranspose,
    readOnce: true,
    subject: shaped(1, 4).chain(shape =>
      permutation(shape.length).chain(of =>
        takenFrom(
          [{ shape }],
          of.map(axis => shape[axis]!),
          ([x]) => permuted(x!, of),
        ),
      ),
    ),
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || !is(x!, transposeOp)) return undefined
      const { permutation: of } = x.attributes
      return u.transpose(u.take(x.inputs[0]!, index!, inverse(of)[n.attributes.axis]!), of)
    },
  },
  {
    rule: takeReshape,
    readOnce: true,
    subject: fc.tuple(merged, named, merged, fc.boolean()).map(([[l, left], dim, [r, right], back]) => {
      const split = [...l, dim, ...r]
      const joined = [...left, dim, ...right]
      const [from, to, axis] = back ? [joined, split, l.length] : [split, joined, left.length]
      return {
        leaves: [{ shape: from }, indexInto(to, axis)],
        build: ([x, index]) => u.take(reshapedTo(x!, to), index!, axis),
      }
    }),
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || !is(x!, reshapeOp)) return undefined
      return reshapedTo(
        u.take(x.inputs[0]!, index!, Math.min(n.attributes.axis, x.inputs[0]!.shape.length - 1)),
        n.shape,
      )
    },
  },
  {
    rule: takeMerged,
    readOnce: true,
    subject: mergedProducts,
    // the merged axis is taken as if it were the first of the two
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || !is(x!, reshapeOp) || !is(x.inputs[0]!, contractOp)) return undefined
      const product = x.inputs[0]
      const at = product.attributes.out.indexOf('p')
      return reshapedTo(u.take(product, index!, at), n.shape)
    },
  },
  {
    rule: takeElementwise,
    readOnce: true,
    subject: fc
      .tuple(broadcastable(2), fc.constantFrom(primitives.add, primitives.sub, primitives.mul))
      .chain(([of, op]) => {
        const leaves = of.map(shape => ({ shape }))
        const { shape } = node(
          op,
          of.map(s => placeholder(s, 'f32')),
          {},
        )
        return shape.length === 0 ? fc.constant(undefined) : takenFrom(leaves, shape, inputs => node(op, inputs, {}))
      })
      .filter(found => found !== undefined),
    mutant: n => {
      const [x, index] = n.inputs
      if (!is(n, takeOp) || x!.inputs.length !== 2) return undefined
      const { axis } = n.attributes
      return node(x!.op, [u.take(x!.inputs[0]!, index!, axis), x!.inputs[1]!], x!.attributes)
    },
  },
  {
    rule: transposeTranspose,
    subject: shaped(0, 4).chain(shape =>
      fc
        .tuple(permutation(shape.length), permutation(shape.length))
        .map(([p, q]) => ({ leaves: [{ shape }], build: ([x]) => permuted(permuted(x!, p), q) })),
    ),
    mutant: n => {
      const [x] = n.inputs
      return is(n, transposeOp) && is(x!, transposeOp)
        ? u.transpose(
            x.inputs[0]!,
            x.attributes.permutation.map(axis => n.attributes.permutation[axis]!),
          )
        : undefined
    },
  },
  {
    rule: contractTranspose,
    subject: products(1).chain(({ letters, a, b }) =>
      fc
        .tuple(
          permutation(a.length),
          permutation(b.length),
          permutation(letters.out.length),
          fc.constantFrom('a', 'b', 'out'),
        )
        .map(([p, q, r, where]) => {
          const unpermuted = (shape: Shape, of: readonly number[]): Shape => inverse(of).map(axis => shape[axis]!)
          return {
            leaves: [{ shape: where === 'a' ? unpermuted(a, p) : a }, { shape: where === 'b' ? unpermuted(b, q) : b }],
            build: ([x, y]) => {
              const product = u.contract(
                where === 'a' ? permuted(x!, p) : x!,
                where === 'b' ? permuted(y!, q) : y!,
                letters,
              )
              return where === 'out' ? permuted(product, r) : product
            },
          }
        }),
    ),
    mutant: n => {
      const [x, y] = n.inputs
      if (is(n, contractOp) && is(x!, transposeOp)) return u.contract(x.inputs[0]!, y!, n.attributes)
      return is(n, transposeOp) && is(x!, contractOp)
        ? u.contract(x.inputs[0]!, x.inputs[1]!, {
            ...x.attributes,
            out: inverse(n.attributes.permutation)
              .map(axis => x.attributes.out[axis]!)
              .join(''),
          })
        : undefined
    },
  },
  {
    rule: transposeSplit,
    subject: fc.array(shaped(1, 2), { minLength: 1, maxLength: 3 }).chain(groups =>
      fc.tuple(permutation(groups.length), permutation(groups.flat().length)).map(([p, q]) => ({
        leaves: [{ shape: groups.map(group => group.join('*')) }],
        build: ([x]) =>
          permuted(
            reshapedTo(
              permuted(x!, p),
              p.flatMap(axis => groups[axis]!),
            ),
            q,
          ),
      })),
    ),
    mutant: n => {
      const [split] = n.inputs
      if (!is(n, transposeOp) || !is(split!, reshapeOp) || !is(split.inputs[0]!, transposeOp)) return undefined
      return permuted(reshapedTo(split.inputs[0].inputs[0]!, split.shape), n.attributes.permutation)
    },
  },
  {
    rule: transposePointwise,
    subject: fc
      .tuple(shaped(0, 3), fc.constantFrom(primitives.add, primitives.mul, primitives.sub))
      .chain(([shape, op]) =>
        permutation(shape.length).map(p => ({
          leaves: [{ shape }, { shape }],
          build: ([x, y]) => node(op, [permuted(x!, p), permuted(y!, p)], {}),
        })),
      ),
    mutant: n => {
      const [x, y] = n.inputs
      return x && y && is(x, transposeOp) && is(y, transposeOp)
        ? u.transpose(node(n.op, [x.inputs[0]!, y.inputs[0]!], n.attributes), inverse(x.attributes.permutation))
        : undefined
    },
  },
  {
    rule: stopGradientValue,
    subject: shapes().map(shape => ({ leaves: [{ shape }], build: ([x]) => u.stopGradient(x!) })),
    mutant: n => (n.op === primitives.stopGradient ? u.mul(n.inputs[0]!, 2) : undefined),
  },
  {
    rule: simplifications.find(rule => rule.name === 'times-one')!,
    subject: ones,
    mutant: n =>
      n.op === primitives.mul ? n.inputs.find(x => x.inputs.length > 0 || x.op === primitives.constant) : undefined,
  },
  {
    rule: simplifications.find(rule => rule.name === 'reshape-reshape')!,
    subject: merged.map(([shape, to]) => ({
      leaves: [{ shape }],
      build: ([x]) => reshapedTo(reshapedTo(x!, to), shape),
    })),
    mutant: n => (is(n, reshapeOp) && is(n.inputs[0]!, reshapeOp) ? n.inputs[0] : undefined),
  },
]

const environment = ({ size }: Instance) => ({ size, isStatic: () => false })
/** The rule, and how often it has changed something. */
const counted = (rule: Rule) => {
  const count = { fired: 0 }
  const apply: Rule['apply'] = (n, context) => {
    const next = rule.apply(n, context)
    if (next && next !== n) count.fired++
    return next
  }
  return { count, rule: { ...rule, apply } }
}
const holds = (instance: Instance, rule: Rule): boolean => {
  const { root, feeds, size } = instance
  const [next] = rewrite([root], [rule], environment(instance))
  const [before, after] = run({ feeds, size }, [root, next!])
  return next!.shape.join() === root.shape.join() && next!.dtype === root.dtype && equal(before!, after!)
}
/** A mutant is applied once: it need not end. */
const once = (mutant: Case['mutant']): Rule => {
  let isDone = false
  return {
    name: 'mutant',
    apply: n => {
      const next = isDone ? undefined : mutant(n)
      isDone ||= next !== undefined
      return next
    },
  }
}

for (const { rule, subject, mutant, readOnce } of cases) {
  test(`${rule.name}: what it rewrites has the same shape and value`, () => {
    let fired = 0
    fc.assert(
      fc.property(instances(subject), instance => {
        const { rule: watched, count } = counted(rule)
        const is = holds(instance, watched)
        fired += count.fired
        return is
      }),
      { numRuns: 150 },
    )
    assert.ok(fired >= 50, `it fired ${fired} times`)
  })
  test(`${rule.name}: a wrong rule is refuted`, () => {
    assert.equal(
      fc.check(
        fc.property(instances(subject), instance => holds(instance, once(mutant))),
        { numRuns: 300, endOnFailure: true },
      ).failed,
      true,
    )
  })
  test(`${rule.name}: what is rewritten is not rewritten again`, () => {
    fc.assert(
      fc.property(instances(subject), instance => {
        const once = rewrite([instance.root], [rule], environment(instance))
        const twice = rewrite(once, [rule], environment(instance))
        return (
          topological(twice).length <= topological(once).length &&
          deduplicated(once)[0]!.op === deduplicated(twice)[0]!.op
        )
      }),
      { numRuns: 50 },
    )
  })
  if (readOnce) {
    test(`${rule.name}: it does not apply where something else reads what is taken from`, () => {
      fc.assert(
        fc.property(instances(subject), instance => {
          const { rule: watched, count } = counted(rule)
          const other = u.neg(instance.root.inputs[0]!)
          const [next] = rewrite([instance.root, other], [watched], environment(instance))
          return count.fired === 0 && next === instance.root
        }),
        { numRuns: 50 },
      )
    })
  }
}

test('contract-transpose leaves a product alone that something else reads untransposed', () => {
  const x = placeholder(['a', 'b'], 'f32')
  const y = placeholder(['b', 'c'], 'f32')
  const product = u.contract(x, y, { a: 'ij', b: 'jk', out: 'ik' })
  const roots = [permuted(product, [1, 0]), product]
  assert.deepEqual(rewrite(roots, [contractTranspose], { size: () => 2, isStatic: () => false }), roots)
})

test("the rules derive PaCA: of a masked weight's gradient only the taken columns of the input are read", () => {
  const x = placeholder(['batch', 'seq', 'hidden'], 'f32')
  const w = placeholder(['hidden', 'ffn'], 'f32')
  const dy = placeholder(['batch', 'seq', 'ffn'], 'f32')
  const index = placeholder([8], 'i32')
  const masked: Wanted = { leaf: w, kind: 'columns', index: [index], get: (g, [i]) => u.take(g, i!, 0) }
  const product = u.contract(x, w, { a: 'bsi', b: 'io', out: 'bso' })
  const {
    gradients: [g],
  } = gradients([product], [dy], [masked])
  const [derived] = rewrite([g!], takeRules, { size: () => 2, isStatic: () => false })
  // equation 9 of the paper: ∇P = X[:, columns]ᵀ ∇Y
  assert.ok(derived && is(derived, contractOp))
  assert.deepEqual(derived.shape, [8, 'ffn'])
  assert.deepEqual(derived.inputs.map(n => n.op.name).sort(), ['parameter', 'take'])
  const taking = derived.inputs.find(n => is(n, takeOp))!
  assert.deepEqual(taking.shape, ['batch', 'seq', 8])
  assert.equal(taking.inputs[0], x)
  assert.ok(!topological([derived]).some(n => n.shape.join() === 'hidden,ffn'))
})

test('a weight that several products read: the take of the sum of their gradients reaches each of them', () => {
  const [x, z] = ['x', 'z'].map(() => placeholder(['batch', 'hidden'], 'f32')) as [Node, Node]
  const w = placeholder(['hidden', 'ffn'], 'f32')
  const dy = placeholder(['batch', 'ffn'], 'f32')
  const index = placeholder([8], 'i32')
  const product = (input: Node): Node => u.contract(input, w, { a: 'bi', b: 'io', out: 'bo' })
  const masked: Wanted = { leaf: w, kind: 'columns', index: [index], get: g => u.take(g, index, 0) }
  const full = gradients([u.add(product(x), product(z))], [dy], [{ leaf: w, kind: 'all', index: [], get: g => g }])
    .gradients[0]!
  const [derived] = rewrite([masked.get(full, [index])], takeRules, { size: () => 2, isStatic: () => false })
  assert.equal(topological([derived!]).filter(n => is(n, takeOp)).length, 2)
  assert.ok(!topological([derived!]).some(n => isTake(n) || n.shape.join() === 'hidden,ffn'))
})

test('rewriting keeps what is shared shared, and terms without a match as they are', () => {
  const x = placeholder(['a', 'b'], 'f32')
  const twice = permuted(permuted(x, [1, 0]), [1, 0])
  const root = u.add(u.mul(twice, twice), twice)
  const [next] = rewrite([root], [transposeTranspose], { size: () => 2, isStatic: () => false })
  assert.deepEqual(
    topological([next!]).map(n => n.op.name),
    ['parameter', 'mul', 'add'],
  )
  assert.equal(rewrite([root], [takeTranspose], { size: () => 2, isStatic: () => false })[0], root)
})
