import { open, type FileHandle } from 'node:fs/promises'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { attempt, orThrow, refusal, type IoError } from './error.ts'

/** A regular file opened for positioned reads. Reads reject with an `IoError` where the file is too short. */
export interface InputFile {
  readonly path: string
  /** Bytes, when the file was opened. */
  readonly size: number
  /** Fills `target` with the bytes from `position` on. */
  readInto(target: Uint8Array, position: number): Promise<void>
  /** A fresh copy of `length` bytes; nothing is allocated that the file cannot fill. */
  readBytes(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>
  close(): Promise<void>
}

const fill = async (handle: FileHandle, path: string, target: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) throw refusal(`${path}: the file ends at byte ${position + done}, where ${target.length - done} more are due`)
    done += bytesRead
  }
}

const inputFile = (path: string, handle: FileHandle, size: number): InputFile => {
  let closed: Promise<void> | undefined                 // closing twice is harmless
  return {
    path,
    size,
    readInto: (target, position) => fill(handle, path, target, position),
    readBytes: async (position, length) => {
      if (!(position >= 0 && length >= 0 && position + length <= size)) {
        throw refusal(`${path}: the file has ${size} bytes, but ${length} are due at byte ${position}`)
      }
      const bytes = new Uint8Array(length)
      await fill(handle, path, bytes, position)
      return bytes
    },
    close: () => closed ??= handle.close(),
  }
}

/**
 * Opens a regular file for positioned reads.
 * @example const file = await openFile('model.safetensors')()
 */
export const openFile = (path: string): TE.TaskEither<IoError, InputFile> => attempt(path, async () => {
  const handle = await open(path, 'r')
  try {
    const status = await handle.stat()
    if (status.isDirectory()) throw refusal(`${path}: it is a directory, not a file`)
    if (!status.isFile()) throw refusal(`${path}: it is not a regular file`)
    return inputFile(path, handle, status.size)
  } catch (error) {
    await handle.close()
    throw error
  }
})

/**
 * Fills a typed array with the little-endian elements at `position`. Machines that run Node are little endian too, so bytes are elements.
 * @example const data = await fillFrom(file, 1024, new Float32Array(16))
 */
export const fillFrom = async <T extends ArrayBufferView>(file: InputFile, position: number, data: T): Promise<T> => {
  await file.readInto(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position)
  return data
}

/** Whether a JSON value is an object (not null, not an array). */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const megabyte = 1e6

/**
 * Reads a JSON file whose top level is an object, of at most `limit` bytes.
 * @example readJsonObject('config.json')
 */
export const readJsonObject = (path: string, limit = 10 * megabyte): TE.TaskEither<IoError, Readonly<Record<string, unknown>>> =>
  attempt(path, async () => {
    const bytes = await readWhole(path, limit)
    const value = parseJson(path, bytes)
    if (!isRecord(value)) throw refusal(`${path}: a JSON object is due`)
    return value
  })

const readWhole = async (path: string, limit: number): Promise<Uint8Array> => {
  const file = await orThrow(openFile(path))
  try {
    if (file.size > limit) throw refusal(`${path}: a JSON file of ${file.size} bytes is more than the ${limit} that are read`)
    return await file.readBytes(0, file.size)
  } finally {
    await file.close()
  }
}

/** Decodes strict UTF-8 and parses it as JSON; throws an `IoError` that begins with `subject`. */
export const parseJson = (subject: string, bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw refusal(`${subject}: it is not valid JSON`)
  }
}
