/**
 * A recurrent network reads numbers one by one and adds those that are marked. It learns from sequences of up to 12
 * steps, padded to the longest of a batch, and is then asked about longer ones.
 */
import {
  adamw, adapt, add, chain, clipByGlobalNorm, compile, equal, f32, full, i32, init, matmul, model, nn, reshape, squaredError, tensor, toArray, trainStep,
  uniform,
} from '../src/index.ts'

const network = model({
  params: { gru: nn.Gru('features', 'hidden'), weight: f32('hidden', 1), bias: f32(1) },
  batch: { xs: f32('batch', 'time', 'features'), exists: i32('batch', 'time'), y: f32('batch') },
  dims: { features: 2, hidden: 32 },
  forward: (p, b) => {
    // the state is held through padding, so the last one is that after the last number
    const { last } = nn.gru(b.xs, p.gru, { mask: equal(b.exists, 1) })
    return reshape(add(matmul(last, p.weight), p.bias), ['batch'])
  },
  loss: (sums, b) => squaredError(sums, b.y),
})

/** Sequences of numbers in [0, 1), some of them marked, and the sums of the marked ones. */
const sequences = (n: number, longest: number, seed: number) => {
  const random = uniform(seed, 0, n * longest * 2), lengths = uniform(seed, 1, n).map(u => Math.ceil(longest * (0.5 + u / 2)))
  const number = (i: number, t: number): number => random[(i * longest + t) * 2]!
  // a third of six numbers is marked, and fewer of more
  const marked = (i: number, t: number): number => Number(t < lengths[i]! && random[(i * longest + t) * 2 + 1]! < 2 / longest)
  const steps = Array.from({ length: longest }, (_, t) => t)
  return {
    xs: tensor((i, t, k) => (k === 0 ? number(i, t) : marked(i, t)), ['batch', 'time', 'features'], { sizes: [n, longest, 2] }),
    exists: tensor((i, t) => Number(t < lengths[i]!), ['batch', 'time'], { sizes: [n, longest], dtype: 'i32' }),
    y: tensor(i => steps.reduce((sum, t) => sum + number(i, t) * marked(i, t), 0), ['batch'], { sizes: [n] }),
  }
}

const step = trainStep(adapt(network, full({ targets: ['all'] })), chain(clipByGlobalNorm(1), adamw({ lr: 0.01 })))
await using run = await compile(step, { weights: init.params(network, { seed: 0 }) })
for (let k = 1; k <= 300; k++) {
  const { loss } = await run.step(sequences(64, 6 + (k % 3) * 3, k))
  if (k % 100 === 0) console.log(`step ${k}: loss ${loss.toFixed(4)}`)
}
for (const longest of [12, 24]) {
  const { loss } = await run.evaluate(sequences(256, longest, 1000))
  console.log(`up to ${longest} steps: loss ${loss.toFixed(4)}`)
}
const some = sequences(4, 12, 2000), sums = toArray(await run.predict({ xs: some.xs, exists: some.exists }))
console.log(`${sums.map(x => x.toFixed(2)).join(' ')} of ${toArray(some.y).map(x => x.toFixed(2)).join(' ')}`)
