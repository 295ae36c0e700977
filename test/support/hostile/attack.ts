import { fork, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Cases of one subject: a changed file for each seed, or one file of so many bytes. */
export interface Job {
  readonly subject: string
  readonly seeds: readonly number[]
  readonly full?: Full
}
/** A file that describes as much as it can in so many bytes; one process writes it, and a fresh one opens it. */
export interface Full {
  readonly file: string
  readonly nth: number
  readonly bytes: number
  readonly writes: boolean
}
/** A law that a case breaks. */
export interface Fault {
  readonly subject: string
  readonly law: string
  readonly seed: number
  readonly fault: string
}
/** The law that is seen from outside, by a clock. */
export const ends = 'it ends within its time'

/** The outcomes of a job. */
export interface Tally {
  readonly subject: string
  accepted: number
  refused: number
  readonly faults: Fault[]
}
/** A subject as its worker names it. */
export interface Named {
  readonly name: string
  readonly full: readonly { readonly file: string; readonly nth: number }[]
}

/** A message of a process: its subjects once it has begun, the index of each case that begins, and the outcomes. */
export type Said = { readonly subjects: readonly Named[] } | { readonly begins: number } | { readonly tally: Tally }

/** Runs jobs in a process, and ends a case that does not end. */
export interface Attacker extends AsyncDisposable {
  readonly subjects: readonly Named[]
  readonly run: (job: Job, milliseconds?: number) => Promise<Tally>
  /** Goes on in another process, whose memory holds nothing yet. */
  readonly renew: () => Promise<void>
}

/** The end of a part of a job: with outcomes, or in the middle of a case. */
type Ended = Tally | { readonly at: number; readonly how: string }

const entry = new URL('./process.ts', import.meta.url)
const execArgv = ['--import', 'tsx', '--max-old-space-size=1024']

/** A process that has begun. */
const started = (root: string): Promise<{ readonly child: ChildProcess; readonly subjects: readonly Named[] }> =>
  new Promise((resolve, reject) => {
    const child = fork(entry, [root], { execArgv })
    child
      .once('exit', code => reject(new Error(`the process ended with ${code}`)))
      .once('message', (said: Said) => {
        child.removeAllListeners()
        if ('subjects' in said) resolve({ child, subjects: said.subjects })
      })
  })

/** The milliseconds that a process has computed; undefined where nothing tells them. */
const computed = ({ pid }: ChildProcess): number | undefined => {
  try {
    const [, , user = '', system = ''] =
      /\) (?:\S+ ){10}((\d+) (\d+))/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? []
    return 10 * (Number(user) + Number(system))
  } catch {
    return undefined
  }
}
/** The number of times that a case may take its time, on a machine with other work. */
const patience = 20

const attempted = (child: ChildProcess, job: Job, milliseconds: number): Promise<Ended> =>
  new Promise(resolve => {
    let at = 0
    let [since, waited] = [computed(child), 0]
    const end = (ended: Ended): void => {
      clearTimeout(timer)
      child.removeAllListeners()
      resolve(ended)
    }
    const late = (): void => {
      const now = computed(child)
      const isWaiting = now !== undefined && since !== undefined && now - since < milliseconds
      if (isWaiting && ++waited < patience) timer.refresh()
      else end({ at, how: `it did not end within ${milliseconds} ms` })
    }
    const timer = setTimeout(late, milliseconds)
    child
      .on('message', (said: Said) => {
        if ('tally' in said) end(said.tally)
        else if ('begins' in said) {
          at = said.begins
          ;[since, waited] = [computed(child), 0]
          timer.refresh()
        }
      })
      .once('exit', (code, signal) => end({ at, how: `the process ended with ${code ?? signal}` }))
    child.send(job)
  })

/**
 * An attacker with a folder of its own. A case that takes longer than `milliseconds` (default: 5 seconds) or ends the
 * process is a fault of its own, and the others go on in another process.
 */
export const attacker = async (): Promise<Attacker> => {
  const root = await mkdtemp(join(tmpdir(), 'partensor-hostile-'))
  let { child, subjects } = await started(root)
  const renew = async (): Promise<void> => {
    child.kill('SIGKILL')
    ;({ child } = await started(root))
  }
  const run: Attacker['run'] = async (job, milliseconds = 5000) => {
    const total: Tally = { subject: job.subject, accepted: 0, refused: 0, faults: [] }
    const add = (tally: Tally): void => {
      total.accepted += tally.accepted
      total.refused += tally.refused
      total.faults.push(...tally.faults)
    }
    for (let from = 0; from < job.seeds.length;) {
      const seeds = job.seeds.slice(from, from + 500)
      const ended = await attempted(child, { ...job, seeds }, milliseconds)
      from += seeds.length
      if ('subject' in ended) {
        add(ended)
        continue
      }
      await renew()
      total.faults.push({ subject: job.subject, law: ends, seed: seeds[ended.at]!, fault: ended.how })
      // the others of its part
      add(await run({ ...job, seeds: seeds.filter((_, i) => i !== ended.at) }, milliseconds))
    }
    return total
  }
  return {
    subjects,
    run,
    renew,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await rm(root, { recursive: true, force: true })
    },
  }
}
