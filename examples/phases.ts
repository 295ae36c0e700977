/** Training in phases: a head on a frozen body, then everything; the examples with the largest losses tell what is left to learn. */
import {
  adamw, adapt, add, batches, compile, crossEntropy, f32, full, i32, init, matmul, metric, model, relu, tensor, trainStep, uniform,
} from '../src/index.ts'

const classifier = model({
  params: { body: { up: f32('features', 'hidden'), bias: f32('hidden') }, head: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'features'), y: i32('batch') },
  dims: { features: 2, hidden: 48, classes: 2 },
  forward: (p, b) => matmul(relu(add(matmul(b.x, p.body.up), p.body.bias)), p.head),
  loss: (logits, b) => crossEntropy(logits, b.y),
  metrics: { accuracy: (logits, b) => metric.accuracy(logits, b.y) },
})
// two spirals
const rows = 400, turn = uniform(0, 0, rows), side = (row: number): number => row % 2
const data = {
  x: tensor((row, axis) => {
    const angle = 4 * turn[row]! + Math.PI * side(row)
    return turn[row]! * (axis === 0 ? Math.cos(angle) : Math.sin(angle)) * 2
  }, ['batch', 'features'], { sizes: [rows, 2] }),
  y: tensor(side, ['batch'], { sizes: [rows], dtype: 'i32' }),
}

// first the head alone: the body has neither gradients nor moments
const headOnly = trainStep(adapt(classifier, full({ targets: ['head'] })), adamw({ lr: 0.02 }))
const first = await compile(headOnly, { weights: init.params(classifier, { seed: 0 }) })
for (const batch of batches(data, { size: 50, shuffle: 0, epochs: 20 })) await first.step(batch)
const weights = await first.params()
const { metrics: frozen } = await first.evaluate(batches(data, { size: 50 }))
await first[Symbol.asyncDispose]()

// then everything, from the weights of the first phase
await using second = await compile(trainStep(classifier, adamw({ lr: 0.01 })), { weights })
for (const batch of batches(data, { size: 50, shuffle: 1, epochs: 60 })) await second.step(batch)
const { metrics: whole } = await second.evaluate(batches(data, { size: 50 }))
const each = (await second.perExample(data)).data
const hardest = [...each.keys()].sort((a, b) => each[b]! - each[a]!).slice(0, 20)
const middle = hardest.filter(row => turn[row]! < 0.25).length
console.log(`accuracy of the head alone ${frozen.accuracy.toFixed(2)}, of everything ${whole.accuracy.toFixed(2)}`)
console.log(`${middle} of the 20 hardest examples lie in the innermost quarter, where the spirals meet`)
