/** Linear regression: y = 3 x₁ − 2 x₂ + 1, found from 64 examples. */
import { add, compile, einsum, f32, init, model, sgd, squaredError, tensor, toArray, trainStep } from '../src/index.ts'

const x = tensor((row, column) => Math.sin(row * (column + 1)), ['batch', 'features'], { sizes: [64, 2] })
const y = tensor(toArray(x).map(([a, b]) => 3 * a! - 2 * b! + 1), ['batch'])
const line = model({ params: { w: f32('features'), b: f32() }, batch: { x: f32('batch', 'features'), y: f32('batch') },
  forward: (p, b) => add(einsum('bf,f->b', b.x, p.w), p.b), loss: (out, b) => squaredError(out, b.y) })
await using run = await compile(trainStep(line, sgd({ lr: 0.2 })), { weights: init.params(line, { seed: 0, dims: { features: 2 } }) })
for (let k = 0; k < 100; k++) await run.step({ x, y })
const { w, b } = await run.params()
console.log(`y = ${toArray(w).map((c, i) => `${c.toFixed(3)} x${i + 1}`).join(' + ')} + ${toArray(b).toFixed(3)}`)
