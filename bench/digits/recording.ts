import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { machine, versions } from '../machine.ts'
import type { DigitsResults } from './results.ts'

/** Results that grow, and are in a file after each measurement. */
export interface Recording {
  readonly now: () => DigitsResults
  readonly add: (more: Partial<Pick<DigitsResults, 'tried' | 'runs' | 'timed'>>) => Promise<void>
}

/** The results that a file already holds, if there is one, to which more is added. */
export const resultsIn = async (
  file: string | undefined,
  { steps, batch }: Pick<DigitsResults, 'steps' | 'batch'>,
): Promise<Recording> => {
  const empty = { date: new Date().toISOString(), machine: machine(), versions: versions(), steps, batch }
  const before =
    file !== undefined && existsSync(file)
      ? // a file that this run, or one before it, has written
        (JSON.parse(await readFile(file, 'utf8')) as DigitsResults)
      : { ...empty, tried: [], runs: [], timed: [] }
  if (before.steps !== steps || before.batch !== batch)
    throw new Error(`${file}: it holds runs of other numbers of steps or images`)
  let now: DigitsResults = before
  return {
    now: () => now,
    add: async ({ tried = [], runs = [], timed = [] }) => {
      now = {
        ...now,
        tried: [...now.tried, ...tried],
        runs: [...now.runs, ...runs],
        timed: [...now.timed, ...timed],
      }
      if (file === undefined) return
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, `${JSON.stringify(now, undefined, 2)}\n`)
    },
  }
}
