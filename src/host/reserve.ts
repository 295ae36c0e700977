import { lstat, mkdir, open, readdir, readlink, realpath, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { sweep, temporaryName } from './temporary.ts'
import { attempt, codeOf, isIoError, orThrow, reasonOf, refusal, type IoError } from './error.ts'
import { holderText, lockOf, runningHolder, sweepLocks, takeLock, type Lock } from './lock.ts'

/** A destination that nobody else writes to until it is released. */
export interface Reservation extends AsyncDisposable {
  /** As it was named. */
  readonly directory: string
  /** Gives the destination back; folders that were made for it and that nothing came into are removed. */
  release(): Promise<void>
}

/**
 * Whether a directory can be created (or replaced, being empty) by `writeAtomically`: asked before long work whose
 * result goes there. The answer is the absolute path, links followed. Errors: it is a file, not empty, the directory
 * that the process is in, a link to nothing.
 * @example await checkDestination('out')()
 */
export const checkDestination = (directory: string): TE.TaskEither<IoError, string> =>
  attempt(directory, async () => {
    if (directory === '') throw refusal('the name of the destination is empty: name a new or an empty directory')
    try {
      const names = await readdir(directory)
      if (names.length > 0) {
        throw refusal(`${directory}: the directory is not empty; name a new or an empty one`, 'ENOTEMPTY')
      }
      const path = await realpath(directory)
      if (path === (await realpath('.')))
        throw refusal(`${directory}: it is the directory that you are in; name a new one`)
      return path
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return missing(directory)
      if (codeOf(error) === 'ENOTDIR' && (await isFile(directory))) {
        throw refusal(`${directory}: it is a file, where a directory is expected`, 'ENOTDIR')
      }
      throw error
    }
  })

const isFile = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )

const missing = async (directory: string): Promise<string> => {
  if (await isFile(directory)) {
    throw refusal(`${directory}: it is a link to ${await readlink(directory)}, which is not there`, 'ENOENT')
  }
  return resolve(directory)
}

/** Folders from the outermost that is given to the innermost, from within outwards. */
const chain = (inner: string, outer: string): readonly string[] =>
  inner === outer || dirname(inner) === inner ? [inner] : [inner, ...chain(dirname(inner), outer)]

/**
 * Does in a folder what a result will do at its end: a directory, a file in it on the disk, and the rename over an
 * empty directory.
 */
const prove = async (parent: string, target: string): Promise<void> => {
  const trial = join(parent, temporaryName())
  await mkdir(trial)
  try {
    const handle = await open(join(trial, 'trial'), 'wx')
    try {
      await handle.writeFile('trial\n')
      await handle.sync()
    } finally {
      await handle.close()
    }
  } finally {
    await rm(trial, { recursive: true, force: true })
  }
  try {
    await rename(target, trial)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw refusal(`${target}: the directory cannot be replaced (${reasonOf(error)}): name a new one inside it`)
  }
  await rename(trial, target)
}

/** Files are made beside their destination before they get their name. */
const notWritable = (directory: string, parent: string, error: unknown): Error =>
  refusal(`${directory}: nothing can be written in ${parent}: ${reasonOf(error)}`, codeOf(error))

/** Refuses a destination inside one that another run will replace as a whole. */
const checkAround = async (parent: string, subject: string): Promise<void> => {
  for (let folder = parent; dirname(folder) !== folder; folder = dirname(folder)) {
    const lock = lockOf(folder)
    const holder = await runningHolder(lock).catch(() => undefined)
    if (holder !== undefined) throw refusal(`${subject}: it lies in ${folder}, and ${holderText(holder, lock)}`)
  }
}

/** Removes folders that were made for a destination, as far as they are empty. */
const unmake = async (inner: string, made: string | undefined): Promise<void> => {
  const folders = made === undefined ? [] : chain(inner, resolve(made))
  for (const folder of folders) await rmdir(folder).catch(() => undefined)
}

/** How often folders are made again that another run has made too, and removed when it ended just then. */
const attempts = 10

/** A lock on a destination, in folders that are there: missing ones were made, from `made` on. */
interface Locked {
  readonly lock: Lock
  readonly parent: string
  readonly made: string | undefined
}

const lockedAt = async (found: string, directory: string): Promise<Locked> => {
  const inner = dirname(found)
  for (let left = attempts; ; left--) {
    let made: string | undefined
    try {
      made = await mkdir(inner, { recursive: true })
      const parent = await realpath(inner)
      await sweep(parent)
      await sweepLocks(parent)
      const lock = await takeLock(lockOf(join(parent, basename(found))), directory).catch((error: unknown) => {
        throw isIoError(error) ? error : notWritable(directory, parent, error)
      })
      return { lock, parent, made }
    } catch (error) {
      await unmake(inner, made)
      if (codeOf(error) !== 'ENOENT' || left === 0) throw error
    }
  }
}

/**
 * Reserves a destination before long work whose result goes there: missing folders around it are made, what a result
 * needs is done once on trial, and a lock beside it (`.<name>.lock`) keeps others away, which is void as soon as this
 * process is dead. What dead processes have left in that folder is removed.
 * Errors: those of {@link checkDestination}; a folder that cannot be written to; another run that writes there, or to a
 * folder around it.
 * @example const reservation = await orThrow(reserve('out'))
 */
export const reserve = (directory: string): TE.TaskEither<IoError, Reservation> =>
  attempt(directory, async () => {
    const found = await orThrow(checkDestination(directory))
    const { lock, parent, made } = await lockedAt(found, directory)
    const release = async (): Promise<void> => {
      await lock.release()
      await unmake(dirname(found), made)
    }
    try {
      await checkAround(parent, directory)
      await orThrow(checkDestination(directory))
      await prove(parent, join(parent, basename(found)))
      return { directory, release, [Symbol.asyncDispose]: release }
    } catch (error) {
      await release()
      throw error
    }
  })
