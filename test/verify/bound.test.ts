import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import {
  abs,
  adapt,
  add,
  compile,
  f32,
  full,
  hvp,
  lora,
  lorafa,
  matmul,
  max,
  model,
  mul,
  nf4,
  paca,
  quantized,
  relu,
  scalar,
  sgd,
  sigmoidBinaryCrossEntropy,
  size,
  squaredError,
  stopGradient,
  sub,
  sum,
  tanh,
  trainStep,
  uniform,
  type Loss,
  type Node,
  type Session,
  type Shape,
  type Tensor,
  type Value,
  type Values,
} from '../../src/index.ts'
import {
  composites,
  gradients,
  interpret,
  isValue,
  leaves,
  mapTree,
  node,
  placeholder,
  typed,
  whole,
  u,
  type Op,
} from '../../src/compiler.ts'
import { checkProved, headOf, provedCurvature } from '../../src/verify/bound/index.ts'
import type { Proved } from '../../src/verify/index.ts'
import { masked, type Choice } from '../support/masks.ts'
import { openTiny, tinyBatch } from '../support/tiny-llama.ts'
import { hessian, spectralNorm, stepOf, type Case } from '../support/bounds.ts'

const orThrow = <A>(result: E.Either<unknown, A>): A => {
  if (E.isLeft(result)) throw new Error(JSON.stringify(result.left))
  return result.right
}
const reals = <const S extends Shape>(
  shape: S,
  sizes: readonly number[],
  seed: number,
  from = -2,
  to = 2,
): Value<S> => ({
  shape,
  sizes,
  dtype: 'f32',
  data: uniform(
    7,
    seed,
    sizes.reduce((n, s) => n * s, 1),
  ).map(u => from + (to - from) * u),
})
const evaluated = (root: Node, ...feeds: readonly (readonly [Node, readonly number[]])[]): readonly number[] => [
  ...interpret(
    [root],
    new Map(feeds.map(([leaf, data]) => [leaf, { sizes: leaf.shape.map(Number), data: Float64Array.from(data) }])),
    Number,
  )[0]!.data,
]

/**
 * The largest eigenvalue, in absolute value, of the Hessian of an op's loss of one row with respect to its first input.
 */
const rowCurvature = (op: Op<object>, classes: number, logits: readonly number[], label: number): number => {
  const isRowWise = op === composites.crossEntropy
  const labels: Node = isRowWise ? placeholder([], 'i32') : placeholder([classes], 'f32')
  const z = f32(classes)
  const v = f32(classes)
  const f = (x: Tensor<readonly [number]>): Tensor<readonly []> => sum(typed<Shape, 'f32'>(node(op, [x, labels], {})))
  const [product] = hvp(f as never, [z] as never, [v] as never) as readonly Node[]
  const rows = Array.from({ length: classes }, (_, i) =>
    evaluated(
      product!,
      [z, logits],
      [labels, isRowWise ? [label % classes] : logits.map(() => label % 2)],
      [v, logits.map((_unused, j) => Number(i === j))],
    ),
  )
  return spectralNorm({ size: classes, data: Float64Array.from(rows.flat()) })
}

for (const [name, op] of Object.entries<Op<object>>(composites as never).filter(
  ([, { curvature }]) => curvature !== undefined,
)) {
  // far from 0, near 0 and at 0, two logits alike
  const near = (scale: number) =>
    fc.record({
      logits: fc.array(fc.double({ min: -scale, max: scale, noNaN: true }), { minLength: 2, maxLength: 4 }),
      label: fc.nat(3),
    })
  const property = (curvature: number) =>
    fc.property(
      fc.oneof(near(40), near(1), near(0)),
      ({ logits, label }) => rowCurvature(op, logits.length, logits, label) <= curvature * (1 + 1e-12),
    )
  test(`${name}: no row is curved more than its curvature says`, () => {
    fc.assert(property(op.curvature!), { numRuns: 300 })
  })
  test(`${name}: no row is curved more than its curvature says: 0.999 of it is refuted`, () => {
    assert.equal(fc.check(property(0.999 * op.curvature!), { numRuns: 300, endOnFailure: true }).failed, true)
  })
}

