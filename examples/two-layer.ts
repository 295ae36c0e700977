/**
 * A network of two layers, of which Adam sees 8 columns: only these have gradients and moments, of shape [8, hidden].
 */
import {
  adamw, adapt, chain, clipByGlobalNorm, compile, crossEntropy, f32, i32, matmul, model, paca, relu, trainStep, uniform, type Value, type Values,
} from '../src/index.ts'

const network = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(relu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => crossEntropy(logits, b.y),
})

// synthetic data: in class c every fourth pixel, from c on, is bright; the rest is noise
const [pixels, hidden, classes, rows] = [32, 16, 4, 64]
const random = <const S extends readonly [string, string]>(shape: S, sizes: readonly [number, number], stream: number): Value<S> =>
  ({ shape, sizes, dtype: 'f32', data: uniform(0, stream, sizes[0] * sizes[1]).map(u => u - 0.5) })
const noise = random(['batch', 'pixels'], [rows, pixels], 1), classOf = (row: number): number => row % classes
const batch: Values<typeof network.batch> = {
  x: { ...noise, data: noise.data.map((v, i) => v + (i % pixels % classes === classOf(Math.floor(i / pixels)) ? 0.5 : 0)) },
  y: { shape: ['batch'], sizes: [rows], dtype: 'i32', data: Int32Array.from({ length: rows }, (_, row) => classOf(row)) },
}
const weights: Values<typeof network.params> =
  { up: random(['pixels', 'hidden'], [pixels, hidden], 2), down: random(['hidden', 'classes'], [hidden, classes], 3) }

const tuned = adapt(network, paca({ targets: ['up'], rank: 8, seed: 0 }))
const step = trainStep(tuned, chain(clipByGlobalNorm(1), adamw({ lr: 0.05 })))
await using run = await compile(step, { target: 'auto', weights })
for (let k = 1; k <= 60; k++) {
  const { loss } = await run.step([batch])
  if (k === 1 || k % 20 === 0) console.log(`step ${k}: loss ${loss.toFixed(3)}`)
}
const [, [adam]] = (await run.read()).state
const moments: Value<readonly [8, 'hidden']> = adam.mu.up
console.log(`trained columns of up: ${run.selection.get('up')?.join(', ')}`)
console.log(`first moments: ${Object.keys(adam.mu).join(', ')} [${moments.sizes.join(', ')}], of a weight [${pixels}, ${hidden}]`)
