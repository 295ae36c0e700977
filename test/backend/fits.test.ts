import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  adapt,
  add,
  chain,
  compile,
  concat,
  dynamicSlice,
  explain,
  f32,
  full,
  i32,
  integer,
  matmul,
  repeat,
  rope,
  sgd,
  slice,
  stride,
  sum,
  tanh,
  topK,
  trainStep,
  vector,
  type Dims,
  type Node,
  type Shape,
  type TargetName,
} from '../../src/index.ts'
import { composite, fitsByShape, isTensor, mapTree, node, u, type Op } from '../../src/compiler.ts'
import { checkFits } from '../../src/compile/index.ts'
import { count, dequantize, interpret, misfitIn, opaque, type SliceAttributes } from '../../src/tensor/index.ts'
import { instances, registry, sizeIn, subjects, type Instance, type Sizes } from '../support/op-subjects.ts'
import { stateless } from '../../src/tune/transform/transform.ts'
import { nodeTest } from '../support/native-library.ts'
import { openSmall, plainTargets, smallModel, untyped, valuesFor, type Small } from '../support/small-models.ts'

/**
 * No program runs that does not fit the sizes of its dims: a kernel that copies by such sizes would read or write its
 * neighbours.
 */

const beyond = composite<object>({
  name: 'beyond',
  kind: 'movement',
  expand: ([x]) => u.slice(x!, 1, { as: 5 }),
})
const onlyPairs: Op<object> = {
  ...opaque,
  name: 'onlyPairs',
  flops: () => 0,
  vjp: (_, dy) => [dy],
  shape: ([x]) => ({ _tag: 'Right', right: { shape: x!.shape, dtype: 'f32' } }),
  eval: ([x]) => x!,
  misfit: ([x]) => (x!.at(-1)! % 2 === 0 ? undefined : `onlyPairs: ${x!.at(-1)} is odd`),
}
const rows = Array.from({ length: 3 }, () => f32('hidden', 'hidden'))
type Given = Readonly<Record<string, never>>
const dense = { forward: ({ w }: Given, { x }: Given): Node => matmul(x!, w!) }
/** A model whose dense layer continues with a function. */
const then = (more: (h: never) => Node): Small => ({ forward: (p, b) => more(dense.forward(p, b) as never) })

/** A program that `tsc` cannot refuse, sizes that it does not fit, and those that it fits, if there are some. */
interface Wrong {
  readonly of: Small
  readonly dims: Dims
  readonly says: string
  readonly right?: Dims
}
const wrong: Readonly<Record<string, Wrong>> = {
  'a slice of a number': {
    of: then(h => slice(h, 1, { as: 5 })),
    dims: { hidden: 2 },
    says: 'slice: 5 is beyond hidden, which is 2',
  },
  'more of the largest than there are': {
    of: then(h => topK(h, 5).values),
    dims: { hidden: 2 },
    says: 'topK: 5 is beyond hidden, which is 2',
  },
  'a slice that begins too late': {
    of: then(h => slice(h, 1, { as: 'half', start: ['half'] })),
    dims: { hidden: 3, half: 2 },
    says: 'slice: half + half, which is 4, is beyond hidden, which is 3',
  },
  'a slice along rows': {
    of: then(h => slice(h, 0, { as: 'few' })),
    dims: { hidden: 2, few: 4 },
    right: { few: 3 },
    says: 'slice: few, which is 4, is beyond batch, which is 3',
  },
  'a sum that is larger': {
    of: then(h => untyped(concat)([h, h], 1, 'k')),
    dims: { hidden: 2, k: 5 },
    right: { k: 4 },
    says: 'concat: hidden + hidden is 4, not k, which is 5',
  },
  'a sum that is smaller': {
    of: then(h => untyped(concat)([h, h], 1, 'k')),
    dims: { hidden: 2, k: 3 },
    right: { k: 4 },
    says: 'concat: hidden + hidden is 4, not k, which is 3',
  },
  'parts that are not all of it': {
    of: then(h => u.split(h, { axis: 1, sizes: ['one', 'other'], index: 1 })),
    dims: { hidden: 4, one: 1, other: 2 },
    says: 'split: one + other is 3, not hidden, which is 4',
  },
  'steps that go too far': {
    of: then(h => stride(h, 1, { as: 'few', step: 2 })),
    dims: { hidden: 4, few: 3 },
    right: { few: 2 },
    says: 'stride: few, which is 3, in steps of 2 from 0 is beyond hidden, which is 4',
  },
  'a part at a place of the program': {
    of: then(h => dynamicSlice(h, [integer(0), 0], ['few', 'hidden'])),
    dims: { hidden: 2, few: 4 },
    right: { few: 3 },
    says: 'dynamicSlice: few, which is 4, is beyond batch, which is 3',
  },
  'halves that are no halves': {
    of: {
      batch: { x: f32('batch', 'hidden'), t: f32('batch', 'half') },
      forward: (p, b) => rope(dense.forward(p, b) as never, b['t']!, b['t']!),
    },
    dims: { hidden: 3, half: 2 },
    says: 'rope: slice: half + half, which is 4, is beyond hidden, which is 3',
  },
  'too few numbers': {
    of: then(h => add(h, untyped(vector)([1, 2], 'hidden'))),
    dims: { hidden: 3 },
    says: 'constant: there are 2 numbers for hidden, which is 3',
  },
  'a layer that is repeated': {
    of: {
      params: { rows },
      forward: ({ rows: layers }, { x }) =>
        untyped(repeat)(layers, x, (h: never, w: never) => {
          const parts = [untyped(slice)(matmul(h, w), 1, { as: 1 }), slice(h, 1, { as: 1, start: [2] })]
          return add(h, untyped(concat)(parts, 1, 'hidden'))
        }),
    },
    dims: { hidden: 2 },
    says: 'slice: 2 + 1, which is 3, is beyond hidden, which is 2',
  },
  'what is fused': {
    of: then(h => tanh(add(slice(h, 1, { as: 5 }), 1))),
    dims: { hidden: 2 },
    says: 'slice: 5 is beyond hidden, which is 2',
  },
  'a packed matrix': {
    of: {
      batch: { x: f32('batch', 'hidden'), codes: i32('words'), absmax: f32('blocks') },
      forward: (p, { codes, absmax, ...b }) =>
        untyped(matmul)(dense.forward(p, b), dequantize(['hidden', 'hidden'], { codes: codes!, absmax: absmax! })),
    },
    dims: { hidden: 8, words: 7, blocks: 1 },
    says: 'dequantize: 8 × 8 elements are packed in 8 codes, not in 7',
  },
  'a composite from outside': {
    of: then(h => node(beyond, [h], {})),
    dims: { hidden: 2 },
    says: 'beyond: slice: 5 is beyond hidden, which is 2',
  },
  'a primitive from outside': {
    of: then(h => node(onlyPairs, [h], {})),
    dims: { hidden: 3 },
    says: 'onlyPairs: 3 is odd',
  },
}

