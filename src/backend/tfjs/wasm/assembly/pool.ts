// Several threads on one job. The ticket holds the job's number (upper 20 bits) and the next task (lower 12): a task is claimed by a
// compare-and-swap of the whole ticket, so a thread that wakes late cannot claim a task of a job whose words it has not read. Between jobs,
// while their words are written, the ticket is closed: its task is one that no job has.
import { runTask } from './task'

const TASK_BITS: i32 = 12
const TASK_MASK: i32 = 4095
const FINISHED: usize = 4
const PATIENCE: i32 = 20_000

/** Claims and computes tasks until none is left. */
function takeTasks(job: usize, scratch: usize): void {
  for (;;) {
    const ticket = atomic.load<i32>(job)
    const task = ticket & TASK_MASK
    if (task >= load<i32>(job, 8)) return
    if (atomic.cmpxchg<i32>(job, ticket, ticket + 1) == ticket) {
      runTask(job, task, scratch)
      atomic.add<i32>(job + FINISHED, 1)
    }
  }
}

/** A helper's life: compute whatever is published, spin a while, sleep. */
export function serve(job: usize, scratch: usize, spins: i32): void {
  for (;;) {
    takeTasks(job, scratch)
    const ticket = atomic.load<i32>(job)
    // A ticket with tasks left was published meanwhile.
    if ((ticket & TASK_MASK) < load<i32>(job, 8)) continue
    let i = 0
    while (i < spins && atomic.load<i32>(job) == ticket) i++
    if (i == spins) atomic.wait<i32>(job, ticket, -1)
  }
}

/** Publishes a job, whose words from the third on are written, takes part in it, and returns when all of it is done. */
export function runTogether(job: usize, scratch: usize): void {
  const tasks = load<i32>(job, 8)
  atomic.store<i32>(job + FINISHED, 0)
  atomic.store<i32>(job, ((load<i32>(job) >>> TASK_BITS) + 1) << TASK_BITS)
  atomic.notify(job, -1)
  takeTasks(job, scratch)
  let i = 0
  for (let finished = atomic.load<i32>(job + FINISHED); finished != tasks; finished = atomic.load<i32>(job + FINISHED)) {
    // If all cores are taken, the helper needs this thread's: sleep 50 microseconds.
    if (++i % PATIENCE == 0) atomic.wait<i32>(job + FINISHED, finished, 50_000)
  }
  atomic.store<i32>(job, atomic.load<i32>(job) | TASK_MASK)
}
