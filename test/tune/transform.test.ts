import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { f32, interpret, placeholder, u, type Node, type Numbers, type Tensor } from '../../src/tensor/index.ts'
import {
  accumulate,
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  addDecayedWeights,
  addNoise,
  all,
  applyIfFinite,
  applyUpdates,
  averageWeights,
  centralize,
  chain,
  clipByGlobalNorm,
  clipByRms,
  clipByValue,
  columns,
  constant,
  ema,
  entries,
  focus,
  frozen,
  globalNorm,
  identity,
  inject,
  lamb,
  lars,
  lion,
  lookahead,
  masked,
  multiTransform,
  muon,
  nadamw,
  namedChain,
  radam,
  rmsprop,
  sam,
  scale,
  scaleByAdam,
  scaleByFactoredRms,
  scaleByLeaf,
  scaleByLearningRate,
  scaleByLion,
  scaleBySchedule,
  scaleByStddev,
  setToZero,
  settingsIn,
  sgd,
  signSgd,
  tensorsOf,
  trace,
  unflatten,
  zeroNaNs,
  type Apply,
  type Fn,
  type Focus,
  type Transform,
  type SettingsIn,
} from '../../src/tune/index.ts'
import type { Equal, Expect } from '../support/expect-type.ts'
import { size, trajectory } from '../support/trajectories.ts'

/** Every transform, once. */
const subjects: Readonly<Record<string, Transform<Fn>>> = {
  identity,
  setToZero,
  scale: scale(-0.5),
  clip: clipByValue(0.3),
  clipByGlobalNorm: clipByGlobalNorm(0.7),
  addDecayedWeights: addDecayedWeights(0.1),
  trace: trace({ decay: 0.9 }),
  nesterov: trace({ decay: 0.9, nesterov: true }),
  scaleBySchedule: scaleBySchedule(constant(0.1)),
  scaleByAdam: scaleByAdam(),
  sgd: sgd({ lr: 0.1 }),
  momentum: sgd({ lr: 0.1, momentum: 0.9 }),
  adam: adam({ lr: 0.1 }),
  adamw: adamw({ lr: constant(0.1) }),
  scaleByLion: scaleByLion(),
  lion: lion({ lr: constant(0.1), weightDecay: 0.1 }),
  named: namedChain({ clip: clipByGlobalNorm(0.7), moments: scaleByLion(), rate: scaleByLearningRate(0.1) }),
  accumulate: accumulate(adam({ lr: 0.1 }), 2),
  masked: masked(adam({ lr: 0.1 }), { by: 'path', where: path => path.endsWith('b') }),
  rmsprop: rmsprop({ lr: 0.1 }),
  centered: scaleByStddev({ eps: 0.1 }),
  adagrad: adagrad({ lr: 0.1 }),
  adadelta: adadelta({ lr: 1 }),
  adafactor: adafactor({ lr: 0.1 }),
  nadamw: nadamw({ lr: 0.1 }),
  adamax: adamax({ lr: 0.1 }),
  radam: radam({ lr: 0.1 }),
  lamb: lamb({ lr: 0.1, weightDecay: 0.1 }),
  lars: lars({ lr: 0.1 }),
  muon: muon({ lr: 0.1 }),
  signSgd: signSgd({ lr: 0.1 }),
  clipByRms: clipByRms(0.3),
  centralize,
  zeroNaNs,
  ema: ema({ decay: 0.9 }),
  averageWeights: averageWeights(adam({ lr: 0.1 }), { decay: 0.9 }),
  lookahead: lookahead(adam({ lr: 0.1 }), { every: 2, rate: 0.5 }),
  sam: sam(adam({ lr: 0.1 }), { radius: 0.1 }),
  addNoise: addNoise({ eta: 0.1, seed: 1 }),
  applyIfFinite: applyIfFinite(adam({ lr: 0.1 }), { most: 2 }),
  multiTransform: multiTransform({ all: adam({ lr: 0.1 }) }, { '**': 'all' }),
  scaleByLeaf: scaleByLeaf({ '**': 0.5 }),
  inject: inject(adamw, { lr: 0.1, weightDecay: 0.1 }),
}

