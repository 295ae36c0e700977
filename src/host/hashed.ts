import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { temporaryName } from './temporary.ts'
import { readText } from './file.ts'
import { attempt, codeOf, isRecord, orThrow, type IoError } from '../text/index.ts'

/** The state of a file when its hash was computed. Every ordinary change to the file changes one of these fields. */
export interface Noted {
  readonly sha256: string
  readonly size: string
  readonly modified: string
  readonly inode: string
}

/** The path of the file, next to the hashed one, that records its hash. */
const noteOf = (path: string): string => join(dirname(path), `.${basename(path)}.sha256.json`)

const stateOf = async (path: string): Promise<Omit<Noted, 'sha256'> | undefined> => {
  try {
    const status = await stat(path, { bigint: true })
    // only a regular file has a hash
    if (!status.isFile()) return undefined
    return { size: String(status.size), modified: String(status.mtimeNs), inode: String(status.ino) }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const readNote = async (path: string): Promise<Readonly<Record<string, unknown>>> => {
  try {
    const value: unknown = JSON.parse(await orThrow(readText(noteOf(path), 10_000)))
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}

/**
 * Records the SHA-256 of a file together with its present state, so that it need not be computed again. A folder that
 * is not writable is not an error.
 * @example await noteHash('model.gguf', sha256)
 */
export const noteHash = async (path: string, sha256: string, state?: Omit<Noted, 'sha256'>): Promise<void> => {
  const own = join(dirname(path), temporaryName())
  try {
    const now = state ?? (await stateOf(path))
    if (now === undefined) return
    await writeFile(own, `${JSON.stringify({ sha256, ...now })}\n`, { flag: 'wx' })
    await rename(own, noteOf(path))
  } catch {
    await rm(own, { force: true }).catch(() => undefined)
  }
}

const sha256Of = async (path: string): Promise<string> => {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path) as AsyncIterable<Uint8Array>) hash.update(piece)
  return hash.digest('hex')
}

/**
 * The SHA-256 of a file; for a folder, that of the paths of all files below it, with the hash of each, or with its size
 * alone if they are `many`. Errors: there is nothing, it cannot be read.
 * @example await orThrow(contentHash('train.jsonl'))
 */
export const contentHash = (path: string, many = false): TE.TaskEither<IoError, string> =>
  attempt(path, async () => {
    if (!(await stat(path)).isDirectory()) return sha256Of(path)
    const hash = createHash('sha256')
    for (const name of (await readdir(path, { recursive: true })).sort()) {
      const status = await stat(join(path, name))
      if (status.isFile())
        hash.update(`${JSON.stringify([name, many ? status.size : await sha256Of(join(path, name))])}\n`)
    }
    return hash.digest('hex')
  })

/** The size and hash of a file. */
export interface FileHash {
  readonly size: number
  readonly sha256: string
}

/**
 * The size and SHA-256 of a file, or undefined if there is none. The hash is computed unless the size, the modification
 * time and the inode equal the recorded ones.
 * @example await fileHash('model.gguf') // { size: 98362432, sha256: 'b179…' }
 */
export const fileHash = async (path: string): Promise<FileHash | undefined> => {
  const state = await stateOf(path)
  if (state === undefined) return undefined
  const { sha256, ...noted } = await readNote(path)
  const size = Number(state.size)
  const same = Object.entries(state).every(([key, value]) => noted[key] === value)
  if (same && typeof sha256 === 'string') return { size, sha256 }
  const found = await sha256Of(path)
  // a file that is changed while it is read has another modification time by then
  await noteHash(path, found, state)
  return { size, sha256: found }
}
