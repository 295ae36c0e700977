/** Contrastive learning: two noisy views of an example go through towers that share their weights, and each is to find the other. */
import {
  add, adamw, batches, compile, div, f32, init, loss, matmul, iota, metric, model, mul, norm, relu, square, tensor, trainStep, transpose, uniform, mean, type Tensor,
} from '../src/index.ts'

const params = { up: f32('features', 'hidden'), down: f32('hidden', 'code') }
type View = Tensor<readonly ['batch', 'features']>
/** A code of length 1 for each row. */
const tower = (p: typeof params, x: View) => {
  const code = matmul(relu(matmul(x, p.up)), p.down)
  return div(code, norm(code, -1, true))
}
const towers = model({
  params,
  batch: { left: f32('batch', 'features'), right: f32('batch', 'features') },
  dims: { features: 16, hidden: 64, code: 8 },
  // the similarity of every left view to every right one, at a temperature of 0.2
  forward: (p, b) => mul(matmul(tower(p, b.left), transpose(tower(p, b.right))), 5),
  // a batch compares its rows with each other, so the penalty on the weights is added to the mean over its rows
  loss: (similar, _, p) => ({ mean: add(mean(loss.contrastive(similar)), mul(mean(square(p.up)), 0.01)), over: 'batch' }),
  metrics: { found: similar => metric.accuracy(similar, iota('batch')) },
})

// an example is a few waves; a view shows it with noise
const [examples, seeds] = [256, { left: 1, right: 2 }]
const wave = uniform(0, 0, examples * 3)
const view = (seed: number) => {
  const noise = uniform(seed, 0, examples * 16)
  return tensor((row, at) => Math.sin(6 * wave[3 * row]! * at + 6 * wave[3 * row + 1]!) + wave[3 * row + 2]! + noise[16 * row + at]! - 0.5, ['batch', 'features'], { sizes: [examples, 16] })
}
const data = { left: view(seeds.left), right: view(seeds.right) }
await using run = await compile(trainStep(towers, adamw({ lr: 3e-3 })), { weights: init.params(towers, { seed: 0 }) })
const found = async () => Math.round(100 * (await run.evaluate(batches(data, { size: 64 }))).metrics.found)
const before = await found()
for (const batch of batches(data, { size: 64, shuffle: 0, epochs: 40 })) await run.step(batch)
console.log(`of 64 rows each left view finds its right view in ${before}%, then in ${await found()}%`)
