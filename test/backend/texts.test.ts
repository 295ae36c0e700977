import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  accumulate,
  adam,
  adamw,
  adapt,
  clipByGlobalNorm,
  compile,
  crossEntropy,
  f32,
  full,
  i32,
  matmul,
  model,
  monitorDescent,
  paca,
  relu,
  sgd,
  size,
  sum,
  trainStep,
  uniform,
  vera,
  type Session,
} from '../../src/index.ts'
import { addDecayedWeights, clipByValue, scale, trace } from '../../src/compiler.ts'
import {
  constant,
  cosine,
  exponential,
  join,
  linear,
  piecewise,
  polynomial,
  warmupCosine,
} from '../../src/tune/index.ts'

const mlp = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(relu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
})
const up = { shape: ['pixels', 'hidden'], sizes: [4, 4], dtype: 'f32', data: uniform(0, 1, 16) } as const
const down = { shape: ['hidden', 'classes'], sizes: [4, 3], dtype: 'f32', data: uniform(0, 2, 12) } as const
const x = { shape: ['batch', 'pixels'], sizes: [4, 4], dtype: 'f32', data: uniform(0, 3, 16) } as const
const y = { shape: ['batch'], sizes: [4], dtype: 'i32', data: Int32Array.of(0, 1, 2, 0) } as const
const batch = { x, y }
const step = trainStep(adapt(mlp, full({ targets: ['up'] })), adam({ lr: 0.1 }))
/** A function as a program without types may call it. */
const loosely = (of: unknown) => of as { readonly [name: string]: (...of: readonly unknown[]) => Promise<unknown> }
type Run = {
  readonly [name in 'step' | 'evaluate' | 'predict' | 'write' | 'hvp' | 'decoder' | 'certificate']: (
    ...of: readonly unknown[]
  ) => Promise<unknown>
}

const ofCalls: readonly (readonly [what: string, call: (run: Run) => unknown, text: string])[] = [
  ['no batch', run => run.step(), 'there is no batch: give it a value for x, y'],
  ['an empty list', run => run.step([]), 'a step takes a batch, or a list of at least one micro-batch'],
  ['nothing for a batch', run => run.step([undefined]), 'there is no batch: give it a value for x, y'],
  ['a batch that lacks a leaf', run => run.step([{ x }]), 'the batch has no y'],
  ['a batch with one leaf more', run => run.evaluate({ x, y, z: y }), 'the batch has z, which is not declared'],
  [
    'a plain array in a batch',
    run =>
      run.evaluate({
        x: [
          [1, 2],
          [3, 4],
        ],
        y,
      }),
    'x of the batch is a plain array: give { shape, sizes, dtype, data }',
  ],
  [
    'a typed array in a batch',
    run => run.evaluate({ x: x.data, y }),
    'x of the batch is a Float32Array: give { shape, sizes, dtype, data }',
  ],
  ['a number in a batch', run => run.evaluate({ x: 3, y }), 'x of the batch is 3: give { shape, sizes, dtype, data }'],
  [
    'data in a plain array',
    run => run.evaluate({ x: { ...x, data: [...x.data] }, y }),
    'the data of x of the batch is a plain array, not a Float32Array',
  ],
  [
    'data of another type',
    run => run.evaluate({ x: { ...x, data: Float64Array.from(x.data) }, y }),
    'the data of x of the batch is of type Float64Array, not a Float32Array',
  ],
  [
    'another dtype',
    run => run.evaluate({ x, y: { ...y, dtype: 'f32', data: Float32Array.from(y.data) } }),
    'y of the batch is f32, not i32',
  ],
  [
    'no dtype',
    run => run.evaluate({ x: { shape: x.shape, sizes: x.sizes }, y }),
    'x of the batch has neither dtype nor data: give { shape, sizes, dtype, data }',
  ],
  [
    'no sizes',
    run => run.evaluate({ x: { shape: x.shape, dtype: 'f32', data: x.data }, y }),
    'x of the batch has no sizes: give { shape, sizes, dtype, data }',
  ],
  [
    "dims that are another's",
    run => run.evaluate({ x: { ...x, shape: ['pixels', 'batch'] }, y }),
    'x of the batch is declared [batch, pixels], and its shape says [pixels, batch]',
  ],
  [
    'another number of dims',
    run => run.evaluate({ x: { ...x, shape: ['batch'] }, y }),
    'x of the batch is declared [batch, pixels], and its shape says [batch]',
  ],
  [
    'too few numbers',
    run => run.evaluate({ x: { ...x, data: x.data.slice(1) }, y }),
    'x of the batch has 15 numbers, where its sizes say 16',
  ],
  [
    'a size that is none',
    run => run.evaluate({ x: { ...x, sizes: [Number.NaN, 4] }, y }),
    'x of the batch has the size NaN: a size is a positive whole number',
  ],
  [
    'sizes that disagree',
    run => run.evaluate({ x, y: { ...y, sizes: [3], data: y.data.slice(1) } }),
    'batch is 4 in x of the batch but 3 in y of the batch',
  ],
  [
    'a dim that there is not',
    run => run.evaluate(batch, { sequence: 3 }),
    'there is no dim sequence: there are batch, classes, hidden, pixels',
  ],
  [
    'a size of a dim that is none',
    run => run.certificate({ batch: Number.NaN }),
    'dims has the size NaN: a size is a positive whole number',
  ],
  ['nothing to write', run => run.write(), 'write takes { focus, state, buffers }, or parts of them'],
  ['no tangent', run => run.hvp(batch), 'there is no tangent: give it a value for up'],
  [
    'a decoder of a model that does not generate',
    run => run.decoder({ batch: 1, capacity: 2 }),
    'the model does not say how it generates',
  ],
]
test('a call with what it cannot take is refused with one clear sentence, and the session goes on', async () => {
  await using run = await compile(step, { target: 'reference', weights: { up, down } })
  const before = await run.evaluate(batch)
  for (const [what, call, text] of ofCalls) {
    await assert.rejects(
      async () => call(run as unknown as Run),
      error => {
        assert.ok(
          error instanceof Error && (error.name === 'SessionError' || error.name === 'DimsError'),
          `${what}: ${String(error)}`,
        )
        assert.equal(error.message, text, what)
        return true
      },
    )
  }
  await assert.rejects(async () => {
    for await (const _ of (run as unknown as Session<never, never, never, never, never, never>).steps(3 as never));
  }, /^SessionError: steps takes what yields batches/)
  assert.deepEqual(await run.evaluate(batch), before)
})