const number = fc.integer({ min: -32, max: 32 }).map(k => k / 16)
/** A tree with records, arrays and bare leaves; its leaves are placeholders of random shapes. */
const tree = fc.letrec<{ tree: unknown; leaf: Node }>(tie => ({
  leaf: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }).map(shape => placeholder(shape, 'f32')),
  tree: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'tree' },
    tie('leaf'),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('tree'), { maxKeys: 3 }),
  ),
})).tree

const filled = (leaves: readonly Node[], values: readonly number[]): readonly Numbers[] =>
  leaves.map((leaf, k) => {
    const sizes = leaf.shape.map(size)
    const count = sizes.reduce((n, s) => n * s, 1)
    return { sizes, data: Float64Array.from({ length: count }, (_, i) => values[(7 * k + i) % values.length]!) }
  })
const values = fc.array(number, { minLength: 1, maxLength: 12 })
const path = (
  transform: Transform<Fn>,
  params: unknown,
  start: readonly number[],
  steps = 3,
): readonly (readonly number[])[] => {
  const leaves = tensorsOf(params).map(([, leaf]) => leaf)
  // the gradient of Σ x²: 2x
  const gradient = (at: unknown): unknown =>
    unflatten(
      at,
      tensorsOf(at).map(([, x]) => u.mul(x, 2)),
    )
  return trajectory(transform, params, gradient, filled(leaves, start), steps).map(row =>
    row.flatMap(({ data }) => [...data]),
  )
}
const law = <T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>): void => {
  fc.assert(property, { numRuns: 40 })
}

for (const [name, transform] of Object.entries(subjects)) {
  test(`${name}: chained with identity it is itself`, () => {
    law(
      fc.property(tree, values, (params, start) => {
        assert.deepEqual(path(chain(identity, transform), params, start), path(transform, params, start))
        assert.deepEqual(path(chain(transform, identity), params, start), path(transform, params, start))
      }),
    )
  })

  test(`${name}: updates and next state have the structure, shapes and dtypes of gradient and state`, () => {
    const signature = (t: unknown): unknown => tensorsOf(t).map(([at, { shape, dtype }]) => [at, shape, dtype])
    law(
      fc.property(tree, params => {
        const state = transform.init(params)
        const [updates, next] = transform.update(params, state, params)
        assert.deepEqual(signature(updates), signature(params))
        assert.deepEqual(signature(next), signature(state))
      }),
    )
  })

  test(`${name}: state exists for leaves of the tree only, and begins at zero, but for settings`, () => {
    law(
      fc.property(tree, params => {
        const whole = transform.init(params)
        const settings = settingsIn(whole)
        const state = tensorsOf(whole).filter(([at]) => !settings.has(at))
        const leaves = tensorsOf(params)
        const belongs = (at: string, leaf: Node): boolean =>
          leaf.dtype === 'i32' ||
          leaves.some(
            ([p, { shape }]) => (p === '' || at === p || at.endsWith(`.${p}`)) && leaf.shape.join() === shape.join(),
          )
        assert.ok(state.every(([at, leaf]) => belongs(at, leaf)))
        assert.ok(
          interpret(
            state.map(([, leaf]) => leaf),
            new Map(),
            size,
          ).every(({ data }) => data.every(x => x === 0)),
        )
      }),
    )
  })
}

test('a clipped gradient has a norm of at most the limit, and a small one is unchanged', () => {
  law(
    fc.property(tree, values, (params, start) => {
      const leaves = tensorsOf(params).map(([, leaf]) => leaf)
      const feeds = new Map(filled(leaves, start).map((x, i) => [leaves[i]!, x]))
      const norm = (t: unknown): number => interpret([globalNorm(t)], feeds, size)[0]!.data[0]!
      const [clipped] = clipByGlobalNorm(0.7).update(params, {}, params)
      const before = norm(params)
      assert.ok(Math.abs(norm(clipped) - Math.min(before, 0.7)) < 1e-14)
      assert.ok(Math.abs(before - Math.hypot(...[...feeds.values()].flatMap(({ data }) => [...data]))) < 1e-13)
    }),
  )
})

