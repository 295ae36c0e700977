/**
 * (IA)³ with 16 trained numbers: a network that learned from one device reads another one, whose 16 sensors have other
 * gains, after it has found a factor for each of them.
 */
import {
  adamw, adapt, batches, compile, crossEntropy, f32, i32, ia3, init, metric, model, nn, relu, tensor, toArray, trainStep, uniform,
} from '../src/index.ts'

const network = model({
  params: { up: nn.Linear('sensors', 'hidden'), down: nn.Linear('hidden', 'classes') },
  batch: { x: f32('batch', 'sensors'), y: i32('batch') },
  dims: { sensors: 16, hidden: 64, classes: 3 },
  forward: (p, b) => nn.linear(relu(nn.linear(b.x, p.up)), p.down),
  loss: (logits, b) => crossEntropy(logits, b.y),
  metrics: { accuracy: (logits, b) => metric.accuracy(logits, b.y) },
})

// a class for each third of the angle of two hidden coordinates; a device shows them with gains of its own
const mixing = uniform(0, 1, 32), gains = Array.from(uniform(0, 2, 16), u => 40 ** (2 * u - 1))
const rows = (seed: number, count: number, gainOf: (sensor: number) => number) => {
  const drawn = uniform(seed, 0, 2 * count)
  const x = tensor((row, at) => gainOf(at) * [0, 1].reduce((sum, k) => sum + (drawn[2 * row + k]! - 0.5) * (mixing[2 * at + k]! - 0.5), 0) * 8, ['batch', 'sensors'], { sizes: [count, 16] })
  const y = tensor(row => Math.min(2, Math.floor(3 * (0.5 + Math.atan2(drawn[2 * row]! - 0.5, drawn[2 * row + 1]! - 0.5) / (2 * Math.PI)))), ['batch'], { sizes: [count], dtype: 'i32' })
  return { x, y }
}

const first = await compile(trainStep(network, adamw({ lr: 0.01 })), { weights: init.params(network, { seed: 0 }) })
for (const batch of batches(rows(3, 400, () => 1), { size: 50, shuffle: 0, epochs: 20 })) await first.step(batch)
const weights = await first.params()
const others = rows(4, 200, sensor => gains[sensor]!)
const percent = ({ metrics }: { readonly metrics: { readonly accuracy: number } }): string => `${Math.round(100 * metrics.accuracy)}%`
const [own, before] = [percent(await first.evaluate(rows(5, 200, () => 1))), percent(await first.evaluate(others))]
await first[Symbol.asyncDispose]()

// `feedforward` names the modules whose inputs are scaled; everything else is frozen
const tuned = adapt(network, ia3({ targets: ['up'], feedforward: ['up'] }))
await using second = await compile(trainStep(tuned, adamw({ lr: 0.05 })), { weights })
for (const batch of batches(rows(6, 200, sensor => gains[sensor]!), { size: 50, shuffle: 0, epochs: 40 })) await second.step(batch)
console.log(`its own device ${own}; the other one ${before}, then ${percent(await second.evaluate(others))}`)
const factors = toArray((await second.read()).focus.up.weight.ia3_in)
console.log(`${factors.length} trained numbers`)
