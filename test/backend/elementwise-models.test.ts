import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  acosh,
  adapt,
  add,
  and,
  asin,
  asinh,
  atan2,
  atanh,
  cast,
  ceil,
  clip,
  compile,
  cosh,
  expm1,
  f32,
  floor,
  full,
  gelu,
  greater,
  greaterEqual,
  i32,
  isFinite,
  isNaN,
  log1p,
  log2,
  logSoftmax,
  maximum,
  mean,
  model,
  mul,
  nn,
  not,
  notEqual,
  or,
  pow,
  reciprocal,
  remainder,
  round,
  select,
  sgd,
  sinh,
  square,
  sub,
  tan,
  trainStep,
  trunc,
  type Dim,
  type Shape,
  type TargetName,
  type Tensor,
} from '../../src/index.ts'
import { noNode } from '../support/native-library.ts'

// Functions inside a model: fused, differentiated and planned, on every target.

const unit = <S extends Shape>(x: Tensor<S>): Tensor<S> => mul(nn.hardTanh(x, -2, 2), 0.45)
const activated = <S extends Shape>(x: Tensor<S>): Tensor<S> => {
  const smooth = [
    nn.softplus(x),
    nn.mish(x),
    gelu(x, { approximate: 'tanh' }),
    nn.logSigmoid(x),
    nn.softsign(x),
    asinh(x),
  ]
  const cornered = [
    nn.relu6(add(x, 3)),
    nn.leakyRelu(x, 0.1),
    nn.elu(x),
    nn.selu(x),
    nn.celu(x, 0.5),
    nn.hardSwish(x),
    nn.hardSigmoid(x),
  ]
  return [...smooth, ...cornered].reduce((sum, y) => add(sum, y))
}
const curved = <S extends Shape>(x: Tensor<S>): Tensor<S> => {
  const u = unit(x)
  const positive = add(square(x), 1.5)
  const bounded = [asin(u), atanh(u), tan(u), log1p(u), expm1(u), sinh(u), cosh(u), atan2(u, positive)]
  const wide = [acosh(positive), log2(positive), reciprocal(positive), pow(positive, 1.5), remainder(u, positive)]
  return [...bounded, ...wide].reduce((sum, y) => add(sum, y))
}
const rounded = <S extends Shape>(x: Tensor<S>): Tensor<S> =>
  add(add(floor(mul(x, 3)), ceil(mul(x, 5))), sub(round(mul(x, 7)), trunc(mul(x, 9))))
const known = <L extends Shape, C extends Dim>(
  x: Tensor<readonly [...L, C]>,
  shown: Tensor<readonly [C], 'bool'>,
): Tensor<readonly [...L, C]> => select(shown, x, -3)

const network = model({
  params: { w: f32('batch', 'hidden'), scale: f32('hidden') },
  batch: { ids: i32('batch', 'hidden'), limit: i32('hidden') },
  forward: ({ w, scale }, { ids, limit }) => {
    const x = mul(w, scale)
    const odd = notEqual(remainder(ids, 3), 0)
    const inside = and(greaterEqual(ids, 0), not(greater(ids, limit)))
    const chosen = select(or(odd, inside), activated(x), curved(x))
    const finite = select(and(isFinite(chosen), not(isNaN(chosen))), chosen, 0)
    const counted = cast(select(notEqual(odd, inside), clip(ids, -2, 5), -1), 'f32')
    return logSoftmax(known(add(finite, mul(add(counted, rounded(x)), maximum(0.1, w))), greater(limit, 2)))
  },
  loss: logits => mean(square(add(logits, 1))),
})
const numbers = (n: number, f: (i: number) => number): Float32Array => Float32Array.from({ length: n }, (_, i) => f(i))
const weights = {
  w: {
    shape: ['batch', 'hidden'],
    sizes: [6, 5],
    dtype: 'f32',
    data: numbers(30, i => Math.sin(3 * i + 1) * 1.7),
  },
  scale: { shape: ['hidden'], sizes: [5], dtype: 'f32', data: numbers(5, i => 0.8 + i / 10) },
} as const
const batch = {
  ids: {
    shape: ['batch', 'hidden'],
    sizes: [6, 5],
    dtype: 'i32',
    data: Int32Array.from(numbers(30, i => (i % 11) - 4)),
  },
  limit: { shape: ['hidden'], sizes: [5], dtype: 'i32', data: Int32Array.of(1, 3, 5, 4, 7) },
} as const

const trained = async (target: TargetName, threads: number) => {
  const step = trainStep(adapt(network, full({ targets: ['w', 'scale'] })), sgd({ lr: 0.01 }))
  await using run = await compile(step, { target, threads, weights })
  const { w, scale } = await run.gradients(batch)
  const losses: number[] = []
  for (let k = 0; k < 2; k++) losses.push((await run.step([batch])).loss)
  return { w: [...w.data], scale: [...scale.data], losses }
}

const expected = await trained('reference', 1)
test('every parameter that is read has a gradient, and the loss falls', () => {
  const read = expected.w.filter((_, i) => i % 5 !== 0)
  assert.ok(read.filter(v => v !== 0).length === 24, expected.w.join())
  assert.deepEqual(
    expected.scale.map(v => v !== 0),
    [false, true, true, true, true],
  )
  assert.ok(expected.losses[1]! < expected.losses[0]!, expected.losses.join())
})
for (const [target, threads] of [
  ['cpu', 1],
  ['node', 1],
  ['wasm', 1],
  ['wasm', 2],
  ['graph', 1],
] as const) {
  const skip = (target === 'node' || target === 'graph') && noNode !== undefined ? noNode : false
  test(
    `a model of these functions has the losses and gradients of reference on ${target} with ${threads} thread(s)`,
    { skip },
    async () => {
      const found = await trained(target, threads)
      for (const key of ['losses', 'w', 'scale'] as const)
        found[key].forEach((v, i) =>
          assert.ok(
            Math.abs(v - expected[key][i]!) < 1e-4 * Math.max(1, Math.abs(expected[key][i]!)),
            `${key}[${i}] is ${v}, not ${expected[key][i]}`,
          ),
        )
    },
  )
}