const w = f32(3)
const v = f32(2)
test('masked: what is not selected passes through, and setToZero freezes it', () => {
  const frozenB = chain(sgd({ lr: 0.1 }), masked(setToZero, { by: 'path', where: at => at === 'b' }))
  assert.deepEqual(path(frozenB, { a: w, b: v }, [1], 1), [[0.8, 0.8, 0.8, 1, 1]])
  assert.deepEqual(
    path(masked(sgd({ lr: 0.1 }), { by: 'tree', tree: { a: true, b: false } }), { a: w, b: v }, [1], 1),
    [[0.8, 0.8, 0.8, 3, 3]],
  )
  assert.deepEqual(path(masked(sgd({ lr: 0.1 }), { by: 'tree', tree: [false, { x: true }] }), [v, { x: w }], [1], 1), [
    [3, 3, 0.8, 0.8, 0.8],
  ])
})

test('masked: a state exists for the selected leaves only', () => {
  const state = masked(scaleByAdam(), { by: 'path', where: at => at !== 'b' }).init({ a: w, b: v })
  assert.deepEqual(
    tensorsOf(state).map(([at]) => at),
    ['mu.a', 'nu.a', 'count'],
  )
})

test('combining trees of different structure is refused by name', () => {
  assert.throws(() => applyUpdates<unknown>({ a: w }, { b: w }), /no leaf at a/)
})

const params = {
  up: f32('pixels', 'hidden'),
  down: f32('hidden', 'classes'),
  layers: [{ q: f32('hidden', 'hidden'), norm: f32('hidden') }],
}
const mask = { up: columns(8), down: frozen, layers: [{ q: entries(5), norm: all }] }
const part = focus(params, mask)
const adamState = adamw({ lr: 1e-3 }).init(part)

test('the state of Adam under a mask has the shapes of the focus', () => {
  assert.deepEqual(
    tensorsOf(adamState).map(([at, { shape }]) => [at, shape]),
    [
      ...['0.mu', '0.nu'].flatMap(moment => [
        [`${moment}.up`, [8, 'hidden']],
        [`${moment}.layers.0.q`, [5]],
        [`${moment}.layers.0.norm`, ['hidden']],
      ]),
      ['0.count', []],
    ],
  )
})

type Part = Focus<typeof params, typeof mask>
export type Laws = [
  // a leaf [pixels, hidden] under a mask of 8 columns has moments [8, hidden]; single entries have a vector of them
  Expect<Equal<(typeof adamState)[0]['mu']['up'], Tensor<readonly [8, 'hidden']>>>,
  Expect<Equal<(typeof adamState)[0]['nu']['layers'][number]['q'], Tensor<readonly [5]>>>,
  Expect<Equal<(typeof adamState)[0]['mu']['layers'][number]['norm'], Tensor<readonly ['hidden']>>>,
  Expect<Equal<(typeof adamState)[0]['count'], Tensor<readonly [], 'i32'>>>,
  // a frozen leaf has none
  Expect<Equal<'down' extends keyof (typeof adamState)[0]['mu'] ? true : false, false>>,
  // a chain is a tuple of its parts' states, a learning rate that is a number remembers nothing
  Expect<Equal<(typeof adamState)['length'], 3>>,
  Expect<Equal<keyof (typeof adamState)[2], never>>,
  // a schedule counts
  Expect<Equal<Scheduled[2], { readonly count: Tensor<readonly [], 'i32'> }>>,
  // momentum makes a trace, none makes none
  Expect<Equal<Momentum[0]['trace'], Part>>,
  Expect<Equal<keyof Plain[0], never>>,
  // under a tree of booleans, the state is exact
  Expect<Equal<keyof Picked['mu'], 'up'>>,
  Expect<Equal<Picked['mu']['up'], Tensor<readonly [8, 'hidden']>>>,
]
type StateOf<T> = T extends Transform<infer F> ? Apply<F, Part> : never
const scheduled = adamw({ lr: constant(1) })
const momentum = sgd({ lr: 1, momentum: 0.9 })
const plain = sgd({ lr: 1 })
const picked = masked(scaleByAdam(), { by: 'tree', tree: { up: true, layers: false } })
type Scheduled = StateOf<typeof scheduled>
type Momentum = StateOf<typeof momentum>
type Plain = StateOf<typeof plain>
type Picked = StateOf<typeof picked>

