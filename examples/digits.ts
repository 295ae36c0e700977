/** A classifier of digits: first weights, shuffled batches with a short last one, its accuracy on digits that it never saw. */
import {
  adamw, add, batches, compile, crossEntropy, f32, i32, init, matmul, metric, model, relu, tensor, toArray, trainStep, uniform,
} from '../src/index.ts'

// each digit is five rows of three pixels, written in octal; it stands anywhere on 6 × 4 noisy pixels
const rows = ['75557', '26227', '71747', '71717', '55711', '74717', '74757', '71111', '75757', '75717']
const digits = (n: number, seed: number) => {
  const noise = uniform(seed, 0, n * 24), place = uniform(seed, 1, 2 * n)
  const pixel = (i: number, p: number): number => {
    const row = Math.floor(p / 4) - Math.floor(2 * place[2 * i]!), column = (p % 4) - Math.floor(2 * place[2 * i + 1]!)
    return column >= 0 && column < 3 ? (Number(rows[i % 10]![row] ?? 0) >> (2 - column)) & 1 : 0
  }
  return {
    x: tensor((i, p) => pixel(i, p) + noise[24 * i + p]! - 0.5, ['batch', 'pixels'], { sizes: [n, 24] }),
    y: tensor(i => i % 10, ['batch'], { sizes: [n], dtype: 'i32' }),
  }
}

const network = model({
  params: { up: f32('pixels', 'hidden'), bias: f32('hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  dims: { pixels: 24, hidden: 128, classes: 10 },
  forward: (p, b) => matmul(relu(add(matmul(b.x, p.up), p.bias)), p.down),
  loss: (logits, b) => crossEntropy(logits, b.y),
  metrics: { accuracy: (logits, b) => metric.accuracy(logits, b.y) },
})
const step = trainStep(network, adamw({ lr: 0.005 }))
await using run = await compile(step, { weights: init.params(network, { seed: 0, leaves: { up: init.heNormal() } }) })
for (const batch of batches(digits(2000, 1), { size: 64, shuffle: 0, epochs: 20 })) await run.step(batch)
const { loss, metrics } = await run.evaluate(batches(digits(500, 2), { size: 64 }))
console.log(`loss ${loss.toFixed(3)}, accuracy ${metrics.accuracy.toFixed(3)}`)
const { x, y } = digits(10, 3)
const guesses = toArray(await run.predict({ x })).map(row => row.indexOf(Math.max(...row)))
console.log(`${guesses.join(' ')} of ${toArray(y).join(' ')}`)
