import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { outlined } from '../../src/compile/loop/outline.ts'
import { rolled } from '../../src/compile/loop/roll.ts'
import {
  blockOf,
  call,
  callOp,
  concatOp,
  interpret,
  loopOp,
  is,
  node,
  placeholder,
  result,
  scalar,
  sliceOp,
  sumOp,
  topological,
  u,
  type Feed,
  type Loop,
  type Node,
  type NodeOf,
} from '../../src/tensor/index.ts'
import { allEqual, noise } from '../support/calculus.ts'
import {
  blocks,
  flatOf,
  isStack,
  layeredBy,
  recipes,
  size,
  spoiled,
  stackedRoots,
  tangles,
  updates,
  walks,
  withStacks,
  type Layered,
  type Pass,
  type Recipe,
} from '../support/layered-graphs.ts'

const loopsOf = (roots: readonly Node[]): readonly NodeOf<Loop>[] => topological(roots).filter(n => is(n, loopOp))
type Change = (layered: Pick<Layered, 'roots' | 'families'>) => readonly Node[]

/**
 * A changed program keeps its meaning: stacks replace families, and stacks replace values that were requested one by
 * one.
 */
const keepsMeaning = ({ roots, families, feeds }: Layered, change: Change): boolean => {
  const expected = stackedRoots(roots, interpret(flatOf(roots), feeds, size))
  return allEqual(interpret(change({ roots, families }), withStacks(feeds, families), size), expected)
}
const roll: Change = ({ roots, families }) => rolled(roots, families)
const outlineAndRoll: Change = ({ roots, families }) => {
  const made = [...outlined(flatOf(roots), families)]
  return rolled(
    roots.map(root => (isStack(root) ? made.splice(0, root.length) : made.shift()!)),
    families,
  )
}

const programs: Readonly<Record<string, fc.Arbitrary<Layered>>> = {
  'walks through layers': walks,
  'calls of anything on anything': tangles,
  'updates of layers': updates,
}
for (const [name, layered] of Object.entries(programs)) {
  test(`${name}: rolled, they mean what they meant`, () => {
    fc.assert(
      fc.property(layered, l => keepsMeaning(l, roll)),
      { numRuns: 700 },
    )
  })
  test(`${name}: with blocks made of what is done for each layer alone, and rolled then, they mean what they meant`, () => {
    fc.assert(
      fc.property(layered, l => keepsMeaning(l, outlineAndRoll)),
      { numRuns: 400 },
    )
  })
}

const changedLoop =
  (change: (loop: Loop) => Loop) =>
  (n: Node): Node | undefined =>
    is(n, loopOp) ? node(loopOp, n.inputs, change(n.attributes)) : undefined
const mutants: Readonly<Record<string, (n: Node) => Node | undefined>> = {
  'a loop that goes the other way': changedLoop(loop => ({ ...loop, reverse: !loop.reverse })),
  'a loop that carries another output': changedLoop(loop => {
    const [first, second, ...rest] = loop.block.outputs as readonly [Node, Node, ...(readonly Node[])]
    return { ...loop, block: { ...loop.block, outputs: [second, first, ...rest] } }
  }),
  'a slice that is shifted': n =>
    is(n, sliceOp) && n.attributes.axis === 0 && n.attributes.start.length > 0
      ? node(sliceOp, n.inputs, { ...n.attributes, start: [] })
      : undefined,
  'a stack whose parts are the other way round': n =>
    is(n, concatOp) && n.inputs.length > 1 ? node(concatOp, n.inputs.toReversed(), n.attributes) : undefined,
  'a sum over layers that is twice the sum': n =>
    is(n, sumOp) && n.inputs[0]!.shape.length === 2 ? u.mul(node(sumOp, n.inputs, n.attributes), 2) : undefined,
  'a block that is not quite the same': n => {
    const block = blockOf(n)
    return (
      block && node(callOp, n.inputs, { block: { ...block, outputs: block.outputs.map(o => u.add(o, scalar(1e-6))) } })
    )
  },
}
for (const [name, mutant] of Object.entries(mutants)) {
  test(`${name} is refuted`, () => {
    const law = fc.property(walks, l => keepsMeaning(l, of => spoiled(roll(of), mutant)))
    assert.ok(fc.check(law, { numRuns: 1000, endOnFailure: true }).failed)
  })
}

