import { homedir, tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { ioError, type IoError } from '../text/index.ts'

/** The place where work was kept; `problem` is the reason if it is not the requested one. */
export interface KeptWork {
  readonly directory: string
  readonly problem: string | undefined
}

/**
 * Alternative places for work whose own place fails: next to it, the system's folder for temporary files, the current
 * directory, the home directory.
 */
const otherPlaces = (directory: string): readonly string[] => [
  ...new Set([dirname(resolve(directory)), tmpdir(), process.cwd(), homedir()]),
]

const pad = (n: number): string => String(n).padStart(2, '0')
/**
 * A name with its subject and the time when it was kept.
 * @example keptName('runs/out') // out.kept-20261130-114502-4711
 */
const keptName = (directory: string, now = new Date()): string => {
  const day = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map(pad).join('')
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(pad).join('')
  return `${basename(resolve(directory)).slice(0, 100)}.kept-${day}-${time}-${process.pid}`
}

/**
 * Saves work that took long: in its own place, or else in the first of some others that works. Other places are tried
 * only if the system refuses (a full disk, a folder that is gone); content that cannot be saved anywhere is refused at
 * once. Errors: no place works; the message names each with its reason.
 * @example const { directory, problem } = await orThrow(keep('out', 'the adapter', place => saveAdapter(place, adapter)))
 */
export const keep =
  (
    directory: string,
    what: string,
    save: (directory: string) => TE.TaskEither<IoError, void>,
    places: readonly string[] = otherPlaces(directory),
  ): TE.TaskEither<IoError, KeptWork> =>
  async () => {
    const name = keptName(directory)
    const reasons: string[] = []
    for (const place of [directory, ...places.map(folder => join(folder, name))]) {
      const saved = await save(place)()
      if (E.isRight(saved)) {
        const problem = reasons[0] === undefined ? undefined : `${reasons[0]}; ${what} is kept in ${place} instead`
        return E.right({ directory: place, problem })
      }
      if (saved.left.code === undefined) return saved
      reasons.push(saved.left.message)
    }
    return E.left(ioError(`${what} could not be saved anywhere: ${[...new Set(reasons)].join('; ')}`))
  }
