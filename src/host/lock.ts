import { randomUUID } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { link, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isRunning, ownMark, temporaryName, type ProcessMark } from './temporary.ts'
import { codeOf, refusal } from './error.ts'
import { isRecord } from './file.ts'
import { quoted } from './quote.ts'

/** What a lock's file says: the process that holds it, when it was taken, and a name that no other lock ever has. */
interface Holder extends ProcessMark {
  readonly machine: string
  readonly since: string
  readonly id: string
  /** Whether it is held only to remove it. */
  readonly brief?: boolean
}

/** A lock that is held. Nothing else happens to it until it is released. */
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

/** How long the file of a lock may be empty: where it cannot be written before it gets its name, it is for a moment. */
const emptyMilliseconds = 10_000

/** Who holds a lock: `undefined` where there is none. A file that says nothing of the kind is refused by name. */
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
    // a machine that lost its power may leave an empty file: nobody holds it
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

/** Who of a lock's holders still runs, if there is one. @example await runningHolder(lockOf('out')) */
export const runningHolder = async (path: string): Promise<Holder | undefined> => {
  const holder = await holderOf(path)
  return holder !== undefined && isRunning(holder) ? holder : undefined
}

/** Who writes there, in words. */
export const holderText = ({ host, pid, machine, since }: Holder, path: string): string => {
  if (machine === '') return `another run is about to write there (its lock is ${path})`
  const elsewhere = host === ownMark.host ? '' : ` of ${quoted(machine)}; if it has ended, remove ${path}`
  return `another run is writing there: process ${pid} since ${quoted(since).slice(1, -1)}${elsewhere}`
}

/** What the system says where a file system has no links. */
const noLinks: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/**
 * Writes the whole file under a name of its own; it gets the lock's name by a link, which is made only where nothing
 * is.
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
/** A process that ends in the middle of its work gives its locks back too. */
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

/** How often, and how many milliseconds apart, a lock is asked for again that is held only to remove it. */
const attempts = 100
const pause = 20

/**
 * Removes what processes have left that ended while they took the lock. Nobody can take it any more by a lock named
 * after an earlier one.
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
 * Takes a lock, also the one of a process that no longer runs. Of several processes that find a dead lock exactly one
 * takes it: the one that holds the lock that is named after it. Nothing is waited for, but somebody who only removes
 * it. Errors (thrown): who else holds it; what the system says of the folder.
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
      // whoever has changed the lock held this successor before, and is done
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
      // somebody may have removed the lock by hand, and another run have taken it
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
    // who takes it now, or has it by then, keeps it
    const lock = await takeLock(path, path, true).catch(() => undefined)
    await lock?.release()
  }
}