test('a full gradient, and the focus of another mask, are refused by the type checker', () => {
  const transform = chain(clipByGlobalNorm(1), adamw({ lr: 1e-3 }))
  const state = transform.init(part)
  const other = focus(params, { ...mask, up: columns(16) })
  const [updates] = transform.update(part, state, part)
  // @ts-expect-error a full gradient is not a focus
  const full = (): unknown => transform.update(params, state, part)
  // @ts-expect-error 16 columns are not 8
  const wrong = (): unknown => transform.update(other, state, part)
  // @ts-expect-error a frozen leaf has no moments
  const missing: unknown = state[1][0].mu.down
  // @ts-expect-error its moments have eight rows
  const rows: readonly [16, 'hidden'] = state[1][0].mu.up.shape
  assert.deepEqual([updates.up.shape, missing, rows], [[8, 'hidden'], undefined, [8, 'hidden']])
  assert.throws(full)
  assert.throws(wrong)
})

test('a named chain makes the updates of the chain of its parts, and keeps their states by name', () => {
  const parts = { clip: clipByGlobalNorm(0.7), moments: scaleByAdam(), rate: scaleByLearningRate(constant(0.1)) }
  law(
    fc.property(tree, values, (params, start) => {
      const { clip: first, moments, rate } = parts
      assert.deepEqual(path(namedChain(parts), params, start), path(chain(first, moments, rate), params, start))
    }),
  )
  // mutant: the order of the names is the order of the parts
  const wide = { w: placeholder([2], 'f32') }
  assert.notDeepEqual(
    path(namedChain({ rate: scale(0.1), clip: clipByValue(0.3) }), wide, [2, -1]),
    path(namedChain({ clip: clipByValue(0.3), rate: scale(0.1) }), wide, [2, -1]),
  )
  const state = namedChain(parts).init({ w: f32(8, 'hidden') })
  const columns: readonly [8, 'hidden'] = state.moments.mu.w.shape
  assert.deepEqual(
    [columns, Object.keys(state), Object.keys(state.rate)],
    [[8, 'hidden'], ['clip', 'moments', 'rate'], ['count']],
  )
  assert.throws(() => namedChain({ 1: identity }), /^TypeError: namedChain: 1 is no name of a transform$/)
})

test('adafactor keeps rows and columns of what is large, a name or a number, and all of what is small', () => {
  const shapes = (tree: unknown) => tensorsOf(tree).map(([at, { shape }]) => [at, shape])
  const leaves = { w: f32('in', 'out'), wide: f32(128, 4, 200), narrow: f32(8, 'out'), b: f32('out') }
  assert.deepEqual(shapes(scaleByFactoredRms().init(leaves)), [
    ['rows.w', ['in']],
    ['rows.wide', [128, 4]],
    ['columns.w', ['out']],
    ['columns.wide', [4, 200]],
    ['nu.narrow', [8, 'out']],
    ['nu.b', ['out']],
    ['count', []],
  ])
})

const patterned = { embed: f32(2), layers: [{ q: { weight: f32(2) }, norm: f32(2) }], head: { norm: f32(2) } }
const ofPatterns = (patterns: Readonly<Record<string, 'a' | 'b'>>) =>
  multiTransform({ a: scaleByAdam(), b: identity }, patterns).init(patterned)
test('a pattern matches a name, parts of names, any names, and what is below; the first one decides', () => {
  const ofA = (patterns: Readonly<Record<string, 'a' | 'b'>>) => tensorsOf(ofPatterns(patterns).a.mu).map(([at]) => at)
  assert.deepEqual(ofA({ 'emb*': 'a', '**': 'b' }), ['embed'])
  assert.deepEqual(ofA({ 'layers.*.q': 'a', '**': 'b' }), ['layers.0.q.weight'])
  assert.deepEqual(ofA({ '**.norm': 'b', 'layers': 'a', '*': 'b' }), ['layers.0.q.weight'])
  assert.deepEqual(ofA({ '**.norm': 'a', '**': 'b' }), ['layers.0.norm', 'head.norm'])
})

