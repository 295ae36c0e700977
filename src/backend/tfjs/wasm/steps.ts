import type { Kernels, ProductKernels } from './kernels.ts'
import type { Memory } from './runtime.ts'

/** Steps over rows: the arguments of the kernel `runSteps` of the same names. */
export interface StepsJob {
  readonly inputs: number
  readonly given: number
  readonly program: number
  readonly steps: number
  readonly output: number
  readonly rows: number
  readonly columns: number
  readonly period: number
  readonly truth: boolean
  /** Memory for sums of parts, `sumParts` rows of `period` numbers, if the results are summed over all rows. */
  readonly parts: number | undefined
}

/** The parts of a sum: as many for any number of threads, so that its rounding does not depend on them. */
export const sumParts = 8
// below this number of elements, waking the helpers costs more than it saves
const togetherFrom = 30_000

/**
 * Steps on the heap, distributed over the threads.
 * @example makeSteps(kernels, products, memory, job, scratch, 2)(job)
 */
export const makeSteps =
  (
    kernels: Kernels,
    products: ProductKernels,
    memory: Memory,
    job: number,
    scratch: { readonly alone: number; readonly together: number },
    threads: number,
  ): ((of: StepsJob) => void) =>
  ({ inputs, given, program, steps, output, rows, columns, period, truth, parts }) => {
    const together = threads > 1 && rows * columns >= togetherFrom ? products.runTogether : undefined
    const wanted = parts !== undefined ? sumParts : together ? 4 * threads : 1
    const length = Math.max(1, Math.ceil(rows / wanted))
    const tasks = Math.ceil(rows / length)
    const to = parts ?? output
    const [isTruth, isSum] = [truth ? 1 : 0, parts === undefined ? 0 : 1]
    if (together) {
      const words = [tasks, inputs, given, program, steps, to, rows, columns, period, isTruth, isSum, length]
      const all = new Int32Array(memory.buffer, job)
      all.set(words, 2)
      all[19] = 1
      together(job, scratch.together)
    } else
      for (let i = 0; i < tasks; i++) {
        const own = to + (isSum ? 4 * i * period : 0)
        const [from, end] = [i * length, Math.min((i + 1) * length, rows)]
        kernels.runSteps(inputs, given, program, steps, scratch.alone, own, from, end, columns, period, isTruth, isSum)
      }
    if (parts !== undefined) kernels.sumColumns(parts, output, 1, tasks, period)
  }
