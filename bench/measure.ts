import * as E from 'fp-ts/lib/Either.js'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Tasks } from './child.ts'
import { compiledFile, projectRoot } from './compiled.ts'
import { peakOf, type Measurement } from './measurement.ts'

/** A measurement, or the reason why it failed. */
export type Outcome = E.Either<string, Measurement>

/**
 * One side of a comparison: a process to start once a round, in as many rounds as there are unless it specifies fewer.
 */
export interface Contender {
  readonly name: string
  readonly measure: () => Promise<Outcome>
  readonly rounds?: number
  /** The reason why it cannot be installed here, if it cannot. Of all others a measurement is expected. */
  readonly absent?: string
}

/** A peer that is installed for the run: what it measures with, or the reason why it cannot be installed. */
export const installedPeer = <A>(
  name: string,
  installed: E.Either<string, A>,
  command: (at: A) => readonly string[],
): Contender =>
  E.isLeft(installed)
    ? { name, measure: async () => installed, absent: installed.left }
    : { name, measure: () => measured(command(installed.right)) }

/** Contenders that were expected to be measured and were not, each with the reason. */
export const failuresOf = (
  contenders: readonly Contender[],
  outcomes: ReadonlyMap<string, Outcome>,
  installsAll: boolean,
): readonly string[] =>
  contenders.flatMap(({ name, absent }) => {
    const outcome = outcomes.get(name) ?? E.left('not measured')
    return E.isLeft(outcome) && (absent === undefined || installsAll) ? [`${name}: ${outcome.left}`] : []
  })

const longest = 15 * 60_000

/** The command of one of our own tasks. @example commandOf('step', { model: 'SmolLM2', … }) */
export const commandOf = <K extends keyof Tasks>(task: K, options: Tasks[K]): readonly string[] => [
  process.execPath,
  compiledFile('bench/child.ts'),
  task,
  JSON.stringify(options),
]

/** Starts a process and gives its lines to `take` until that returns something; the process is then ended. */
const listen = <A>(
  [program, ...args]: readonly string[],
  take: (line: string, pid: number) => A | undefined,
): Promise<E.Either<string, A>> =>
  new Promise(resolve => {
    const child = spawn(program!, args, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'] })
    let outcome: E.Either<string, A> | undefined
    let errors = ''
    const end = (reached: E.Either<string, A>): void => {
      outcome ??= reached
      child.kill()
    }
    const timer = setTimeout(() => end(E.left(`no answer within ${longest / 60_000} minutes`)), longest)
    child.stderr.on('data', text => {
      errors = (errors + String(text)).slice(-10_000)
    })
    createInterface(child.stdout).on('line', line => {
      const taken = outcome ? undefined : take(line, child.pid ?? 0)
      if (taken !== undefined) end(E.right(taken))
    })
    const finish = (reason: string): void => {
      clearTimeout(timer)
      resolve(outcome ?? E.left(reason))
    }
    child.on('error', error => finish(error.message))
    child.on('close', code =>
      finish(/^\w*Error.*$/m.exec(errors)?.[0] ?? `ended with ${code}: ${errors.trim().split('\n').at(-1)}`),
    )
  })

/** Runs a process whose last line of output is a measurement. */
export const measured = (command: readonly string[]): Promise<Outcome> =>
  listen(command, line => {
    // such a line is written by `child.ts` or by the script of a peer, and by nothing else
    return line.startsWith('{"times":') ? (JSON.parse(line) as Measurement) : undefined
  })

const once = (milliseconds: number, peakMegabytes = 0): Measurement => ({
  times: [milliseconds],
  peakMegabytes,
  facts: {},
  parts: {},
})

/** Milliseconds from the start of a process until it has written a line that holds a text. */
export const timeUntil = async (command: readonly string[], text: string): Promise<Outcome> => {
  const start = performance.now()
  return listen(command, (line, pid) =>
    line.includes(text) ? once(performance.now() - start, peakOf(pid)) : undefined,
  )
}

/** Milliseconds until a process ends well. */
export const timeWhole = ([program, ...args]: readonly string[]): Promise<Outcome> =>
  new Promise(resolve => {
    const start = performance.now()
    const child = spawn(program!, args, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'ignore'] })
    let output = ''
    child.stdout.on('data', text => {
      output = (output + String(text)).slice(0, 10_000)
    })
    child.on('error', error => resolve(E.left(error.message)))
    child.on('close', code =>
      resolve(
        code === 0 ? E.right(once(performance.now() - start)) : E.left(`ended with ${code}: ${output.split('\n')[0]}`),
      ),
    )
  })

/** A contender that runs one of our own tasks. */
export const ours = <K extends keyof Tasks>(name: string, task: K, options: Tasks[K], rounds?: number): Contender => ({
  name,
  measure: () => measured(commandOf(task, options)),
  ...(rounds === undefined ? {} : { rounds }),
})

/** Two rounds as one: all times, the highest peak, the fastest of every part. */
const joined = (a: Measurement, b: Measurement): Measurement => ({
  times: [...a.times, ...b.times],
  peakMegabytes: Math.max(a.peakMegabytes, b.peakMegabytes),
  facts: b.facts,
  parts: Object.fromEntries(
    Object.entries(b.parts).map(([name, time]) => [name, Math.min(time, a.parts[name] ?? Infinity)]),
  ),
})

/**
 * Measures contenders one after the other, each in fresh processes, round after round; one that fails is not tried
 * again.
 */
export const alternate = async (
  contenders: readonly Contender[],
  rounds: number,
  say: (text: string) => void,
): Promise<ReadonlyMap<string, Outcome>> => {
  const outcomes = new Map<string, Outcome>()
  for (let round = 1; round <= rounds; round++) {
    for (const { name, measure, rounds: most = rounds } of contenders) {
      const before = outcomes.get(name)
      if (round > most || (before && E.isLeft(before))) continue
      say(`round ${round} of ${Math.min(most, rounds)}: ${name}`)
      const outcome = await measure()
      outcomes.set(
        name,
        before && E.isRight(before) ? E.map((next: Measurement) => joined(before.right, next))(outcome) : outcome,
      )
    }
  }
  return outcomes
}
