import { lstat, mkdir, open, readdir, readlink, realpath, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { sweep, temporaryName } from './temporary.ts'
import { holderText, lockOf, runningHolder, sweepLocks, takeLock, type Lock } from './lock.ts'
import { attempt, codeOf, isIoError, orThrow, reasonOf, refusal, type IoError } from '../text/index.ts'

/** A destination that nothing else writes to until it is released. */
export interface Reservation extends AsyncDisposable {
  /** The path as the caller named it. */
  readonly directory: string
  /** Releases the destination. Folders that were created for it and are still empty are removed. */
  release(): Promise<void>
}

/**
 * Checks, before long work, that `writeAtomically` can create the directory where the result goes, or replace an empty
 * one. Returns the absolute path, with links resolved. Errors: it is a file, not empty, the current directory of the
 * process, a dangling link.
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

/** The folders from `inner` up to `outer`, innermost first. */
const chain = (inner: string, outer: string): readonly string[] =>
  inner === outer || dirname(inner) === inner ? [inner] : [inner, ...chain(dirname(inner), outer)]

/**
 * Does in a folder what writing a result will do: creates a directory, syncs a file in it, and renames over an empty
 * directory.
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

/**
 * The error of a parent folder that is not writable: files are created next to their destination before they get their
 * name.
 */
const notWritable = (directory: string, parent: string, error: unknown): Error =>
  refusal(`${directory}: nothing can be written in ${parent}: ${reasonOf(error)}`, codeOf(error))

/** Refuses a destination inside a folder that another run will replace as a whole. */
const checkAround = async (parent: string, subject: string): Promise<void> => {
  for (let folder = parent; dirname(folder) !== folder; folder = dirname(folder)) {
    const lock = lockOf(folder)
    const holder = await runningHolder(lock).catch(() => undefined)
    if (holder !== undefined) throw refusal(`${subject}: it lies in ${folder}, and ${holderText(holder, lock)}`)
  }
}

/** Removes the folders that were created for a destination, as far as they are empty. */
const unmake = async (inner: string, made: string | undefined): Promise<void> => {
  const folders = made === undefined ? [] : chain(inner, resolve(made))
  for (const folder of folders) await rmdir(folder).catch(() => undefined)
}

/** The number of attempts to create folders that another run created too and removed when it ended. */
const attempts = 10

/** A lock on a destination whose folders exist; the missing ones were created, from `made` on. */
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
 * Reserves a destination before long work whose result goes there. It creates missing parent folders, tries once what
 * writing the result will do, and takes a lock next to it (`.<name>.lock`), which becomes void when this process ends.
 * Leftovers of dead processes in that folder are removed. Errors: those of {@link checkDestination}; the folder is not
 * writable; another run writes there, or to a folder around it.
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
