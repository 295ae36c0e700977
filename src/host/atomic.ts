import { mkdir, open, realpath, rename, rm, rmdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { sweep, temporaryName } from './temporary.ts'
import { checkDestination } from './reserve.ts'
import { attempt, codeOf, orThrow, reasonOf, refusal, type IoError, quoted } from '../text/index.ts'

/** The content of a file to write: a text, bytes, or pieces that are produced while they are written. */
export type Content = string | Uint8Array | AsyncIterable<Uint8Array>

const writeFile = async (path: string, content: Content): Promise<void> => {
  const handle = await open(path, 'wx')
  try {
    if (typeof content === 'string' || content instanceof Uint8Array) await handle.writeFile(content)
    else for await (const piece of content) await handle.writeFile(piece)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the names in a directory durable. Not every system can sync a directory; the rename is atomic either way. */
const syncDirectory = async (path: string): Promise<void> => {
  try {
    const handle = await open(path, 'r')
    await handle.sync().finally(() => handle.close())
  } catch {
    /* see above */
  }
}

/** Creates a folder and those above it that are missing, durably, for what is to be at a path. */
const makeFolder = async (folder: string, path: string): Promise<void> => {
  try {
    const made = await mkdir(folder, { recursive: true })
    if (made !== undefined) await syncDirectory(dirname(made))
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error
    throw refusal(`${path}: what is there in the place of its folder is a file`, code)
  }
}

/**
 * Writes a directory of files, all or nothing: into a temporary directory next to the destination, with every file
 * synced, renamed at the end. Missing parents are created; an existing empty directory is replaced. A failed attempt
 * leaves nothing behind. Errors: the destination is not empty, the disk is full, a content fails while it is produced.
 * @example await writeAtomically('out', { 'adapter_config.json': '{}\n' })()
 */
export const writeAtomically = (
  directory: string,
  files: Readonly<Record<string, Content>>,
): TE.TaskEither<IoError, void> =>
  attempt(directory, async () => {
    const bad = Object.keys(files).find(name => name === '' || name !== basename(name) || name === '.' || name === '..')
    if (bad !== undefined) throw refusal(`${directory}: ${quoted(bad)} is not a plain file name`)
    const target = await orThrow(checkDestination(directory))
    const parent = dirname(target)
    await makeFolder(parent, directory)
    await sweep(parent)
    const temporary = join(parent, temporaryName())
    await mkdir(temporary)
    try {
      for (const [name, content] of Object.entries(files)) await writeFile(join(temporary, name), content)
      await syncDirectory(temporary)
      await replace(temporary, target, directory)
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
      throw error
    }
    await syncDirectory(parent)
  })

/**
 * Writes one file, all or nothing: into a temporary file next to it, synced, and renamed at the end over an earlier
 * file. Missing parents are created. A failed attempt leaves nothing behind, and an earlier file as it was. Errors: the
 * path is a directory, the disk is full, the content fails while it is produced.
 * @example await replaceFile('weights.safetensors', bytes)()
 */
export const replaceFile = (path: string, content: Content): TE.TaskEither<IoError, void> =>
  attempt(path, async () => {
    if (path === '') throw refusal('the name of the file is empty')
    // an earlier file may be behind a link
    const target = await realpath(path).catch(() => resolve(path))
    const parent = dirname(target)
    await makeFolder(parent, path)
    await sweep(parent)
    const temporary = join(parent, temporaryName())
    try {
      await writeFile(temporary, content)
      await rename(temporary, target)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw error
    }
    await syncDirectory(parent)
  })

/**
 * Checks, before long work, that {@link replaceFile} can write a file: creates one next to it and removes it. Errors:
 * the path is a directory, its folder cannot be written.
 * @example await checkReplaceable('explained.html')()
 */
export const checkReplaceable = (path: string): TE.TaskEither<IoError, void> =>
  attempt(path, async () => {
    if (path === '') throw refusal('the name of the file is empty')
    const target = await realpath(path).catch(() => resolve(path))
    const found = await stat(target).catch(() => undefined)
    if (found?.isDirectory() === true) throw refusal(`${path}: it is a directory, where a file is expected`, 'EISDIR')
    await makeFolder(dirname(target), path)
    const trial = join(dirname(target), temporaryName())
    await writeFile(trial, '')
    await rm(trial)
  })

/**
 * Renames over a missing or empty directory. A rename never removes files, so files that someone else wrote meanwhile
 * are kept.
 */
const replace = async (temporary: string, target: string, shown: string): Promise<void> => {
  if (process.platform === 'win32') await rmdir(target).catch(() => undefined) // there a rename cannot replace even an empty directory
  try {
    await rename(temporary, target)
  } catch (error) {
    throw refusal(`${shown}: the finished files cannot be moved there: ${reasonOf(error)}`, codeOf(error))
  }
}