const refuses = async (target: TargetName, { of, dims, says, right }: Wrong): Promise<void> => {
  await using run = await openSmall(target, of, { dims })
  const of3 = valuesFor(smallModel(of).batch, { ...dims, batch: 3 })
  const before = run.bytes()
  const saying = { message: says }
  await assert.rejects(run.step([of3]), saying)
  await assert.rejects(run.evaluate(of3), saying)
  await assert.rejects(run.predict(of3), saying)
  await assert.rejects(run.gradients(of3), saying)
  assert.throws(() => run.certificate({ batch: 3 }), saying)
  assert.equal(run.bytes(), before, 'nothing ran')
  if (right) assert.ok(Number.isFinite((await run.step([of3], right)).loss))
}
for (const target of plainTargets) {
  for (const [name, one] of Object.entries(wrong))
    test(`${name}: ${target} refuses it in words, before anything runs`, () => refuses(target, one))
}
for (const [name, one] of Object.entries(wrong)) {
  test(`${name}: explain refuses it`, () => {
    const step = trainStep(adapt(smallModel(one.of), full({ targets: ['all'] })), sgd({ lr: 1 }))
    assert.throws(() => explain(step, { dims: { ...one.dims, batch: 3 } }), { message: one.says })
  })
}
nodeTest('node and graph refuse them, too', async () => {
  await refuses('node', wrong['a sum that is larger']!)
  const onGraph = [
    'a slice along rows',
    'a sum that is larger',
    'parts that are not all of it',
    'a part at a place of the program',
    'a layer that is repeated',
    'a composite from outside',
  ]
  for (const name of onGraph) await refuses('graph', wrong[name]!)
})
nodeTest('a graph says which dim has no size, where another target does', async () => {
  const {
    of,
    dims: { hidden },
  } = wrong['a sum that is larger']!
  for (const target of ['wasm', 'graph'] as const) {
    await using run = await openSmall(target, of, { dims: { hidden: hidden! } })
    await assert.rejects(run.step([valuesFor(smallModel(of).batch, { hidden: hidden!, batch: 3 })]), {
      message: 'dim k has no size: give it one',
    })
  }
})

test('a transform that does not fit is refused before a step begins', async () => {
  const made = smallModel(dense)
  const beyondRows = (g: Node): Node => u.mul(g, sum(slice(g as never, 0, { as: 5 })))
  const cutting = stateless(gradient => mapTree(gradient, isTensor, beyondRows) as typeof gradient)
  for (const target of plainTargets) {
    const dims = { hidden: 2 }
    const weights = valuesFor(made.params, dims)
    await using run = await compile(
      trainStep(adapt(made, full({ targets: ['all'] })), chain(cutting, sgd({ lr: 1 }))),
      { target, weights },
    )
    const before = run.bytes()
    const { focus } = await run.read()
    await assert.rejects(run.step([valuesFor(made.batch, { hidden: 2, batch: 3 })]), {
      message: 'slice: 5 is beyond hidden, which is 2',
    })
    assert.equal(run.bytes(), before)
    assert.deepEqual((await run.read()).focus, focus)
  }
})

