import { mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { attempt, codeOf, refusal, type IoError } from '../text/index.ts'

/** A new file that grows by whole records: one that cannot be written whole is taken back. */
interface GrowingFile {
  readonly path: string
  /** Adds a record. Errors: the disk is full, the device fails; the file then ends with the record before. */
  append(record: string | Uint8Array): TE.TaskEither<IoError, void>
  /** Closes the file, and removes it if it has no record. */
  close(): Promise<void>
}

const created = async (path: string): ReturnType<typeof open> => {
  try {
    return await open(path, 'wx')
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw refusal(`${path}: the file is there already; name a new one`, 'EEXIST')
    throw error
  }
}

/**
 * Creates a file for records that begins with a header, and missing folders above it. Errors: the file is there
 * already, its folder cannot be written.
 * @example const file = await orThrow(growingFile('runs/first.jsonl'))
 */
export const growingFile = (path: string, header: string | Uint8Array = ''): TE.TaskEither<IoError, GrowingFile> =>
  attempt(path, async () => {
    if (path === '') throw refusal('the name of the file is empty')
    await mkdir(dirname(path), { recursive: true })
    const handle = await created(path)
    let length = 0
    const write = async (record: string | Uint8Array): Promise<void> => {
      const bytes = typeof record === 'string' ? Buffer.from(record) : record
      try {
        for (let done = 0; done < bytes.length;)
          done += (await handle.write(bytes, done, bytes.length - done, length + done)).bytesWritten
        length += bytes.length
      } catch (error) {
        await handle.truncate(length).catch(() => undefined)
        throw error
      }
    }
    await write(header)
    const empty = length
    return {
      path,
      append: record => attempt(path, () => write(record)),
      close: async () => {
        await handle.close()
        if (length === empty) await rm(path)
      },
    }
  })
