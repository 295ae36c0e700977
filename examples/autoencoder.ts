/** An autoencoder of points on a circle: its code is one number, which is read by name and follows the angle. */
import { adamw, add, batches, compile, f32, init, matmul, model, squaredError, tanh, tensor, trainStep, uniform } from '../src/index.ts'

const points = model({
  params: { inner: f32('features', 'hidden'), hidden: f32('hidden'), code: f32('hidden', 1), outer: f32(1, 'hidden'), bias: f32('hidden'), copy: f32('hidden', 'features') },
  batch: { x: f32('batch', 'features') },
  dims: { features: 2, hidden: 32 },
  forward: (p, b) => {
    const code = matmul(tanh(add(matmul(b.x, p.inner), p.hidden)), p.code)
    return { code, copy: matmul(tanh(add(matmul(code, p.outer), p.bias)), p.copy) }
  },
  loss: ({ copy }, b) => squaredError(copy, b.x),
})

// three quarters of a circle: neighbours on it get neighbouring codes
const angles = Array.from(uniform(0, 0, 512), u => 1.5 * Math.PI * u)
const x = tensor((row, axis) => (axis === 0 ? Math.cos : Math.sin)(angles[row]!), ['batch', 'features'], { sizes: [512, 2] })
await using run = await compile(trainStep(points, adamw({ lr: 0.01 })), { weights: init.params(points, { seed: 0 }) })
for (const batch of batches({ x }, { size: 64, shuffle: 0, epochs: 60 })) await run.step(batch)
const { code } = await run.predict({ x })
const byAngle = angles.map((angle, i) => [angle, code.data[i]!] as const).sort(([a], [b]) => a - b).map(([, c]) => c)
const rising = byAngle.filter((c, i) => i > 0 && c > byAngle[i - 1]!).length / (byAngle.length - 1)
console.log(`loss ${(await run.evaluate({ x })).loss.toFixed(4)}; the code ${rising > 0.5 ? 'rises' : 'falls'} with the angle at ${Math.round(100 * Math.max(rising, 1 - rising))}% of the points`)
const { inner, hidden, code: w } = await run.params()
console.log(`parameters of the encoder: ${[inner, hidden, w].map(({ shape }) => `[${shape.join(', ')}]`).join(' ')}`)