test('a logistic loss has its derivatives at 0, and neither overflows nor loses what it is of large logits', () => {
  const z = f32(4)
  const y = f32(4)
  const at = [
    [z, [0, 0, 500, -500]],
    [y, [0, 1, 1, 0]],
  ] as const
  for (const loss of [sigmoidBinaryCrossEntropy(z, y), composites.sigmoidBinaryCrossEntropy.expand!([z, y], {})]) {
    const derivative = (of: Node): Node => gradients([u.sum(of, [0])], [scalar(1)], [whole(z)]).gradients[0]!
    const first = derivative(loss)
    const second = derivative(first)
    assert.deepEqual(evaluated(loss, ...at), [Math.log(2), Math.log(2), 0, 0])
    assert.deepEqual(
      [first, second].map(g => evaluated(g, ...at).map(x => (Math.abs(x) < 1e-15 ? 0 : x))),
      [
        [0.5, -0.5, 0, 0],
        [0.25, 0.25, 0, 0],
      ],
    )
  }
})

/** The construction of a head: every choice is one way in which losses are written. */
interface Recipe {
  readonly loss: 'squaredError' | 'sigmoidBinaryCrossEntropy' | 'crossEntropy'
  readonly features: 'data' | 'hidden' | 'flat'
  readonly weight: 'plain' | 'turned' | 'scaled' | 'bias'
  readonly rows: 'all' | 'scored' | 'weighted' | 'mean'
  readonly mask: 'all' | 'columns' | 'entries'
  readonly seed: number
}
const recipes: fc.Arbitrary<Recipe> = fc.record({
  loss: fc.constantFrom('squaredError', 'sigmoidBinaryCrossEntropy', 'crossEntropy'),
  features: fc.constantFrom('data', 'hidden', 'flat'),
  weight: fc.constantFrom('plain', 'turned', 'scaled', 'bias'),
  rows: fc.constantFrom('all', 'scored', 'weighted', 'mean'),
  mask: fc.constantFrom('all', 'columns', 'entries'),
  seed: fc.nat(1e6),
})

const [batches, seq, width, classes] = [3, 2, 4, 2]
/**
 * A model with its data. Weights of the head are 0, where the logistic and the softmax losses have the largest
 * curvature. It is untyped, because a recipe's shapes are known only here.
 */
const caseOf = ({ loss, features, weight, rows, mask, seed }: Recipe): Case => {
  const turned = weight === 'turned'
  const headShape = turned ? ['classes', 'width'] : ['width', 'classes']
  const n = batches * seq
  const p = {
    w: placeholder(headShape, 'f32'),
    bias: placeholder(['classes'], 'f32'),
    hidden: placeholder(['width', 'width'], 'f32'),
  }
  const b = {
    x: placeholder(['batch', 'seq', 'width'], 'f32'),
    y: placeholder(['batch', 'seq', 'classes'], 'f32'),
    labels: placeholder(['batch', 'seq'], 'i32'),
    rowWeight: placeholder(['batch*seq'], 'f32'),
    index: placeholder(['picked'], 'i32'),
  }
  const logits = (): Node => {
    const x = features === 'hidden' ? u.tanh(u.contract(b.x, p.hidden, { a: 'bsi', b: 'io', out: 'bso' })) : b.x
    const w = turned ? u.transpose(p.w, [1, 0]) : p.w
    const z =
      features === 'flat'
        ? u.reshape(u.contract(u.reshape(x, ['batch*seq', 'width']), w, { a: 'ri', b: 'io', out: 'ro' }), [
            'batch',
            'seq',
            'classes',
          ])
        : u.contract(x, w, { a: 'bsi', b: 'io', out: 'bso' })
    return weight === 'bias' ? u.add(z, p.bias) : weight === 'scaled' ? u.mul(z, -0.5) : z
  }
  const lossOf = (z: Node): Loss => {
    const rowsOf = (x: Node, rest: Shape): Node => {
      const all = u.reshape(x, ['batch*seq', ...rest])
      return rows === 'scored' ? u.take(all, b.index, 0) : all
    }
    const flat = rowsOf(z, ['classes'])
    const op: Op<object> = composites[loss]
    const each =
      loss === 'crossEntropy'
        ? node(op, [flat, rowsOf(b.labels, [])], {})
        : u.sum(node(op, [flat, rowsOf(b.y, ['classes'])], {}), [1])
    const total = u.sum(rows === 'weighted' ? u.mul(each, b.rowWeight) : each, [0])
    return rows === 'mean'
      ? { sum: typed(u.div(total, size('batch'))), count: scalar(1) }
      : { sum: typed(total), count: size('batch', 'seq') }
  }
  const data = (k: number) => ({
    x: reals(['batch', 'seq', 'width'], [batches, seq, width], seed + k),
    y: reals(['batch', 'seq', 'classes'], [batches, seq, classes], seed + k + 1, 0, 1),
    labels: {
      shape: ['batch', 'seq'],
      sizes: [batches, seq],
      dtype: 'i32',
      data: Int32Array.from({ length: n }, (_, i) => (i + seed) % classes),
    },
    rowWeight: reals(['batch*seq'], [n], seed + k + 2, -1, 1),
    index: { shape: ['picked'], sizes: [3], dtype: 'i32', data: Int32Array.of(4, 0, 3) },
  })
  const chosen: Choice = mask === 'all' ? 'all' : mask === 'columns' ? { columns: 2 } : { entries: 2 }
  return {
    model: model<unknown, unknown, Node>({
      params: p,
      batch: b,
      forward: logits,
      loss: lossOf,
    }),
    adapter: masked(path => (path === 'w' ? chosen : path === 'bias' && weight === 'bias' ? 'all' : 'frozen')),
    weights: {
      w: reals(headShape, turned ? [classes, width] : [width, classes], 0, 0, 0),
      bias: reals(['classes'], [classes], 1, 0, 0),
      hidden: reals(['width', 'width'], [width, width], seed + 9),
    },
    batches: [data(10), data(20)],
  }
}
const provedOf = async (of: Case, target: 'reference' | 'wasm' = 'reference'): Promise<Proved> =>
  orThrow(await provedCurvature(stepOf(of), { weights: of.weights as never, batches: of.batches as never, target }))

