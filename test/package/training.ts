/** A small program as a user writes it, in JavaScript: it trains a line on a target and says what it found. */
export const training = `
import { adamw, compile, f32, init, matmul, model, squaredError, tensor, toArray, trainStep } from 'partensor'

const x = tensor((row, column) => Math.sin(row * (column + 1)), ['batch', 'in'], { sizes: [32, 2] })
const y = tensor(toArray(x).map(([a, b]) => [3 * a - 2 * b]), ['batch', 'out'])
const line = model({
  params: { w: f32('in', 'out') },
  batch: { x: f32('batch', 'in'), y: f32('batch', 'out') },
  forward: (p, b) => matmul(b.x, p.w),
  loss: (out, b) => squaredError(out, b.y),
})
export const train = async options => {
  const weights = init.params(line, { seed: 0, dims: { in: 2, out: 1 } })
  const run = await compile(trainStep(line, adamw({ lr: 0.3 })), { ...options, weights })
  for (let k = 0; k < 150; k++) await run.step({ x, y })
  const { w } = await run.params()
  await run[Symbol.asyncDispose]()
  return \`\${run.target}: y = \${toArray(w).map(([c]) => c.toFixed(1)).join(' x1 + ')} x2\`
}
`
/** The line that it returns, after the name of the target. */
export const trained = ': y = 3.0 x1 + -2.0 x2'