test('what an op from outside gives is as large as its shape says, or refused', async () => {
  const short: Op<object> = {
    ...onlyPairs,
    name: 'short',
    misfit: fitsByShape,
    eval: ([x]) => ({ ...x!, data: x!.data.subarray(1) }),
  }
  for (const target of plainTargets) {
    const of = then(h => node(short, [h], {}))
    await using run = await openSmall(target, of, { dims: { hidden: 2 } })
    const batch = valuesFor(smallModel(of).batch, { hidden: 2, batch: 3 })
    await assert.rejects(run.evaluate(batch), {
      name: 'SessionError',
      message: 'short: gives 5 numbers, where its shape says 6',
    })
  }
})

/** Sizes whose sums are not sums. */
const askew: fc.Arbitrary<Sizes> = fc.record(
  Object.fromEntries(['a', 'b', 'c', 'few', 'a+b', 'a+a'].map(name => [name, fc.integer({ min: 1, max: 6 })])),
)
/** The conditions on sizes of the few ops that have some, written independently of their facets. */
const holds: Readonly<Record<string, (root: Node, size: Instance['size']) => boolean>> = {
  slice: ({ inputs: [x], attributes }, size) => {
    const { axis, start, dim } = attributes as SliceAttributes
    return (start[0] === undefined ? 0 : size(start[0])) + size(dim) <= size(x!.shape[axis]!)
  },
  pad: ({ inputs: [x], attributes }, size) => {
    const { axis, start, dim } = attributes as SliceAttributes
    return (start[0] === undefined ? 0 : size(start[0])) + size(x!.shape[axis]!) <= size(dim)
  },
  concat: ({ inputs, attributes }, size) => {
    const { axis, dim } = attributes as { readonly axis: number; readonly dim: string | number }
    return inputs.map(x => size(x.shape[axis]!)).reduce((a, b) => a + b) === size(dim)
  },
  split: ({ inputs: [x], attributes }, size) => {
    const { axis, sizes } = attributes as { readonly axis: number; readonly sizes: Shape }
    return sizes.map(size).reduce((a, b) => a + b) === size(x!.shape[axis]!)
  },
  extend: (root, size) => holds['pad']!(root, size),
  stride: ({ inputs: [x], attributes }, size) => {
    const { axis, start, dim, step } = attributes as SliceAttributes & { readonly step: number }
    const last = (start[0] === undefined ? 0 : size(start[0])) + (size(dim) - 1) * step
    return last < size(x!.shape[axis]!)
  },
  dynamicSlice: ({ inputs: [x], attributes }, size) => {
    const { axis, dim } = attributes as SliceAttributes
    return size(dim) <= size(x!.shape[axis]!)
  },
  dynamicUpdate: ({ inputs: [x, part], attributes }, size) => {
    const { axis } = attributes as SliceAttributes
    return size(part!.shape[axis]!) <= size(x!.shape[axis]!)
  },
  rope: ({ inputs: [x, cos] }, size) => size(x!.shape.at(-1)!) === 2 * size(cos!.shape[1]!),
  dequantize: ({ shape, inputs: [codes, scales] }, size) => {
    const blocks = Math.ceil(count(shape.map(size)) / 64)
    return (
      size(codes!.shape[0]!) === 8 * blocks &&
      size(scales!.shape[0]!) === (scales!.dtype === 'f32' ? blocks : Math.ceil(blocks / 4))
    )
  },
}
/** An instance's expression under other sizes. */
const under = (sizes: Sizes, { root, leaves }: Instance) => {
  const size = sizeIn(sizes)
  const ones = new Map(
    leaves.map(leaf => {
      const of = leaf.shape.map(size)
      // an index of zeros is within any dim
      return [leaf, { sizes: of, data: new Float64Array(count(of)).fill(leaf.dtype === 'f32' ? 1 : 0) }]
    }),
  )
  return { root, size, ones }
}
const law = (change: (root: Node) => Node, subject: (typeof registry)[number][1]) =>
  fc.property(instances(subject), askew, (instance, sizes) => {
    const { root: plain, size, ones } = under(sizes, instance)
    const root = change(plain)
    const right = holds[plain.op.name]?.(plain, size) ?? true
    assert.equal(misfitIn([root], size) === undefined, right)
    if (!right) {
      assert.throws(() => checkFits([root], size), { name: 'DimsError' })
      return
    }
    const [value] = interpret([root], ones, size)
    assert.deepEqual(value!.sizes, root.shape.map(size))
    assert.ok(
      value!.data.length === count(value!.sizes) && !value!.data.some(Number.isNaN),
      'nothing is read that is not there',
    )
  })
for (const [name, subject] of registry) {
  test(`${name}: sizes that it does not fit are refused, and within all others nothing is read that is not there`, () => {
    fc.assert(
      law(root => root, subject),
      { numRuns: 40 },
    )
  })
}
test('an op that forgets what it asks of sizes is refuted', () => {
  for (const name of Object.keys(holds) as (keyof typeof subjects)[]) {
    const forgetful = (root: Node): Node => ({ ...root, op: { ...root.op, misfit: fitsByShape } })
    assert.equal(fc.check(law(forgetful, subjects[name]), { numRuns: 200, endOnFailure: true }).failed, true, name)
  }
})
