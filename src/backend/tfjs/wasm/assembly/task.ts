// What the tasks of a job compute: parts of products, or rows of steps. Word 19 of a job is 1 for steps, whose words from the third on are: tasks,
// inputs, their number, program, its steps, output, rows, columns, period, truth, sums, rows of a task. A task of sums has a row of the output.
import { gemmTask } from './job'
import { runSteps } from './steps'

@inline
function word(job: usize, i: usize): i32 { return load<i32>(job + (i << 2)) }

export function runTask(job: usize, index: i32, scratch: usize): void {
  if (word(job, 19) == 0) gemmTask(job, index, scratch)
  else {
    const rows = word(job, 8), period = word(job, 10), sums = word(job, 12), length = word(job, 13)
    const from = index * length
    const output = <usize>word(job, 7) + (sums ? (<usize>index * period) << 2 : 0)
    runSteps(
      word(job, 3), word(job, 4), word(job, 5), word(job, 6), scratch, output, from, min(from + length, rows), word(job, 9), period,
      word(job, 11), sums
    )
  }
}
