// Cross-entropy from logits [rows, vocab]. A negative label is not scored: its loss is 0 and so is its gradient.
import { add, loadPart, keepPart, mul, storePart, sub, sumLanes } from './lanes'
import { expNegative4, log4 } from './math'
import { maxOf } from './softmax'

@inline
function sumExp(p: usize, n: i32, top: f32): f32 {
  const m = f32x4.splat(top)
  let total = f32x4.splat(0)
  let k = 0
  for (; k + 4 <= n; k += 4, p += 16) total = add(total, expNegative4(sub(v128.load(p), m)))
  if (k < n) total = add(total, keepPart(expNegative4(sub(loadPart(p, n - k), m)), f32x4.splat(0), n - k))
  return sumLanes(total)
}

@inline
function logOf(x: f32): f32 { return f32x4.extract_lane(log4(f32x4.splat(x)), 0) }

/** loss[r] = logsumexp(logits[r, :]) - logits[r, label[r]]. */
export function crossEntropy(logits: usize, labels: usize, loss: usize, rows: i32, vocab: i32): void {
  for (let r = 0; r < rows; r++, logits += (<usize>vocab) << 2, labels += 4, loss += 4) {
    const label = load<i32>(labels)
    if (label < 0) store<f32>(loss, 0)
    else {
      const top = maxOf(logits, vocab)
      store<f32>(loss, logOf(sumExp(logits, vocab, top)) + (top - load<f32>(logits + ((<usize>label) << 2))))
    }
  }
}

/**
 * loss as crossEntropy gives it, and dlogits[r, :] = (softmax(logits[r, :]) - onehot(label[r])) * weight[r]; dlogits may be the logits' buffer.
 */
export function crossEntropyGradient(
  logits: usize, labels: usize, weight: usize, loss: usize, dlogits: usize, rows: i32, vocab: i32
): void {
  const bytes = (<usize>vocab) << 2
  for (let r = 0; r < rows; r++, logits += bytes, dlogits += bytes, labels += 4, weight += 4, loss += 4) {
    const label = load<i32>(labels)
    if (label < 0) {
      store<f32>(loss, 0)
      memory.fill(dlogits, 0, bytes)
      continue
    }
    const top = maxOf(logits, vocab)
    const m = f32x4.splat(top)
    const target = load<f32>(logits + ((<usize>label) << 2))
    let total = f32x4.splat(0)
    let k: usize = 0
    for (; k + 16 <= bytes; k += 16) {
      const e = expNegative4(sub(v128.load(logits + k), m))
      v128.store(dlogits + k, e)
      total = add(total, e)
    }
    if (k < bytes) {
      const left = <i32>((bytes - k) >> 2)
      const e = keepPart(expNegative4(sub(loadPart(logits + k, left), m)), f32x4.splat(0), left)
      storePart(dlogits + k, e, left)
      total = add(total, e)
    }
    const sum = sumLanes(total)
    store<f32>(loss, logOf(sum) + (top - target))
    const w = load<f32>(weight)
    const factor = w / sum
    const f = f32x4.splat(factor)
    for (k = 0; k + 16 <= bytes; k += 16) v128.store(dlogits + k, mul(f, v128.load(dlogits + k)))
    for (; k < bytes; k += 4) store<f32>(dlogits + k, factor * load<f32>(dlogits + k))
    const at = dlogits + ((<usize>label) << 2)
    store<f32>(at, load<f32>(at) - w)
  }
}
