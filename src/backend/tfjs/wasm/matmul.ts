import type { Kernels, ProductKernels } from './kernels.ts'
import type { Memory } from './runtime.ts'

/** The layout of operands in memory. Strides are in elements and default to dense matrices. */
export interface MatmulOptions {
  /** left is stored as [K, M]. */
  readonly transposeLeft?: boolean
  /** right is stored as [N, K]. */
  readonly transposeRight?: boolean
  /** Adds the product to the present content of out. */
  readonly accumulate?: boolean
  /** The distance between stored rows. */
  readonly leftStride?: number
  readonly rightStride?: number
  readonly outStride?: number
  /** The distance between the entries of a batch; 0 repeats an operand. */
  readonly leftBatch?: number
  readonly rightBatch?: number
  readonly outBatch?: number
}

export interface Products {
  /**
   * out [M, N] = left [M, K] x right [K, N] at byte offsets of the heap, in any layout; out must overlap neither
   * operand.
   */
  readonly matmul: (
    left: number,
    right: number,
    out: number,
    M: number,
    K: number,
    N: number,
    options?: MatmulOptions,
  ) => void
  /** The same for `batch` entries. */
  readonly batchMatmul: (
    left: number,
    right: number,
    out: number,
    batch: number,
    M: number,
    K: number,
    N: number,
    options?: MatmulOptions,
  ) => void
}

/** The number of words in a job; assembly/job.ts describes them. */
export const jobWords = 32

/**
 * The ticket without a job, which a helper must find when it starts: tasks are counted in 12 bits, whose last value
 * means this.
 */
export const closedTicket = 4095
const mostTasks = closedTicket - 1
// below this number of multiplications, waking the helpers costs more than it saves
const togetherFrom = 500_000

interface Strips {
  readonly count: number
  readonly length: number
  readonly alongM: boolean
}

const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple

/**
 * Cuts one product so that every thread finds several strips: along N, whose strips share no packing, unless N is
 * small.
 */
const cut = (M: number, N: number, wanted: number): Strips => {
  const alongM = N < 64 * wanted && M > N
  const [whole, multiple, least] = alongM ? [M, 4, 32] : [N, 8, 32]
  const length = Math.max(Math.min(least, whole), roundUp(Math.ceil(whole / wanted), multiple))
  return { count: Math.ceil(whole / length), length, alongM }
}

/**
 * Products on the heap, distributed over the threads. They keep nothing between calls: no packed copy that could be
 * stale, no memory beyond the fixed scratch. Any transposition runs at the same speed; a product with one vector reads
 * the matrix once.
 * @example makeProducts(kernels, products, memory, job, scratch, 2).matmul(x, w, y, 256, 576, 1536)
 */
export const makeProducts = (
  kernels: Kernels,
  products: ProductKernels,
  memory: Memory,
  job: number,
  scratch: number,
  threads: number,
): Products => {
  const together = products.runTogether ?? products.runAlone

  const batchMatmul: Products['batchMatmul'] = (left, right, out, batch, M, K, N, options = {}) => {
    if (batch * M * N === 0) return
    const { transposeLeft = false, transposeRight = false, accumulate = false } = options
    const { leftStride = transposeLeft ? M : K, rightStride = transposeRight ? K : N, outStride = N } = options
    const { leftBatch = M * K, rightBatch = K * N, outBatch = M * N } = options
    const alone = threads === 1 || batch * M * K * N < togetherFrom
    const { count, length, alongM } = alone
      ? { count: 1, length: N, alongM: false }
      : cut(M, N, Math.ceil((4 * threads) / batch))
    // a batch with more tasks than the ticket can count is split
    const entries = Math.max(1, Math.floor(mostTasks / count))
    for (let first = 0; first < batch; first += entries) {
      const part = Math.min(entries, batch - first)
      new Int32Array(memory.buffer, job, jobWords).set(
        [
          part * count,
          left + 4 * first * leftBatch,
          right + 4 * first * rightBatch,
          out + 4 * first * outBatch,
          M,
          K,
          N,
          leftStride,
          rightStride,
          outStride,
          (transposeLeft ? 1 : 0) | (transposeRight ? 2 : 0) | (accumulate ? 4 : 0),
          leftBatch,
          rightBatch,
          outBatch,
          count,
          length,
          alongM ? 1 : 0,
          0,
        ],
        2,
      )
      if (alone) products.runAlone(job, scratch)
      else together(job, scratch)
    }
  }

  const matmul: Products['matmul'] = (left, right, out, M, K, N, options = {}) => {
    const { transposeLeft = false, transposeRight = false, accumulate = false } = options
    const { leftStride = transposeLeft ? M : K, rightStride = transposeRight ? K : N, outStride = N } = options
    const denseLeft = leftStride === (transposeLeft ? M : K)
    const denseRight = rightStride === (transposeRight ? K : N)
    if (N === 1 && rightStride === 1 && outStride === 1 && denseLeft && !accumulate) {
      if (transposeLeft) kernels.vectorMatrix(right, left, out, K, M)
      else kernels.matrixVector(left, right, out, M, K)
    } else if (M === 1 && denseRight && !accumulate && (!transposeLeft || leftStride === 1)) {
      if (transposeRight) kernels.matrixVector(right, left, out, N, K)
      else kernels.vectorMatrix(left, right, out, K, N)
    } else batchMatmul(left, right, out, 1, M, K, N, options)
  }

  return { matmul, batchMatmul }
}
