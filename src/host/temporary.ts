import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/**
 * A mark of a process on some machine: enough to tell later whether it still runs. `started` distinguishes it from a
 * later process with the same id.
 */
export interface ProcessMark {
  readonly host: string
  readonly pid: number
  readonly started: string
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)
const unknownStart = 'unknown'

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The state of a process on Linux, and its start time in clock ticks since the machine booted. */
const linuxStatus = (pid: number): { readonly state: string; readonly ticks: string } | undefined => {
  const status = textOf(`/proc/${pid}/stat`)
  // the program's name stands in parentheses and may contain anything
  const fields = status?.slice(status.lastIndexOf(')') + 2).split(' ')
  return fields?.[0] === undefined || fields[19] === undefined ? undefined : { state: fields[0], ticks: fields[19] }
}

const startOf = (pid: number): string => {
  const ticks = linuxStatus(pid)?.ticks
  const boot = textOf('/proc/sys/kernel/random/boot_id')
  return ticks === undefined || boot === undefined ? unknownStart : digest(`${boot.trim()} ${ticks}`)
}

/** The mark of this process. */
export const ownMark: ProcessMark = { host: digest(hostname()), pid: process.pid, started: startOf(process.pid) }

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  // a process that was killed and not yet reaped only keeps its number
  return !/^[ZXx]$/.test(linuxStatus(pid)?.state ?? '')
}

/**
 * Tests whether a process may still be running. For another machine that cannot be known, and it is taken to be
 * running.
 * @example isRunning(ownMark) // true
 */
export const isRunning = ({ host, pid, started }: ProcessMark): boolean => {
  if (host !== ownMark.host) return true
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isThere(pid)) return false
  const now = startOf(pid)
  return started === unknownStart || now === unknownStart || now === started
}

const prefix = '.partensor'
const suffix = '.tmp'
const temporaryForm = /^\.partensor\.([0-9a-f]{8})-(\d{1,10})-(unknown|[0-9a-f]{8})\.[0-9a-f]+\.tmp$/

/**
 * A name for a temporary file or folder of this process.
 * @example temporaryName() // .partensor.3f2a9c1b-1234-9f8e7d6c.1a2b3c4d.tmp
 */
export const temporaryName = (): string =>
  `${prefix}.${ownMark.host}-${ownMark.pid}-${ownMark.started}.${randomUUID().slice(0, 8)}${suffix}`

/** Tests whether a name was made by {@link temporaryName} in a process that no longer runs. */
const isAbandoned = (name: string): boolean => {
  const [, host, pid, started] = temporaryForm.exec(name) ?? []
  if (host === undefined || pid === undefined || started === undefined) return false
  return !isRunning({ host, pid: Number(pid), started })
}

/**
 * Removes from a folder the temporary files that killed processes of this machine left behind. Whatever cannot be
 * removed stays.
 * @example await sweep(cacheDirectory())
 */
export const sweep = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch((): readonly string[] => [])
  for (const name of names.filter(isAbandoned)) {
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined)
  }
}

/** A folder that is removed with its contents when it is disposed of. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * Creates a new folder inside another, after removing the leftovers of dead processes there.
 * @example await using folder = await temporaryFolder(tmpdir())
 */
export const temporaryFolder = async (parent: string): Promise<TemporaryFolder> => {
  await sweep(parent)
  const path = join(parent, temporaryName())
  await mkdir(path, { mode: 0o700 })
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