const opening: readonly (readonly [what: string, open: () => unknown, text: RegExp])[] = [
  [
    'no weights',
    () => loosely({ compile })['compile']!(step, { target: 'reference' }),
    /^SessionError: there are no weights: give it a value for up, down$/,
  ],
  [
    'nothing beside the step',
    () => loosely({ compile })['compile']!(step),
    /^SessionError: compile takes the weights beside the step: write compile\(step, \{ weights \}\)$/,
  ],
  [
    'a loss by row',
    () =>
      compile(
        trainStep(
          adapt(
            model({ ...mlp, loss: logits => ({ sum: logits, count: logits }) as never }),
            paca({ targets: ['up'], rank: 2, seed: 0 }),
          ),
          sgd({ lr: 1 }),
        ),
        { target: 'reference', weights: { up, down } },
      ),
    /^ShapeMismatch: the loss is one number for each example, .*; its sum is \[batch, classes\] f32$/,
  ],
  [
    'a parameter called as what vera adds',
    () =>
      adapt(
        model({
          params: { vera_A: f32('in', 'out') },
          batch: { x: f32('batch', 'in') },
          forward: (p, b) => matmul(b.x, p.vera_A),
          loss: logits => ({ sum: sum(logits), count: size('batch') }),
        }),
        vera({ targets: ['vera_A'], rank: 2, seed: 0 }),
      ),
    /^UnknownTarget: vera adds its projections to the parameters as vera_A and vera_B, and the model has a vera_A: rename it$/,
  ],
  [
    'weights that lack a leaf',
    () => compile(step, { target: 'reference', weights: { up } as never }),
    /^SessionError: the weights have no down$/,
  ],
  [
    'weights with one leaf more',
    () => compile(step, { target: 'reference', weights: { up, down, extra: up } as never }),
    /^SessionError: the weights have extra, which is not declared$/,
  ],
  [
    'weights in plain arrays',
    () => compile(step, { target: 'reference', weights: { up: [1, 2], down } as never }),
    /^SessionError: up is a plain array: give \{ shape, sizes, dtype, data \}$/,
  ],
  [
    'transposed weights',
    () =>
      compile(step, { target: 'reference', weights: { up: { ...up, shape: ['hidden', 'pixels'] }, down } as never }),
    /^SessionError: up is declared \[pixels, hidden\], and its shape says \[hidden, pixels\]$/,
  ],
  [
    'a dim that there is not',
    () => compile(step, { target: 'reference', weights: { up, down }, dims: { widht: 4 } }),
    /^SessionError: there is no dim widht: there are batch, classes, hidden, pixels$/,
  ],
  [
    'columns out of range',
    () =>
      compile(
        trainStep(
          adapt(mlp, paca({ targets: ['up'], rank: 2, seed: 0, selection: new Map([['up', Int32Array.of(0, 9)]]) })),
          sgd({ lr: 1 }),
        ),
        { target: 'reference', weights: { up, down } },
      ),
    /^SessionError: the chosen columns of up are not 2 different ones below 4$/,
  ],
  [
    'a column twice',
    () =>
      compile(
        trainStep(
          adapt(mlp, paca({ targets: ['up'], rank: 2, seed: 0, selection: new Map([['up', Int32Array.of(1, 1)]]) })),
          sgd({ lr: 1 }),
        ),
        { target: 'reference', weights: { up, down } },
      ),
    /^SessionError: the chosen columns of up are not 2 different ones below 4$/,
  ],
  [
    'columns that are no whole numbers',
    () =>
      compile(
        trainStep(
          adapt(mlp, paca({ targets: ['up'], rank: 2, seed: 0, selection: new Map([['up', [0.5, 1] as never]]) })),
          sgd({ lr: 1 }),
        ),
        { target: 'reference', weights: { up, down } },
      ),
    /^SessionError: the chosen columns of up are no whole numbers$/,
  ],
  [
    'a rank above the width',
    () =>
      compile(trainStep(adapt(mlp, paca({ targets: ['up'], rank: 9, seed: 0 })), sgd({ lr: 1 })), {
        target: 'reference',
        weights: { up, down },
      }),
    /^SessionError: rank 9 is above the width of up/,
  ],
  [
    'no transform',
    () => trainStep(adapt(mlp, full({ targets: ['up'] })), undefined as never),
    /^RangeError: trainStep takes a gradient transform/,
  ],
  [
    'parameters in the place of a model',
    () => trainStep(mlp.params as never, sgd({ lr: 1 })),
    /^RangeError: trainStep takes a model, or a tuned model/,
  ],
  [
    'no targets',
    () => adapt(mlp, paca({ rank: 2, seed: 0 } as never)),
    /^UnknownTarget: the targets of a method are a list of names$/,
  ],
  [
    'no targets of full',
    () => adapt(mlp, full({} as never)),
    /^UnknownTarget: the targets of a method are a list of names$/,
  ],
]
for (const [what, open, text] of opening) {
  test(`what begins with ${what} is refused with one clear sentence`, () => assert.rejects(async () => open(), text))
}

