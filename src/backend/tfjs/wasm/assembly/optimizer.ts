// One pass over a parameter, its gradient and its moments.

/**
 * AdamW, in place: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p = p - lr (m / c1 / (sqrt(v / c2) + eps) + decay p), where c1 = 1 - b1^t and
 * c2 = 1 - b2^t for the t-th update. The gradient is multiplied by gradScale first (clipping, averaging).
 */
export function adamw(
  p: usize, g: usize, m: usize, v: usize, n: i32, lr: f64, b1: f64, b2: f64, eps: f64, decay: f64, c1: f64, c2: f64, gradScale: f64
): void {
  // 1 - b2 and the like are taken in float64: in float32 1 - 0.999 would be off by 5e-5.
  const k1 = f32x4.splat(<f32>b1)
  const k2 = f32x4.splat(<f32>b2)
  const n1 = f32x4.splat(<f32>((1 - b1) * gradScale))
  const n2 = f32x4.splat(<f32>((1 - b2) * gradScale * gradScale))
  const step = f32x4.splat(<f32>(lr / c1))
  const root = f32x4.splat(<f32>(1 / Math.sqrt(c2)))
  const e = f32x4.splat(<f32>eps)
  const keep = f32x4.splat(<f32>(lr * decay))
  let k = 0
  for (; k + 4 <= n; k += 4, p += 16, g += 16, m += 16, v += 16) {
    const grad = v128.load(g)
    const mean = f32x4.add(f32x4.mul(k1, v128.load(m)), f32x4.mul(n1, grad))
    const square = f32x4.add(f32x4.mul(k2, v128.load(v)), f32x4.mul(n2, f32x4.mul(grad, grad)))
    const update = f32x4.div(f32x4.mul(step, mean), f32x4.add(f32x4.mul(root, f32x4.sqrt(square)), e))
    const old = v128.load(p)
    v128.store(m, mean)
    v128.store(v, square)
    v128.store(p, f32x4.sub(old, f32x4.add(update, f32x4.mul(keep, old))))
  }
  for (; k < n; k++, p += 4, g += 4, m += 4, v += 4) {
    const grad = load<f32>(g)
    const mean = <f32>b1 * load<f32>(m) + <f32>((1 - b1) * gradScale) * grad
    const square = <f32>b2 * load<f32>(v) + <f32>((1 - b2) * gradScale * gradScale) * grad * grad
    const old = load<f32>(p)
    store<f32>(m, mean)
    store<f32>(v, square)
    store<f32>(p, old - (<f32>(lr / c1) * mean / (<f32>(1 / Math.sqrt(c2)) * sqrt<f32>(square) + <f32>eps) + <f32>(lr * decay) * old))
  }
}
