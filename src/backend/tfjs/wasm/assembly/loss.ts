// Cross-entropy from logits, for logits [rows, vocab] and, where the head's product leaves them transposed, [vocab, cols].
// A negative label is not scored: its loss is 0 and so is its gradient.
import { add, loadPart, keepPart, mul, storePart, sub, sumLanes } from './lanes'
import { exp4, expNegative4, log4 } from './math'
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

/**
 * lse[c] = logsumexp(logits[:, c]) of logits [vocab, cols]; scratch has crossEntropyColumnsScratch(cols) bytes. Two passes over each block of
 * rows, which stays in the cache; the sum is rescaled as the maximum grows.
 */
export function logSumExpColumns(logits: usize, lse: usize, scratch: usize, vocab: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  const padded = (bytes + 15) & ~15
  const top = scratch
  const sum = scratch + padded
  for (let k: usize = 0; k < padded; k += 16) {
    v128.store(top + k, f32x4.splat(-Infinity))
    v128.store(sum + k, f32x4.splat(0))
  }
  const block = max(8, min(256, 65536 / <i32>bytes))
  for (let r = 0; r < vocab; r += block) {
    const count = min(block, vocab - r)
    const start = logits + <usize>r * bytes
    for (let k: usize = 0; k < bytes; k += 16) {
      const left = <i32>min<usize>(4, (bytes - k) >> 2)
      const before = v128.load(top + k)
      let m = before
      let p = start + k
      for (let i = 0; i < count; i++, p += bytes) m = f32x4.pmax(m, left == 4 ? v128.load(p) : loadPart(p, left))
      // A column that has only seen -Infinity keeps sum 0: the difference is taken from a finite number.
      const finite = f32x4.pmax(m, f32x4.splat(-3.4e38))
      let s = mul(v128.load(sum + k), exp4(sub(f32x4.pmax(before, f32x4.splat(-3.4e38)), finite)))
      p = start + k
      for (let i = 0; i < count; i++, p += bytes) s = add(s, expNegative4(sub(left == 4 ? v128.load(p) : loadPart(p, left), finite)))
      v128.store(top + k, m)
      v128.store(sum + k, s)
    }
  }
  for (let k: usize = 0; k < bytes; k += 16) {
    const left = <i32>min<usize>(4, (bytes - k) >> 2)
    const total = add(v128.load(top + k), log4(v128.load(sum + k)))
    if (left == 4) v128.store(lse + k, total)
    else storePart(lse + k, total, left)
  }
}

/** Bytes of scratch that the column kernels need. */
export function crossEntropyColumnsScratch(cols: i32): i32 { return 2 * (((cols << 2) + 15) & ~15) }

/** loss[c] = logsumexp(logits[:, c]) - logits[label[c], c] for logits [vocab, cols]; lse [cols] is kept for the gradient. */
export function crossEntropyColumns(
  logits: usize, labels: usize, loss: usize, lse: usize, scratch: usize, vocab: i32, cols: i32
): void {
  logSumExpColumns(logits, lse, scratch, vocab, cols)
  for (let c: usize = 0; c < (<usize>cols) << 2; c += 4) {
    const label = load<i32>(labels + c)
    store<f32>(loss + c, label < 0 ? 0 : load<f32>(lse + c) - load<f32>(logits + ((<usize>label * cols) << 2) + c))
  }
}

/** dlogits[:, c] = (softmax(logits[:, c]) - onehot(label[c])) * weight[c]; dlogits may be the logits' buffer. Unscored columns get 0. */
export function crossEntropyColumnsGradient(
  logits: usize, labels: usize, weight: usize, lse: usize, dlogits: usize, vocab: i32, cols: i32
): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  const left = <i32>((bytes - whole) >> 2)
  for (let r = 0; r < vocab; r++) {
    const p = logits + <usize>r * bytes
    const q = dlogits + <usize>r * bytes
    for (let k: usize = 0; k < whole; k += 16) {
      v128.store(q + k, mul(v128.load(weight + k), expNegative4(sub(v128.load(p + k), v128.load(lse + k)))))
    }
    if (left) {
      const e = expNegative4(sub(loadPart(p + whole, left), loadPart(lse + whole, left)))
      storePart(q + whole, mul(loadPart(weight + whole, left), e), left)
    }
  }
  for (let c: usize = 0; c < bytes; c += 4) {
    const label = load<i32>(labels + c)
    if (label >= 0) {
      const at = dlogits + <usize>label * bytes + c
      store<f32>(at, load<f32>(at) - load<f32>(weight + c))
    } else for (let r = 0; r < vocab; r++) store<f32>(dlogits + <usize>r * bytes + c, 0)
  }
}
