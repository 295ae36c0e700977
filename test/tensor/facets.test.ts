import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  composite,
  composites,
  factors,
  interpret,
  node,
  noDims,
  placeholder,
  primitives,
  scalar,
  topological,
  u,
  type Dim,
  type Kind,
  type Node,
  type Numbers,
  type Op,
} from '../../src/tensor/index.ts'
import { instances, randomFrom, registry, subjects, type Instance, type Subject } from '../support/op-subjects.ts'
import { differentiate, dot, equal, moved, noise, run } from '../support/calculus.ts'

/** Laws of the facets by which the result of an op follows from its operands, tested against its `eval` and its `vjp`. */

const ops: { readonly [name: string]: Op } = { ...primitives, ...composites }
/** Ops without an evaluation of their own. */
const structural = new Set(['parameter', 'call', 'loop', 'result'])
const ofKind = (kind: Kind): readonly (readonly [string, Subject])[] =>
  registry.filter(([name]) => ops[name]!.kind === kind && !structural.has(name))
const valueOf = ({ feeds, size }: Pick<Instance, 'feeds' | 'size'>, root: Node): Numbers =>
  interpret([root], feeds, size)[0]!

/** Runs a law over subjects, and expects that it refutes what is claimed of others in vain. */
const holdsFor = (
  law: string,
  of: readonly (readonly [string, Subject])[],
  holds: (instance: Instance) => boolean,
  refuted: readonly string[],
): void => {
  for (const [name, subject] of of) {
    test(`${name}: ${law}`, () => {
      fc.assert(fc.property(instances(subject), holds), { numRuns: 60 })
    })
  }
  test(`${law}: that is refuted of ${refuted.join(' and ')}`, () => {
    for (const name of refuted) {
      const subject = subjects[name as keyof typeof subjects]
      assert.equal(
        fc.check(fc.property(instances(subject), holds), { numRuns: 300, endOnFailure: true }).failed,
        true,
        name,
      )
    }
  })
}

/** An instance whose operands all have the rank of the result, but scalars, each under another view of it. */
const viewed = (instance: Instance, view: (x: Node, axisOf: (axis: number) => number) => Node): Node => {
  const { root } = instance
  const rank = root.shape.length
  const inputs = root.inputs.map(x => view(x, axis => axis - (rank - x.shape.length)))
  return node(root.op, inputs, root.attributes)
}
const sameRank = ({ root }: Instance): boolean =>
  root.inputs.every(({ shape }) => shape.length === 0 || shape.length === root.shape.length)

holdsFor(
  'an elementwise op commutes with a permutation of axes',
  ofKind('elementwise'),
  instance => {
    if (!sameRank(instance)) return true
    const permutation = instance.root.shape.map((_, axis) => axis).toReversed()
    return equal(
      valueOf(instance, u.transpose(instance.root, permutation)),
      valueOf(
        instance,
        viewed(instance, x => (x.shape.length === 0 ? x : u.transpose(x, permutation))),
      ),
    )
  },
  ['softmax', 'softmaxGrad', 'causalSoftmax'],
)

holdsFor(
  'an elementwise op commutes with a take',
  ofKind('elementwise'),
  instance => {
    const { root, size, feeds } = instance
    const index = placeholder([2], 'i32')
    return root.shape.every((dim, axis) => {
      const of = size(dim)
      const given = { size, feeds: new Map(feeds).set(index, { sizes: [2], data: Float64Array.of(of - 1, 0) }) }
      const inside = viewed(instance, (x, axisOf) =>
        x.shape[axisOf(axis)] === dim ? u.take(x, index, axisOf(axis)) : x,
      )
      return equal(valueOf(given, u.take(root, index, axis)), valueOf(given, inside))
    })
  },
  ['softmax', 'rmsNorm', 'causalSoftmax'],
)

holdsFor(
  'an op on rows runs along all axes of its first operand but the last',
  ofKind('rows'),
  ({ root }) =>
    root.inputs[0]!.shape.slice(0, -1).every((_, axis) => {
      const along = root.op.along(root, axis)
      return along?.[0] === axis
    }),
  ['causalSoftmax', 'sum', 'dropout'],
)

holdsFor(
  'a reduction runs along the axes that are left, and along no other',
  ofKind('reduction'),
  ({ root }) => {
    const { axes } = root.attributes as { readonly axes?: readonly number[] }
    const kept = root.shape.flatMap((_, axis) => root.op.along(root, axis)?.[0] ?? [])
    return axes !== undefined && root.inputs[0]!.shape.every((_, axis) => kept.includes(axis) === !axes.includes(axis))
  },
  ['softmax', 'tanh'],
)