/** Features that are data are exact; those that are computed are rounded to float32. */
const roundingOf = ({ features }: Recipe): number => (features === 'hidden' ? 1e-6 : 1e-12)
const sound = (change: (bound: number) => number) =>
  fc.asyncProperty(recipes, async recipe => {
    const of = caseOf(recipe)
    const { value } = await provedOf(of)
    const truth = spectralNorm(hessian(of))
    return change(value) >= truth / (1 + roundingOf(recipe))
  })
test('the bound is at least the largest curvature that there is, for every head, mask and weighting', async () => {
  await fc.assert(
    sound(value => value),
    { numRuns: 150 },
  )
})
test('the bound is at least the largest curvature that there is: 0.99 of it is refuted', async () => {
  assert.equal(
    (
      await fc.check(
        sound(value => 0.99 * value),
        { numRuns: 150, endOnFailure: true },
      )
    ).failed,
    true,
  )
})

/**
 * Squared errors are curved alike everywhere, and where whole features are trained and weights have one sign, the bound
 * is the curvature.
 */
const exact = recipes.map((recipe): Recipe => ({
  ...recipe,
  loss: 'squaredError',
  rows: recipe.rows === 'weighted' ? 'all' : recipe.rows,
  mask: recipe.mask === 'entries' ? 'all' : recipe.mask,
}))
const tight = (bounded: (of: Case, recipe: Recipe) => Case) =>
  fc.asyncProperty(exact, async recipe => {
    const of = caseOf(recipe)
    const { value } = await provedOf(bounded(of, recipe))
    const truth = spectralNorm(hessian(of))
    return value >= truth / (1 + roundingOf(recipe)) && value <= truth * (1 + 1e-6 + roundingOf(recipe))
  })
test('the bound of a linear head is its curvature', async () => {
  await fc.assert(
    tight(of => of),
    { numRuns: 100 },
  )
})
for (const [mutant, changed] of [
  ['all columns', (_, recipe) => caseOf({ ...recipe, mask: 'all' })],
  ['other columns', of => ({ ...of, adapter: paca({ targets: ['w'], rank: 2, seed: 3 }) as Case['adapter'] })],
  ['one batch of two', of => ({ ...of, batches: of.batches.slice(1) })],
] as readonly (readonly [string, (of: Case, recipe: Recipe) => Case])[]) {
  test(`the bound of a linear head is its curvature: that of ${mutant} is refuted`, async () => {
    assert.equal((await fc.check(tight(changed), { numRuns: 100, endOnFailure: true })).failed, true)
  })
}

const recipe: Recipe = {
  loss: 'crossEntropy',
  features: 'hidden',
  weight: 'bias',
  rows: 'scored',
  mask: 'columns',
  seed: 5,
}
test('a bound is the same, to rounding of its features, on every target', async () => {
  const of = caseOf(recipe)
  const [reference, wasm] = [await provedOf(of), await provedOf(of, 'wasm')]
  assert.ok(Math.abs(reference.value - wasm.value) <= 1e-6 * reference.value)
  assert.match(wasm.assumed.join(), /tfjs wasm/)
})