const walk = (pass: Partial<Pass>): Pass => ({ down: false, kinds: [0], from: 0, beside: 0, of: 0, only: 0, ...pass })
const kinds: readonly (readonly [
  what: string,
  count: number,
  passes: readonly Pass[],
  loops: readonly number[],
  calls: number,
])[] = [
  ['layers of one kind', 5, [walk({})], [5], 0],
  ['one layer', 1, [walk({})], [], 1],
  ['layers of which the last are of another kind', 4, [walk({ kinds: [1, 1, 0, 0] })], [2, 2], 0],
  ['a layer of another kind in the middle', 5, [walk({ kinds: [0, 0, 1, 0, 0] })], [2, 2], 1],
  ['layers of alternating kinds', 4, [walk({ kinds: [0, 1] })], [], 4],
  ['a way down after a way up', 4, [walk({}), walk({ down: true, from: 4, beside: 2 })], [4, 4], 0],
  ['a way up on what the way before was given', 4, [walk({ kinds: [1] }), walk({ beside: 4 })], [4, 4], 0],
  ['a layer that gets what the one before yielded', 4, [walk({ beside: 1 })], [4], 0],
  ['layers that get values of no source', 4, [walk({ beside: 6 })], [], 4],
]
for (const [what, count, passes, loops, calls] of kinds) {
  test(`${what}: ${loops.length} loops, ${calls} calls`, () => {
    const { roots, families } = layeredBy({
      count,
      passes,
      roots: [...passes.map((_, i) => [0, i, 0] as const), ...passes.map((_, i) => [1, i, 1] as const)],
    })
    const made = roll({ roots, families })
    assert.deepEqual(
      loopsOf(made).map(loop => loop.attributes.count),
      loops,
    )
    assert.equal(topological(made).filter(n => is(n, callOp)).length, calls)
  })
}
test('two chains of loops that would wait for each other are not made: one of them stays calls', () => {
  const [leaf, other] = [placeholder([2], 'f32'), placeholder([2], 'f32')]
  const [a, b, p, q] = ['a', 'b', 'p', 'q'].map(name => ({ ...blocks[0]!, name }))
  const of = (block: typeof a, h: Node, e: Node): Node => call(block!, [h, e, e])[0]!
  const a0 = of(a, leaf, leaf)
  const b0 = of(b, other, leaf)
  const p0 = of(p, leaf, b0)
  const q0 = of(q, other, a0)
  const roots = [of(p, p0, b0), of(q, q0, a0), of(a, p0, leaf), of(b, q0, leaf)]
  const feeds = new Map([leaf, other].map((l, i) => [l, noise([2], i)]))
  assert.ok(keepsMeaning({ roots, families: [], feeds }, roll))
  assert.equal(loopsOf(roll({ roots, families: [] })).length, 3)
})
test('sums over layers are sums of stacks: of leaves, of what layers yield, and of what goes through them', () => {
  const {
    roots: [sum],
    families,
  } = layeredBy({ count: 6, passes: [walk({})], roots: [[11, 0, 0]] })
  const made = roll({ roots: [sum!], families })
  assert.equal(topological(made).filter(n => is(n, sumOp)).length, 2)
  assert.equal(
    topological(made).some(n => is(n, sliceOp)),
    false,
  )
})
test('a rolled program has as many nodes whatever the number of its layers', () => {
  const counted = (recipe: Recipe, count: number): number => topological(roll(layeredBy({ ...recipe, count }))).length
  // each walk has a block of its own; computations outside of them, layer by layer, are not rolled, and neither is a
  // stack that goes down
  const uniform = recipes.map((recipe): Recipe => ({
    ...recipe,
    passes: recipe.passes.slice(0, 2).map((pass, i) => ({ ...pass, kinds: [i], beside: pass.beside % 6 })),
    roots: recipe.roots.filter(([kind]) => ![2, 5, 10].includes(kind)),
  }))
  fc.assert(
    fc.property(uniform, recipe => counted(recipe, 16) === counted(recipe, 40)),
    { numRuns: 200 },
  )
  const unrolled = ([16, 40] as const).map(
    count => topological(flatOf(layeredBy({ count, passes: [walk({})], roots: [[1, 0, 1]] }).roots)).length,
  )
  assert.ok(unrolled[0]! < unrolled[1]!)
})

const [block] = blocks as readonly [(typeof blocks)[number]]
const feeds: readonly Feed[] = [{ kind: 'carried', output: 0 }, { kind: 'layered' }, { kind: 'shared' }]
const [start, stack, rest] = [placeholder([2], 'f32'), placeholder([3, 2], 'f32'), placeholder([2], 'f32')]
const loop: Loop = { block, count: 3, feeds, reverse: false }
for (const reverse of [false, true]) {
  test(`a loop calls its block for each layer, ${reverse ? 'the last' : 'the first'} first; what is not carried is a stack in the order of the layers`, () => {
    const data = new Map([
      [start, noise([2], 1)],
      [stack, noise([3, 2], 2)],
      [rest, noise([2], 3)],
    ])
    const application = node(loopOp, [start, stack, rest], { ...loop, reverse })
    const rows = [0, 1, 2].map(() => placeholder([2], 'f32'))
    const given = new Map([
      ...data,
      ...rows.map((row, i) => [row, { sizes: [2], data: data.get(stack)!.data.slice(2 * i, 2 * i + 2) }] as const),
    ])
    const yields: Node[] = []
    let h: Node = start
    for (const i of reverse ? [2, 1, 0] : [0, 1, 2]) {
      const [next, y] = call(block, [h, rows[i]!, rest])
      h = next!
      yields[i] = y!
    }
    const [last, ...each] = interpret([h, ...yields], given, size)
    const [carried, stacked] = interpret([result(application, 0), result(application, 1)], data, size)
    assert.ok(allEqual([carried!], [last!]))
    assert.deepEqual([stacked!.sizes, [...stacked!.data]], [[3, 2], each.flatMap(x => [...x.data])])
  })
}
test('a loop refuses arguments that are not what its block reads', () => {
  assert.throws(
    () => node(loopOp, [start, rest, rest], loop),
    /^ShapeMismatch: loop a: argument 1 is \[2\], not \[3, 2\]$/,
  )
  assert.throws(() => node(loopOp, [start, stack], loop), /^ShapeMismatch: loop a: there are 2 arguments, not 3$/)
  assert.throws(
    () => node(loopOp, [start, placeholder([3, 2], 'i32'), rest], loop),
    /^ShapeMismatch: loop a: argument 1 is \[3, 2\] i32, not \[3, 2\]$/,
  )
  assert.throws(
    () =>
      node(loopOp, [start, stack, rest], { ...loop, feeds: [{ kind: 'carried', output: 2 }, feeds[1]!, feeds[2]!] }),
    /^ShapeMismatch: loop a: argument 0 is \[2\], and what is carried to it is no output$/,
  )
})