test('a pattern that matches no leaf, a leaf without one and a transform that is not there are refused', () => {
  const paths = 'embed, layers.0.q.weight, layers.0.norm, head.norm'
  for (const [patterns, says] of [
    [{ 'layer.*': 'a', '**': 'b' }, `multiTransform: layer.* matches no leaf: what is trained is ${paths}`],
    [{ 'norm': 'a', '**': 'b' }, `multiTransform: norm matches no leaf: what is trained is ${paths}`],
    [{ layers: 'a' }, "multiTransform: no pattern matches embed: '**' matches every leaf"],
    [{ '**': 'c' as 'a' }, 'multiTransform: no transform is called c: there are a, b'],
  ] as const)
    assert.throws(() => ofPatterns(patterns), { name: 'RangeError', message: says })
  assert.throws(() => scaleByLeaf({ tail: 0.1 }).init(patterned), /^RangeError: scaleByLeaf: tail matches no leaf: /)
  // @ts-expect-error the transform has no such name
  assert.throws(() => multiTransform({ a: identity }, { '**': 'b' }))
})

test('noise has the deviation that is asked for, and is that of its seed, update and leaf', () => {
  const leaves = { a: f32(1000), b: f32(1000) }
  const zeros = [0, 1].map(() => ({ sizes: [1000], data: new Float64Array(1000) }))
  const noises = (seed: number) =>
    trajectory(addNoise({ eta: 4, gamma: 1, seed }), leaves, at => at, zeros, 2).flatMap((row, step, all) =>
      row.map(({ data }, i) => data.map((x, k) => x - (step === 0 ? 0 : 2 * all[0]![i]!.data[k]!))),
    )
  const found = noises(0)
  const deviation = (x: Float64Array): number => Math.hypot(...x) / Math.sqrt(x.length)
  found.forEach((x, i) => {
    assert.ok(Math.abs(deviation(x) / (i < 2 ? 2 : Math.SQRT2) - 1) < 0.08, `${deviation(x)}`)
  })
  assert.deepEqual(noises(0), found)
  for (const [i, x] of [...found, ...noises(1)].entries())
    for (const y of [...found, ...noises(1)].slice(i + 1)) assert.notDeepEqual(x, y)
})

const injected = chain(clipByGlobalNorm(1), inject(adamw, { lr: 1e-3, weightDecay: 0.1, b1: 0.8 }))
type Injected = SettingsIn<StateOf<typeof injected>>
export type InjectedLaws = [
  Expect<Equal<Injected, 'lr' | 'weightDecay' | 'b1'>>,
  Expect<Equal<SettingsIn<typeof adamState>, never>>,
  Expect<Equal<SettingsIn<StateOf<typeof picked>>, never>>,
]
test('settings of a state are found by name, checked by the transform, and make the same updates', () => {
  assert.deepEqual(
    [...settingsIn(injected.init(part))],
    ['lr', 'weightDecay', 'b1'].map(name => [`1.injected.${name}`, name]),
  )
  assert.throws(() => injected.check?.({ lr: -1 }), /^RangeError: the learning rate lr is -1: /)
  assert.throws(() => injected.check?.({ b1: 1 }), /^RangeError: adam: b1 is 1: /)
  injected.check?.({ lr: 0, b1: 0.5 })
  const settings = { lr: 0.1, weightDecay: 0.1, b1: 0.8, b2: 0.9, eps: 0.01 }
  for (const [build, options] of [
    [adamw, settings],
    [radam, { lr: 0.1, b1: 0.8, b2: 0.9, eps: 0.01, threshold: 4.5 }],
    [lars, { lr: 0.1, weightDecay: 0.1, momentum: 0.5, coefficient: 0.1, eps: 0.1 }],
    [adafactor, { lr: 0.1, weightDecay: 0.1, clip: 0.5, decay: 0.7 }],
  ] as readonly (readonly [(options: object) => Transform<Fn>, object])[]) {
    const [own, plain] = [inject(build, options), build(options)].map(transform =>
      path(transform, { w: f32(2, 3), v }, [1, -0.5, 2]),
    )
    own!.forEach((row, i) => {
      row.forEach((x, k) => {
        assert.ok(Math.abs(x - plain![i]![k]!) < 1e-7, `${x} ${plain![i]![k]}`)
      })
    })
  }
})