holdsFor(
  'a movement computes nothing: every number is an operand’s, or 0',
  ofKind('movement'),
  instance => {
    const given = new Set([0, ...instance.root.inputs.flatMap(x => [...valueOf(instance, x).data])])
    return valueOf(instance, instance.root).data.every(v => given.has(v))
  },
  ['neg', 'scatterAdd', 'silu'],
)

test('a source has no operands, and is the same whenever it is made', () => {
  for (const [, subject] of ofKind('source'))
    fc.assert(
      fc.property(
        instances(subject),
        instance =>
          instance.root.inputs.length === 0 &&
          equal(
            valueOf(instance, instance.root),
            valueOf(instance, node(instance.root.op, [], instance.root.attributes)),
          ),
      ),
    )
})

/** The factors of dims that an op and its expansion ask the size of. */
const askedBy = ({ root, size, feeds }: Instance): ReadonlySet<number | string> => {
  const asked = new Set<number | string>()
  const noting = (dim: Dim): number => {
    factors(dim).forEach(factor => asked.add(factor))
    return size(dim)
  }
  const leaves = root.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
  const inputs = leaves.map((_, i) => interpret([root.inputs[i]!], feeds, size)[0]!)
  const bound = { sizes: root.shape.map(size), size: noting, inputs: root.inputs }
  const sizes = inputs.map(x => x.sizes)
  root.op.misfit(sizes, root.attributes, bound)
  root.op.flops(sizes, root.attributes, bound)
  root.op.eval(inputs, root.attributes, bound)
  for (const n of topological(root.op.expand ? [root.op.expand(leaves, root.attributes)] : []))
    [...n.shape, ...n.op.dims(n.attributes)].forEach(noting)
  return asked
}
const namesAllAsked = (instance: Instance): boolean => {
  const { root } = instance
  const named = new Set(
    [root, ...root.inputs]
      .flatMap(({ shape }) => shape)
      .concat(root.op.dims(root.attributes))
      .flatMap(factors),
  )
  return [...askedBy(instance)].every(factor => named.has(factor))
}
for (const [name, subject] of registry) {
  if (structural.has(name)) continue
  test(`${name}: the size of no dim is asked that neither a shape nor \`dims\` names`, () => {
    fc.assert(fc.property(instances(subject), namesAllAsked), { numRuns: 60 })
  })
}
test('the size of no dim is asked in silence: what names none of its dims is refuted', () => {
  for (const name of ['size', 'slice', 'pad'] as const) {
    const silent = fc.property(instances(subjects[name]), instance =>
      namesAllAsked({ ...instance, root: { ...instance.root, op: { ...instance.root.op, dims: noDims } } }),
    )
    assert.equal(fc.check(silent, { numRuns: 200, endOnFailure: true }).failed, true, name)
  }
})

/** Points at which corners lie: 0, and numbers that occur twice. */
const special = [-1, 0, 0, 1]
/** Points at which corners lie, in the range of a leaf, and its middle. */
const specialIn = ([from, width]: readonly [from: number, width: number]): readonly number[] =>
  [...special, from + width / 2].filter(v => v > from && v < from + width)
/** True if neither the value nor its derivative jumps, near points at which corners lie. */
const hasNoJump = (instance: Instance, seed = 1): boolean => {
  const { root, differentiable, feeds, ranges } = instance
  if (differentiable.length === 0) return true
  const random = randomFrom(seed)
  const at = new Map(
    differentiable.map((leaf): readonly [Node, Numbers] => {
      const { sizes, data } = feeds.get(leaf)!
      const points = specialIn(ranges!.get(leaf)!)
      return [leaf, { sizes, data: data.map(() => points[Math.floor(random() * points.length)]!) }]
    }),
  )
  const dy = placeholder(root.shape, 'f32')
  const isReal = root.dtype === 'f32'
  const roots = [root, ...(isReal ? differentiate(root, dy, differentiable) : [])]
  const cotangent = noise(root.shape.map(instance.size), seed + 1)
  const valuesAt = (step: number): readonly Numbers[] => {
    const beside = differentiable.map((leaf, i): readonly [Node, Numbers] => [
      leaf,
      moved(at.get(leaf)!, noise(at.get(leaf)!.sizes, seed + 2 + i), step),
    ])
    return run({ ...instance, feeds: new Map([...feeds, ...beside, [dy, cotangent]]) }, roots)
  }
  const differences = (step: number): readonly number[] => {
    const right = valuesAt(step)
    return valuesAt(-step).map((x, i) => {
      const difference = moved(right[i]!, x, -1)
      return Math.sqrt(dot(difference, difference))
    })
  }
  // what is continuous differs by less for a smaller step; a jump stays
  const wide = differences(1e-7)
  return differences(1e-9).every((d, i) => d < 1e-4 + wide[i]! / 4)
}
const claimed = ({ root }: Instance): boolean => root.op.smooth(root)

