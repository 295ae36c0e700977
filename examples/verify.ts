/**
 * Theorem 1 on a run of your own: a head over frozen features has a proved bound of the curvature; layers below a
 * nonlinearity have an estimate.
 */
import { adapt, crossEntropy, f32, i32, matmul, model, paca, silu, size, sum, uniform } from '../src/index.ts'
import { certificateText, checkCertificate, verify, type ConvergenceCertificate } from '../src/verify.ts'

const mlp = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(silu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
})
const numbers = (n: number, stream: number): Float32Array => uniform(0, stream, n).map(x => 2 * x - 1)
const weights = {
  up: { shape: ['pixels', 'hidden'], sizes: [16, 12], dtype: 'f32', data: numbers(16 * 12, 1) },
  down: { shape: ['hidden', 'classes'], sizes: [12, 3], dtype: 'f32', data: numbers(12 * 3, 2) },
} as const
const batch = {
  x: { shape: ['batch', 'pixels'], sizes: [24, 16], dtype: 'f32', data: numbers(24 * 16, 3) },
  y: { shape: ['batch'], sizes: [24], dtype: 'i32', data: Int32Array.from({ length: 24 }, (_, i) => i % 3) },
} as const

const say = (what: string, { curvature, optimizer, summary, claims }: ConvergenceCertificate): void => {
  console.log(`${what}: L ${curvature.kind === 'proved' ? '≤' : 'about'} ${curvature.value.toPrecision(4)} (${curvature.kind}), η = ${optimizer.lr.toPrecision(4)}`)
  console.log(`  ${summary.descended} of ${summary.steps} steps descended, ${summary.violations} violations, least slack ${summary.leastSlack.toExponential(1)}`)
  console.log(claims.length > 0 ? `  proved: ${claims[1]}` : '  nothing is claimed')
}
for (const target of ['down', 'up'] as const) {
  const tuned = adapt(mlp, paca({ targets: [target], rank: 4, seed: 0 }))
  const certificate = await verify({ tuned, weights, batches: [batch], steps: 20, target: 'reference', about: { model: 'mlp', targets: [target], rank: 4, seq: null }, lowest: 0 })
  say(`four columns of ${target}`, certificate)
  // anyone can check it, without the run
  console.log(`  checked again: ${checkCertificate(certificateText(certificate))._tag === 'Right'}`)
}
