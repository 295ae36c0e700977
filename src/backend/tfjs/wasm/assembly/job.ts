// A batch of products cut into tasks. The words of a job, all i32: ticket, finished, tasks, left, right, out, M, K, N, their row strides,
// flags, their batch strides (elements), strips per product, length of a strip, whether strips run along N (0) or M (1).
import { gemm, TRANSPOSE_LEFT, TRANSPOSE_RIGHT } from './gemm'

@inline
function word(job: usize, i: usize): i32 { return load<i32>(job + (i << 2)) }

/** Computes one task of a job: one strip of one product of the batch. */
export function gemmTask(job: usize, index: i32, scratch: usize): void {
  const strips = word(job, 16), length = word(job, 17), alongM = word(job, 18)
  const entry = index / strips // of the batch
  const start = index % strips * length
  const flags = word(job, 12)
  const leftStride = word(job, 9), rightStride = word(job, 10), outStride = word(job, 11)
  let left = <usize>word(job, 3) + ((<usize>entry * word(job, 13)) << 2)
  let right = <usize>word(job, 4) + ((<usize>entry * word(job, 14)) << 2)
  let output = <usize>word(job, 5) + ((<usize>entry * word(job, 15)) << 2)
  let M = word(job, 6), N = word(job, 8)
  if (alongM) {
    M = min(length, M - start)
    left += (flags & TRANSPOSE_LEFT ? <usize>start : <usize>start * leftStride) << 2
    output += (<usize>start * outStride) << 2
  } else {
    N = min(length, N - start)
    right += (flags & TRANSPOSE_RIGHT ? <usize>start * rightStride : <usize>start) << 2
    output += (<usize>start) << 2
  }
  gemm(left, right, output, M, word(job, 7), N, leftStride, rightStride, outStride, flags, scratch)
}

/** Computes all tasks of a job on this thread. */
export function runAlone(job: usize, scratch: usize): void {
  const tasks = word(job, 2)
  for (let i = 0; i < tasks; i++) gemmTask(job, i, scratch)
}