for (const [name, subject] of registry) {
  test(`${name}: what is smooth jumps nowhere, nor does its derivative`, () => {
    fc.assert(
      fc.property(
        instances(subject),
        fc.integer(),
        (instance, seed) => !claimed(instance) || hasNoJump(instance, seed),
      ),
      { numRuns: 100 },
    )
  })
}
const relu = composite<object>({
  name: 'relu',
  kind: 'elementwise',
  expand: ([x]) => u.maximum(scalar(0), x!),
})
const reluOf: Subject = subjects.tanh.map(plan => ({ ...plan, build: ([x]) => node(relu, [x!], {}) }))
test('what has a corner jumps, or its derivative does: ops that say so, and a composite whose expansion has one', () => {
  const cornered = [
    ...(['abs', 'sign', 'maximum', 'minimum', 'max', 'less', 'cast'] as const).map(
      name => [name, subjects[name]] as const,
    ),
    ['relu', reluOf] as const,
  ]
  for (const [name, subject] of cornered) {
    let corners = 0
    const mutant = fc.property(instances(subject), fc.integer(), (instance, seed) => {
      if (claimed(instance)) return true
      corners += 1
      return hasNoJump(instance, seed)
    })
    assert.equal(fc.check(mutant, { numRuns: 500, endOnFailure: true }).failed, true, name)
    assert.ok(corners > 0, `${name} has no corner`)
  }
})

/** A composite that tells its rows apart, although each follows from one row. */
const numbered = (expand: (x: Node) => Node): Node => {
  const x = placeholder(['a', 'b'], 'f32')
  return node(composite<object>({ name: 'numbered', kind: 'other', expand: ([of]) => expand(of!) }), [x], {})
}
test('rows of a composite do not follow from rows where its expansion knows their number, or how many there are', () => {
  const { mul, size, iota, sum, reshape } = primitives
  const cases: readonly (readonly [Node, readonly (number | undefined)[] | undefined])[] = [
    [numbered(x => node(mul, [x, x], {})), [0]],
    [numbered(x => node(mul, [x, node(size, [], { dims: ['b'] })], {})), [0]],
    [numbered(x => node(mul, [x, node(size, [], { dims: x.shape.slice(0, 1) })], {})), undefined],
    [
      numbered(x =>
        node(mul, [x, node(reshape, [node(iota, [], { dim: 'a', dtype: 'f32' })], { shape: ['a', 1] })], {}),
      ),
      undefined,
    ],
    [numbered(x => node(mul, [x, node(sum, [x], { axes: [0], keepDims: true })], {})), undefined],
    [numbered(x => node(mul, [x, node(sum, [x], { axes: [1], keepDims: true })], {})), [0]],
    [numbered(x => node(reshape, [x], { shape: [x.shape[0]!, 1, 'b'] })), [0]],
    [numbered(x => node(reshape, [x], { shape: ['a*b'] })), undefined],
  ]
  for (const [root, along] of cases) assert.deepEqual(root.op.along(root, 0), along)
})

/** Tests whether an op gives a cotangent of an operand, on an instance of it. */
const hasGradient = ({ root }: Instance): boolean =>
  root.dtype === 'f32' && root.op.vjp(root, placeholder(root.shape, 'f32')).some(cotangent => cotangent !== undefined)
const declares = ({ root }: Instance): boolean => root.op.autograd !== undefined || root.op.expand !== undefined

for (const [name, subject] of registry.filter(([name]) => !structural.has(name))) {
  test(`${name}: an op that has a gradient says what PyTorch keeps for it, and names its own operands`, () => {
    fc.assert(
      fc.property(instances(subject), instance => {
        const { root } = instance
        const saved = root.op.autograd?.saves(
          root,
          root.inputs.map(() => ({})),
        )
        const operands = (saved ?? []).flatMap(one =>
          typeof one !== 'object' ? [] : 'operand' in one ? [one.operand] : 'table' in one ? [one.table] : [],
        )
        return (!hasGradient(instance) || declares(instance)) && operands.every(operand => operand in root.inputs)
      }),
      { numRuns: 20 },
    )
  })
}
test('an op that has a gradient says what PyTorch keeps for it: that is refuted of an op without the facet', () => {
  const without = (instance: Instance): Instance => {
    const { autograd: _, ...op } = instance.root.op
    return { ...instance, root: { ...instance.root, op } }
  }
  const property = fc.property(
    instances(subjects.sin),
    instance => !hasGradient(without(instance)) || declares(without(instance)),
  )
  assert.equal(fc.check(property, { numRuns: 20, endOnFailure: true }).failed, true)
})