const bad = [Number.NaN, Infinity, -Infinity, -1, '3', undefined, null] as readonly unknown[]
const settings: readonly (readonly [
  what: string,
  make: (value: never) => unknown,
  values: readonly unknown[],
  good: readonly number[],
])[] = [
  ['adam: lr', lr => adam({ lr }), bad, [0, 1e-3]],
  ['adamw: lr', lr => adamw({ lr }), bad, [1e-3]],
  ['sgd: lr', lr => sgd({ lr }), bad, [0.1]],
  ['adam: b1', b1 => adam({ lr: 1, b1 }), [...bad.filter(b => b !== undefined), 1], [0, 0.9]],
  ['adam: b2', b2 => adam({ lr: 1, b2 }), [Number.NaN, 1, 2], [0.999]],
  ['adam: eps', eps => adam({ lr: 1, eps }), [Number.NaN, -1e-8], [0]],
  ['weightDecay', weightDecay => adamw({ lr: 1, weightDecay }), [Number.NaN, -0.1, Infinity], [0]],
  ['addDecayedWeights', rate => addDecayedWeights(rate), bad, [0.1]],
  ['clip', limit => clipByValue(limit), [...bad, 0], [1]],
  ['clipByGlobalNorm', limit => clipByGlobalNorm(limit), [...bad, 0], [1]],
  ['scale', factor => scale(factor), bad.filter(b => b !== -1), [-1, 0]],
  ['momentum', momentum => sgd({ lr: 1, momentum }), [Number.NaN, -0.5, 2], [0.9]],
  ['trace', decay => trace({ decay }), bad, [0.9]],
  ['accumulate', every => accumulate(sgd({ lr: 1 }), every), [...bad, 0, 1.5], [4]],
  ['monitorDescent', lipschitz => monitorDescent({ lipschitz }), bad, [4]],
  ['constant', value => constant(value), bad, [0]],
  ['linear: steps', steps => linear({ init: 1, end: 0, steps }), [...bad, 0], [10]],
  ['linear: init', init => linear({ init, end: 0, steps: 3 }), bad, [0]],
  ['polynomial: power', power => polynomial({ init: 1, end: 0, steps: 3, power }), bad, [2]],
  ['cosine: init', init => cosine({ init, steps: 3 }), bad, [1]],
  ['cosine: steps', steps => cosine({ init: 1, steps }), [...bad, 0], [10]],
  ['exponential: rate', rate => exponential({ init: 1, steps: 3, rate }), [...bad, 0], [0.5]],
  ['piecewise: scale', factor => piecewise({ init: 1, scales: { 3: factor } }), bad, [0.5]],
  ['join: at', at => join(constant(1), at, constant(0)), bad, [4]],
  ['warmupCosine: peak', peak => warmupCosine({ peak, warmup: 1, total: 3 }), bad, [1]],
  ['warmupCosine: total', total => warmupCosine({ peak: 1, warmup: 3, total }), [...bad, 3, 2], [4]],
  ['warmupCosine: warmup', warmup => warmupCosine({ peak: 1, warmup, total: 5 }), bad, [0, 2]],
]
for (const [what, make, values, good] of settings) {
  test(`${what} that is no such number is refused with one clear sentence`, () => {
    for (const value of values) {
      if (value === undefined && /b1|b2|eps|weightDecay|momentum/.test(what)) continue
      assert.throws(
        () => make(value as never),
        (error: unknown) =>
          error instanceof RangeError &&
          /( is missing: it is | is \S+: it is )(a finite|a whole) number/.test(error.message),
        `${what}: ${String(value)}`,
      )
    }
    for (const value of good) make(value as never)
  })
}
test('adam without a rate says so', () => {
  assert.throws(() => adam({} as never), {
    name: 'RangeError',
    message: 'the learning rate lr is missing: it is a finite number, at least 0',
  })
})