test('a bound is proved again from its JSON, and an edited one is refused with one sentence', async () => {
  const proved = JSON.parse(JSON.stringify(await provedOf(caseOf(recipe)))) as Proved
  const { witness } = proved
  assert.deepEqual(
    [proved.kind, proved.head, proved.curvature, proved.count, witness.size],
    ['proved', 'crossEntropy', 0.5, 12, 3],
  )
  assert.deepEqual(checkProved(proved), E.right(undefined))
  const gram = Buffer.from(witness.gram, 'base64')
  gram.writeDoubleLE(gram.readDoubleLE(0) * 1.001, 0)
  for (const [change, why] of [
    [
      { value: proved.value * 0.999999 },
      /^the witness proves the bound [\d.]+, and [\d.]+ is stated: one of them was edited$/,
    ],
    [{ value: proved.value * 1.000001 }, /is stated/],
    [{ curvature: 0.25 }, /is stated/],
    [{ count: 24 }, /is stated/],
    [{ count: 0 }, /out of its range/],
    [{ witness: { ...witness, gram: gram.toString('base64') } }, /is stated/],
    [{ witness: { ...witness, radius: -1 } }, /out of its range/],
    [{ witness: { ...witness, radius: 0.1 } }, /is stated/],
    [{ witness: { ...witness, size: 2 } }, /^the witness is no 2 × 2 matrix/],
    [{ witness: { ...witness, gram: 'x' } }, /^the witness is no 3 × 3 matrix/],
    [{ features: 'abc' }, /SHA-256/],
  ] as const) {
    const checked = checkProved({ ...proved, ...change })
    assert.ok(E.isLeft(checked), JSON.stringify(change))
    assert.match(checked.left, why)
  }
})

test('losses of several kinds over several heads have one bound, of the largest curvature, over the features of all', async () => {
  const p = { w: f32('width', 'classes'), v: f32('width', 'classes') }
  const b = { x: f32('batch', 'width'), y: f32('batch', 'classes') }
  const sizes = [6, 3]
  const z = matmul(b.x, p.w)
  const u = add(mul(z, 0.5), matmul(tanh(b.x), p.v))
  const of: Case = {
    model: model<unknown, unknown, Node>({
      params: p,
      batch: b,
      forward: () => z,
      loss: () => ({
        sum: add(sum(squaredError(z, b.y)), sum(sigmoidBinaryCrossEntropy(u, b.y))),
        count: size('batch'),
      }),
    }),
    adapter: masked(path => (path === 'w' ? { columns: 2 } : 'all')),
    weights: { w: reals(['width', 'classes'], [3, 2], 1), v: reals(['width', 'classes'], [3, 2], 2) },
    batches: [{ x: reals(['batch', 'width'], sizes, 3), y: reals(['batch', 'classes'], [6, 2], 4) }],
  }
  const { value, head, curvature, witness } = await provedOf(of)
  assert.deepEqual([head, curvature, witness.size], ['squaredError and sigmoidBinaryCrossEntropy', 2, 5])
  assert.ok(value >= spectralNorm(hessian(of)))
})

