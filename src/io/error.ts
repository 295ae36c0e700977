import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'

/** What went wrong at the edge: one clear sentence that names the file, and the line, field or tensor. */
export interface IoError {
  readonly tag: 'IoError'
  readonly message: string
}

/**
 * An error value.
 * @example ioError('model.safetensors: the header is longer than the file')
 */
export const ioError = (message: string): IoError => ({ tag: 'IoError', message })

/** Whether an unknown value is an `IoError`. */
export const isIoError = (error: unknown): error is IoError =>
  typeof error === 'object' && error !== null && 'tag' in error && error.tag === 'IoError'

/** A failed result. @example const r: E.Either<IoError, number> = fail('a.json: line 3 is not JSON') */
export const fail = (message: string): E.Either<IoError, never> => E.left(ioError(message))

/** The reason of a system or JSON error in a few words, without stack or repeated path. */
export const reasonOf = (error: unknown): string => {
  if (isIoError(error)) return error.message
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOENT': return 'no such file or directory'
    case 'EACCES': case 'EPERM': return 'permission denied'
    case 'EISDIR': return 'it is a directory'
    case 'ENOTDIR': return 'a part of the path is not a directory'
    case 'ENOTEMPTY': case 'EEXIST': return 'something else is there already'
    case 'ENOSPC': return 'no space left on the device'
    default: return error instanceof Error ? error.message : String(error)
  }
}

/**
 * An `IoError` to throw or to reject a promise with: an `Error` that is an `IoError` too.
 * It stays inside this room, or comes out of a rejected `read()`; every other public function returns it as a `Left`.
 * @example throw refusal('model.gguf: the file ends inside its header')
 */
export const refusal = (message: string): Error & IoError => Object.assign(new Error(message), { tag: 'IoError' as const })

const caught = (subject: string, error: unknown): IoError =>
  ioError(isIoError(error) ? error.message : `${subject}: ${reasonOf(error)}`)

/**
 * Runs effectful code that may throw; what it throws becomes an `IoError` beginning with `subject` (an `IoError` passes unchanged).
 * @example attempt('config.json', () => readFile('config.json', 'utf8'))
 */
export const attempt = <A>(subject: string, run: () => Promise<A>): TE.TaskEither<IoError, A> =>
  TE.tryCatch(run, error => caught(subject, error))

/** The same for code without effects. @example attemptSync('a.json', () => JSON.parse(text)) */
export const attemptSync = <A>(subject: string, run: () => A): E.Either<IoError, A> =>
  E.tryCatch(run, error => caught(subject, error))

/**
 * The result of a `TaskEither` inside code that throws: a `Left` is thrown.
 * @example const file = await orThrow(openFile(path))
 */
export const orThrow = async <A>(task: TE.TaskEither<IoError, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw refusal(result.left.message)
  return result.right
}
