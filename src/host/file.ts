import { constants, type Stats } from 'node:fs'
import { open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import {
  attempt,
  codeOf,
  decodedText,
  isRecord,
  orThrow,
  parsedJson,
  reasonOf,
  refusal,
  type IoError,
} from '../text/index.ts'
import { nearest } from './nearest.ts'

/** A regular file opened for positioned reads. Reads reject with an `IoError` if the file is too short. */
export interface InputFile {
  readonly path: string
  /** The size in bytes when the file was opened. */
  readonly size: number
  /** Fills `target` with the bytes that start at `position`. */
  readInto(target: Uint8Array, position: number): Promise<void>
  /** A fresh copy of `length` bytes; no more is allocated than the file can fill. */
  readBytes(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>
  close(): Promise<void>
}

/** The most bytes of one request: no system reads 2 GiB in one call, and Node aborts the process that tries. */
const mostBytes = 2 ** 30

/** A source that is read at a position, such as a `FileHandle`; it reports how many bytes it put into `buffer`. */
export interface Reader {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>
}

/**
 * Fills `target` with the bytes that start at `position`, in calls of at most `most` bytes. Throws an `IoError` if the
 * file is too short.
 * @example await fill(handle, 'model.safetensors', new Uint8Array(16), 1024)
 */
export const fill = async (
  handle: Reader,
  path: string,
  target: Uint8Array,
  position: number,
  most = mostBytes,
): Promise<void> => {
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await handle.read(target, done, Math.min(most, target.length - done), position + done)
    if (bytesRead === 0) {
      throw refusal(
        `${path}: the file ends at byte ${position + done}, where ${target.length - done} more are expected`,
      )
    }
    done += bytesRead
  }
}

const inputFile = (path: string, handle: FileHandle, size: number): InputFile => {
  let closed: Promise<void> | undefined // closing twice is harmless
  return {
    path,
    size,
    readInto: (target, position) => fill(handle, path, target, position),
    readBytes: async (position, length) => {
      if (!(position >= 0 && length >= 0 && position + length <= size)) {
        throw refusal(`${path}: the file has ${size} bytes, but ${length} are expected at byte ${position}`)
      }
      const bytes = new Uint8Array(length)
      await fill(handle, path, bytes, position)
      return bytes
    },
    close: () => (closed ??= handle.close()),
  }
}

/** The entry of a folder that is most like a name, in all but an ending that both have. */
const nearestEntry = (name: string, entries: readonly string[]): string | undefined => {
  const ending = extname(name)
  const isAlike = (entry: string): boolean => extname(entry) === ending
  const stem = nearest(
    basename(name, ending),
    entries.filter(isAlike).map(entry => basename(entry, ending)),
  )
  if (stem !== undefined) return `${stem}${ending}`
  return nearest(
    name,
    entries.filter(entry => !isAlike(entry)),
  )
}

/** The status of a path, as Node has it. */
const statsOf = async (path: string): Promise<Stats> => {
  try {
    return await stat(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    const others = await readdir(dirname(resolve(path))).catch(() => [])
    const like = nearestEntry(basename(path), others)
    if (like === undefined) throw error
    throw refusal(`${path}: ${reasonOf(error)} (did you mean ${like}?)`, 'ENOENT')
  }
}

/** The kind of what is at a path. */
interface Status {
  isDirectory(): boolean
  isFile(): boolean
}
/**
 * The status of what is at a path. Where there is nothing, the error names what is there with nearly that name.
 * @example (await statusOf('models/smollm2')).isDirectory()
 */
export const statusOf = (path: string): Promise<Status> => statsOf(path)

/** Refuses everything but a regular file, which alone can be read at any position. */
const checkRegular = (path: string, status: Stats): void => {
  const kind = status.isDirectory()
    ? 'a directory'
    : status.isFIFO()
      ? 'a pipe'
      : status.isSocket()
        ? 'a socket'
        : status.isCharacterDevice() || status.isBlockDevice()
          ? 'a device'
          : 'something else'
  if (!status.isFile()) throw refusal(`${path}: it is ${kind}, where a file is expected`)
}

/**
 * Opens a regular file for positioned reads. Nothing else is opened: opening a pipe blocks until something writes to
 * it, and opening a device may have effects.
 * @example const file = await openFile('model.safetensors')()
 */
export const openFile = (path: string): TE.TaskEither<IoError, InputFile> =>
  attempt(path, async () => {
    checkRegular(path, await statsOf(path))
    // if the file has become a pipe meanwhile, this does not block either; Windows has no such flag
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const status = await handle.stat()
      checkRegular(path, status)
      return inputFile(path, handle, status.size)
    } catch (error) {
      await handle.close()
      throw error
    }
  })

/**
 * Fills a typed array with the little-endian elements at `position`. Every machine that runs Node is little endian, so
 * bytes are copied as they are.
 * @example const data = await fillFrom(file, 1024, new Float32Array(16))
 */
export const fillFrom = async <T extends ArrayBufferView>(
  file: Pick<InputFile, 'readInto'>,
  position: number,
  data: T,
): Promise<T> => {
  for (const piece of bytePieces(data)) await file.readInto(piece, position + piece.byteOffset - data.byteOffset)
  return data
}

/**
 * The bytes of a typed array in pieces of at most `most`: views, not copies. A single view of many elements would
 * exceed the longest possible view.
 * @example [...bytesOf(new Float32Array(3), 8)].map(piece => piece.length) // [8, 4]
 */
export function* bytePieces(
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  most = mostBytes,
): Generator<Uint8Array> {
  for (let done = 0; done < byteLength; done += most)
    yield new Uint8Array(buffer, byteOffset + done, Math.min(most, byteLength - done))
}

const megabyte = 1e6
const gigabyte = 1e9

/**
 * Reads a whole file of at most `limit` bytes.
 * @example await orThrow(readWhole('tokenizer.model'))
 */
export const readWhole = (path: string, limit = gigabyte): TE.TaskEither<IoError, Uint8Array> =>
  attempt(path, () => wholeOf(path, limit))

const wholeOf = async (path: string, limit: number): Promise<Uint8Array> => {
  const file = await orThrow(openFile(path))
  try {
    if (file.size > limit) {
      throw refusal(`${path}: the file has ${file.size} bytes, more than the ${limit} that are read of its kind`)
    }
    return await file.readBytes(0, file.size)
  } finally {
    await file.close()
  }
}

/** The most bytes of a text that is read whole: a longer text does not fit into a string. */
const longestText = 500 * megabyte

/**
 * The text of a file, which must be UTF-8.
 * @example await orThrow(readText('chat_template.jinja'))
 */
export const readText = (path: string, limit = longestText): TE.TaskEither<IoError, string> =>
  attempt(path, async () => decodedText(path, await orThrow(readWhole(path, limit))))

/**
 * The result of a task that reads a file, or undefined if there is no such file. Any other error stays an error.
 * @example await orThrow(ifThere(readText('chat_template.jinja')))
 */
export const ifThere =
  <A>(task: TE.TaskEither<IoError, A>): TE.TaskEither<IoError, A | undefined> =>
  async () => {
    const result = await task()
    return E.isLeft(result) && result.left.code === 'ENOENT' ? E.right(undefined) : result
  }

/**
 * Tests whether a path exists. Errors: the system does not tell.
 * @example await orThrow(exists('model.safetensors'))
 */
export const exists = (path: string): TE.TaskEither<IoError, boolean> =>
  attempt(path, () =>
    stat(path).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === 'ENOENT') return false
        throw error
      },
    ),
  )

/**
 * Reads a JSON file of at most `limit` bytes whose top level is an object.
 * @example readJsonObject('config.json')
 */
export const readJsonObject = (
  path: string,
  limit = 10 * megabyte,
): TE.TaskEither<IoError, Readonly<Record<string, unknown>>> =>
  attempt(path, async () => {
    const value = parseJson(path, await orThrow(readWhole(path, limit)))
    if (!isRecord(value)) throw refusal(`${path}: it is not a JSON object`)
    return value
  })

/** Decodes strict UTF-8 and parses it as JSON ({@link parsedJson}); throws an `IoError` that begins with `subject`. */
export const parseJson = (subject: string, bytes: Uint8Array): unknown =>
  parsedJson(subject, decodedText(subject, bytes))