test('what has no bound is refused with the one reason', async () => {
  const w = f32('width', 'classes')
  const x = f32('batch', 'width')
  const y = f32('batch', 'classes')
  const v = f32('classes', 'classes')
  const z = matmul(x, w)
  const total = (each: Node): Node =>
    u.sum(
      each,
      each.shape.map((_, axis) => axis),
    )
  const squared = (a: Node): Node => u.squaredError(a, y)
  const message = (loss: Node, trained = 'w'): unknown => {
    const of = model<unknown, unknown, Node>({
      params: { w, v },
      batch: { x, y },
      forward: () => z,
      loss: () => ({ sum: typed(loss), count: size('batch') }),
    })
    return E.swap(
      headOf(
        adapt(
          of,
          masked(path => (path === trained || trained === 'both' ? 'all' : 'frozen')),
        ),
      ),
    )
  }
  const smooth = 'the loss is not smooth in what is trained: '
  const unknown = 'no bound of the curvature is known: '
  for (const [loss, kind, why, trained] of [
    [total(abs(sub(z, y))), 'not smooth', `${smooth}abs has a corner`],
    [total(squared(relu(z))), 'not smooth', `${smooth}maximum has a corner`],
    [total(max(z, -1)), 'not smooth', `${smooth}max has a corner`],
    [total(squared(tanh(z))), 'no bound', `${unknown}w is trained below tanh`],
    [total(squared(matmul(z, v))), 'no bound', `${unknown}w is trained below another product`],
    [total(squared(matmul(z, v))), 'no bound', `${unknown}w and v meet in contract`, 'both'],
    [total(z), 'no bound', `${unknown}outputs of w are summed`],
    [
      u.reshape(u.slice(u.slice(z, 0, { as: 1 }), 1, { as: 1 }), []),
      'no bound',
      `${unknown}outputs of w are taken apart`,
    ],
    [total(u.mul(z, z)), 'no bound', `${unknown}w is multiplied with itself in mul`],
    [u.add(total(squared(z)), total(u.mul(w, w))), 'no bound', `${unknown}w is multiplied with itself in mul`],
    [total(u.mul(squared(z), squared(z))), 'no bound', `${unknown}the loss is not linear in the losses of its rows`],
    [total(u.exp(squared(z))), 'no bound', `${unknown}the loss is not linear in the losses of its rows`],
    [total(u.mul(squared(z), z)), 'no bound', `${unknown}w is trained beside a loss of rows, in mul`],
    [total(squared(stopGradient(z))), 'no bound', `${unknown}of what is trained, some has its gradient stopped`],
    [total(squared(y)), 'no bound', `${unknown}the loss does not depend on what is trained`],
    [total(squared(z)), 'no bound', `${unknown}the mask trains nothing`, 'nothing'],
  ] as readonly (readonly [Node, string, string, string?])[])
    assert.deepEqual(message(loss, trained), E.right({ kind, message: why }))
  const dropped = await provedCurvature(
    trainStep(
      adapt(
        model<{ w: typeof w }, { x: typeof x; y: typeof y }, Tensor<readonly ['batch', 'classes']>>({
          params: { w },
          batch: { x, y },
          forward: (p, b) => matmul(b.x, p.w),
          loss: (of, b) => ({ sum: sum(squaredError(of, b.y)), count: size('batch') }),
        }),
        lora({ targets: ['w'], rank: 1, dropout: 0.5, seed: 0 }),
      ),
      sgd({ lr: 1 }),
    ),
    { weights: { w: reals(['width', 'classes'], [2, 2], 0) }, batches: [] },
  )
  assert.deepEqual(dropped, E.left({ kind: 'no bound', message: `${unknown}lora draws at random what a step drops` }))
})

/** The curvature along the direction that power iteration finds: at most L_P. */
const curvatureBelow = async <P, Q, M, B, O, K extends string>(
  session: Session<P, Q, M, readonly unknown[], B, O, K>,
  batch: Values<B>,
): Promise<number> => {
  let tangent = await session.gradients(batch)
  let along = 0
  const norm = (tree: unknown): number =>
    Math.hypot(
      ...leaves<Value<Shape>>(tree, (leaf): leaf is Value<Shape> => isValue(leaf)).flatMap(([, { data }]) => [...data]),
    )
  for (let k = 0; k < 12; k++) {
    const size = norm(tangent)
    tangent = mapTree(tangent, isValue, leaf => ({
      ...leaf,
      data: (leaf.data as Float32Array).map(x => x / size),
    })) as typeof tangent
    tangent = await session.hvp(batch, tangent)
    along = norm(tangent)
  }
  return along
}

test('the head of a LLaMA is bounded above its curvature, whatever is trained of it, and its layers are not', async () => {
  const loaded = await openTiny()
  const batch = await tinyBatch()
  const targets = ['lm_head'] as readonly string[]
  const options = { targets, rank: 4, seed: 0 }
  const packed = quantized(nf4({ double: true }))(paca(options))
  for (const [adapter, width] of [
    [full({ targets }), 64],
    [paca(options), 4],
    [lorafa(options), 4],
    [packed, 4],
  ] as const) {
    const step = trainStep(adapt(loaded.model, adapter), sgd({ lr: 0.1 }))
    const { value, count, witness } = orThrow(
      await provedCurvature(step, { weights: loaded.weights, batches: [batch], target: 'wasm' }),
    )
    assert.deepEqual([witness.size, count], [width, 28])
    await using session = await compile(step, { target: 'wasm', threads: 1, weights: loaded.weights })
    const seen = await curvatureBelow(session as never, batch as never)
    assert.ok(seen > 0 && seen <= value, `${seen} of at most ${value}`)
  }
  const deeper = headOf(adapt(loaded.model, paca({ targets: ['down_proj'], rank: 4, seed: 0 })))
  assert.deepEqual(
    deeper,
    E.left({
      kind: 'no bound',
      message: 'no bound of the curvature is known: model.layers.0.mlp.down_proj is trained below rmsNorm',
    }),
  )
  await loaded.checkpoint.close()
})
