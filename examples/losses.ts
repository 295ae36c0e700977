/** Losses that some examples do not dominate: Huber's beside squares on data with outliers, focal beside plain cross-entropy. */
import {
  adamw, add, compile, f32, init, loss, metric, model, mul, sgd, tensor, trainStep, uniform, type Tensor,
} from '../src/index.ts'

type Losses = (out: Tensor<readonly ['batch']>, target: Tensor<readonly ['batch']>) => Tensor<readonly ['batch']>
const line = (losses: Losses) => model({
  params: { slope: f32(), offset: f32() },
  batch: { x: f32('batch'), y: f32('batch') },
  forward: (p, b) => add(mul(b.x, p.slope), p.offset),
  loss: (out, b) => losses(out, b.y),
  metrics: { recall: (out, b) => metric.recall(out, b.y) },
})
const n = 200, noise = uniform(0, 0, n), x = tensor(row => row / n, ['batch'], { sizes: [n] })

// y = 2 x, but every tenth is 30 too high
const y = tensor(row => (2 * row) / n + (noise[row]! - 0.5) / 5 + (row % 10 === 0 ? 30 : 0), ['batch'], { sizes: [n] })
for (const [name, losses] of Object.entries({ squaredError: loss.squaredError, huber: loss.huber })) {
  const fitted = line(losses)
  await using run = await compile(trainStep(fitted, sgd({ lr: 0.5 })), { weights: init.params(fitted, { seed: 0 }) })
  for (let k = 0; k < 400; k++) await run.step({ x, y })
  const { slope, offset } = await run.params()
  console.log(`${name}: y = ${slope.data[0]!.toFixed(1)} x + ${offset.data[0]!.toFixed(1)}`)
}

// one of twenty is positive, and all of these have a large x
const rare = tensor(row => Number(row > 0.95 * n - 1 + 4 * (noise[row]! - 0.5)), ['batch'], { sizes: [n] })
const focal: Losses = (logits, labels) => loss.focal(logits, labels, { gamma: 2, alpha: 0.75 })
for (const [name, losses] of Object.entries({ crossEntropy: loss.sigmoidBinaryCrossEntropy as Losses, focal })) {
  const detector = line(losses)
  await using run = await compile(trainStep(detector, adamw({ lr: 0.05 })), { weights: init.params(detector, { seed: 0 }) })
  for (let k = 0; k < 300; k++) await run.step({ x, y: rare })
  const { recall } = (await run.evaluate({ x, y: rare })).metrics
  console.log(`${name}: finds ${Math.round(100 * recall)}% of the rare ones`)
}
