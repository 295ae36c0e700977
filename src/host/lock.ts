import { randomUUID } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { link, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isRunning, ownMark, temporaryName, type ProcessMark } from './temporary.ts'
import { codeOf, isRecord, quoted, refusal } from '../text/index.ts'

/**
 * The content of a lock file: the process that holds the lock, the time it was taken, and an id that no other lock ever
 * has.
 */
interface Holder extends ProcessMark {
  readonly machine: string
  readonly since: string
  readonly id: string
  /** True if the lock is held only to remove it. */
  readonly brief?: boolean
}

/** A lock that is held. Its file stays as it is until it is released. */
export interface Lock {
  readonly path: string
  release(): Promise<void>
}

/** The lock of a path: a file beside it. @example lockOf('runs/first') // runs/.first.lock */
export const lockOf = (path: string): string => join(dirname(path), `.${basename(path)}.lock`)

const texts = ['host', 'started', 'machine', 'since', 'id'] as const
const isHolder = (value: unknown): value is Holder =>
  isRecord(value) &&
  texts.every(key => typeof value[key] === 'string') &&
  typeof value['pid'] === 'number' &&
  /^[\w-]+$/.test(String(value['id']))

/**
 * The time for which a lock file may be empty. It is empty for a moment if it cannot be written before it gets its
 * name.
 */
const emptyMilliseconds = 10_000

/** The holder of a lock, or `undefined` if there is none. A file that is not a lock is refused by name. */
const holderOf = async (path: string): Promise<Holder | undefined> => {
  let text: string
  try {
    text = (await stat(path)).isFile() ? await readFile(path, 'utf8') : 'not a file'
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  if (text === '') {
    const at = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0
    // a machine that lost power may leave an empty file, which nobody holds
    const pid = Date.now() - at < emptyMilliseconds ? ownMark.pid : 0
    return { host: ownMark.host, pid, started: 'unknown', machine: '', since: '', id: `empty-${Math.floor(at)}` }
  }
  const value = ((): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      return undefined
    }
  })()
  if (!isHolder(value)) {
    throw refusal(`${path}: a lock belongs there, and the file is none: remove it if it is not needed`)
  }
  return value
}

/** The holder of a lock, if its process is still running. @example await runningHolder(lockOf('out')) */
export const runningHolder = async (path: string): Promise<Holder | undefined> => {
  const holder = await holderOf(path)
  return holder !== undefined && isRunning(holder) ? holder : undefined
}

/** The holder of a lock, in words. */
export const holderText = ({ host, pid, machine, since }: Holder, path: string): string => {
  if (machine === '') return `another run is about to write there (its lock is ${path})`
  const elsewhere = host === ownMark.host ? '' : ` of ${quoted(machine)}; if it has ended, remove ${path}`
  return `another run is writing there: process ${pid} since ${quoted(since).slice(1, -1)}${elsewhere}`
}

/** The error codes of a file system that does not support links. */
const noLinks: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/**
 * Writes the whole file under a name of its own, then links it to the lock's name; the link fails if that name exists.
 */
const createLock = async (path: string, content: string): Promise<boolean> => {
  const own = join(dirname(path), temporaryName())
  try {
    const handle = await open(own, 'wx', 0o644)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await link(own, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    // file systems without links
    if (noLinks.includes(codeOf(error) ?? '')) return createPlainly(path, content)
    throw error
  } finally {
    await unlink(own).catch(() => undefined)
  }
}

const createPlainly = async (path: string, content: string): Promise<boolean> => {
  try {
    const handle = await open(path, 'wx', 0o644)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

const held = new Set<string>()
/** Releases all locks when the process ends in the middle of its work. */
const releaseAll = (): void => {
  for (const path of held)
    try {
      unlinkSync(path)
    } catch {
      /* it is gone, or dead soon */
    }
}

const contentOf = (id: string, brief: boolean): string => {
  const holder: Holder = {
    ...ownMark,
    machine: hostname(),
    since: new Date().toISOString(),
    id,
    ...(brief ? { brief } : {}),
  }
  return `${JSON.stringify(holder)}\n`
}

/**
 * The number of attempts, and the milliseconds between them, to take a lock that another process holds only to remove
 * it.
 */
const attempts = 100
const pause = 20

/**
 * Removes the locks of processes that ended while they were taking over this lock. They are named after an earlier
 * holder, so nobody can use them to take the lock any more.
 */
const removeDeadSuccessors = async (path: string): Promise<void> => {
  const names = await readdir(dirname(path)).catch((): readonly string[] => [])
  for (const name of names.filter(found => found.startsWith(`${basename(path)}.`))) {
    const file = join(dirname(path), name)
    const holder = await holderOf(file).catch(() => undefined)
    if (holder !== undefined && !isRunning(holder)) await unlink(file).catch(() => undefined)
  }
}

/**
 * Takes a lock, including one left by a process that no longer runs. If several processes find a dead lock, exactly one
 * takes it: the one that holds the lock named after the dead one. It waits only for a process that is removing the
 * lock. Errors (thrown): another process holds the lock; the system's error for the folder.
 * @example const lock = await takeLock(lockOf('out'), 'out')
 */
export const takeLock = async (path: string, subject: string, brief = false): Promise<Lock> => {
  const id = randomUUID()
  const content = (): string => contentOf(id, brief)
  for (let waits = 0; ;) {
    if (await createLock(path, content())) break
    const holder = await holderOf(path)
    if (holder === undefined) continue
    if (isRunning(holder)) {
      if (holder.brief !== true || brief || waits++ === attempts)
        throw refusal(`${subject}: ${holderText(holder, path)}`)
      await setTimeout(pause)
      continue
    }
    const successor = await takeLock(`${path}.${holder.id}`, subject, brief)
    try {
      // whoever changed the lock has held this successor before and is done
      if ((await holderOf(path))?.id !== holder.id) continue
      const own = join(dirname(path), temporaryName())
      if (!(await createPlainly(own, content()))) continue
      await rename(own, path)
    } finally {
      await successor.release()
    }
    await removeDeadSuccessors(path)
    break
  }
  if (held.size === 0) process.once('exit', releaseAll)
  held.add(path)
  return {
    path,
    release: async () => {
      if (!held.delete(path)) return
      if (held.size === 0) process.off('exit', releaseAll)
      // someone may have removed the lock by hand, and another run may have taken it
      if ((await holderOf(path).catch(() => undefined))?.id === id) await unlink(path).catch(() => undefined)
    },
  }
}

/**
 * Removes from a folder the locks of processes of this machine that no longer run.
 * @example await sweepLocks('runs')
 */
export const sweepLocks = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch((): readonly string[] => [])
  for (const path of names.filter(name => /^\..+\.lock$/.test(name)).map(name => join(folder, name))) {
    const holder = await holderOf(path).catch(() => undefined)
    if (holder === undefined || holder.machine === '' || isRunning(holder)) continue
    // whoever takes it now, or has already taken it, keeps it
    const lock = await takeLock(path, path, true).catch(() => undefined)
    await lock?.release()
  }
}
