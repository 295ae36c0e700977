/** Descent on f(W) = ½ tr WᵀAW through gradients, a mask and sgd, with Theorem 1 checked at every step: f(W⁺) ≤ f(W) − η(1 − ηL/2)‖∇P‖². */
import { f32, matmul, mul, scalar, sgd, square, sum, type Node } from '../src/index.ts'
import { applyUpdates, columns, focus, gradients, interpret, lensOf, putFocus, type Numbers } from '../src/compiler.ts'

// A = tridiag(−1, 2, −1) of size 6: its largest eigenvalue, the Lipschitz constant of ∇f, is 2 + 2 cos(π/7)
const n = 6, L = 2 + 2 * Math.cos(Math.PI / (n + 1)), eta = 1 / L
const A = f32('in', 'in'), params = { W: f32('in', 'out') }, mask = { W: columns(2) }
const f = mul(sum(mul(params.W, matmul(A, params.W))), 0.5)

// the gradient is taken through the mask's lens, so it has the type of the focus: [2, 'out']
const part = focus(params, mask), lens = lensOf(mask.W, params.W)!
const { gradients: [gradient] } = gradients([f], [scalar(1)], [lens.wanted(params.W)])
const transform = sgd({ lr: eta }), gradientOfPart = { ...part, W: gradient as typeof part.W }
const [updates] = transform.update(gradientOfPart, transform.init(part), part)
const next = putFocus(params, mask, applyUpdates(part, updates))

// float64, by the ops' own meaning
const size = (dim: number | string): number => (dim === 'in' ? n : dim === 'out' ? 3 : Number(dim))
const feeds = (W: Numbers): ReadonlyMap<Node, Numbers> => new Map([
  [params.W, W], [mask.W.index, { sizes: [2], data: Float64Array.of(1, 4) }],
  [A, { sizes: [n, n], data: Float64Array.from({ length: n * n }, (_, i) => { const d = Math.abs(Math.floor(i / n) - i % n); return d > 1 ? 0 : d > 0 ? -1 : 2 }) }],
])
const valueAt = (W: Numbers): number => interpret([f], feeds(W), size)[0]!.data[0]!

let W: Numbers = { sizes: [n, 3], data: Float64Array.from({ length: n * 3 }, (_, i) => Math.sin(i + 1)) }
for (let k = 1; k <= 8; k++) {
  const [after, norm] = interpret([next.W, sum(square(gradientOfPart.W))], feeds(W), size)
  const [before, now, bound] = [valueAt(W), valueAt(after!), valueAt(W) - eta * (1 - eta * L / 2) * norm!.data[0]!]
  console.log(`step ${k}: f = ${before.toFixed(6)} → ${now.toFixed(6)} ≤ ${bound.toFixed(6)} ${now <= bound + 1e-12 ? 'holds' : 'FAILS'}`)
  W = after!
}
