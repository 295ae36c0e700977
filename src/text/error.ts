import * as E from '../either/index.ts'
import { printable, shortened } from './quote.ts'

/** A failure at the edge: one clear sentence that names the file, and the line, field or tensor. */
export interface IoError {
  readonly tag: 'IoError'
  readonly message: string
  /**
   * The system's code for the reason, such as ENOSPC, if the system refused; `ABORT_ERR` for an interrupt.
   */
  readonly code?: string
}

/** The longest message, in characters; a longer one is shortened. */
const longestMessage = 1000
/** Makes a message one line that any terminal can show, whatever the paths, names and texts that it repeats contain. */
export const oneLine = (message: string): string =>
  shortened(printable(shortened(message, longestMessage)), longestMessage)

const errorOf = (message: string, code: string | undefined): IoError => ({
  tag: 'IoError',
  message: oneLine(message),
  ...(code === undefined ? {} : { code }),
})

/**
 * An error value.
 * @example ioError('model.safetensors: the header is longer than the file')
 */
export const ioError = (message: string): IoError => errorOf(message, undefined)

/** Tests whether an unknown value is an `IoError`. */
export const isIoError = (error: unknown): error is IoError =>
  typeof error === 'object' && error !== null && 'tag' in error && error.tag === 'IoError'

/** A failed result. @example const r: E.Either<IoError, number> = fail('a.json: line 3 is not JSON') */
export const fail = (message: string): E.Either<IoError, never> => E.left(ioError(message))

/** The system's code of an error, such as ENOENT, or undefined. */
export const codeOf = (error: unknown): string | undefined => {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** The system's error codes in words. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  ENOTEMPTY: 'something else is there already',
  EEXIST: 'something else is there already',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EIO: 'the device reports an error',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  EBUSY: 'it is in use',
  EXDEV: 'it lies on another file system',
  EFBIG: 'the file would be too large',
  ENXIO: 'nothing is behind it',
  ERR_INVALID_ARG_VALUE: 'it is not a path',
  EPIPE: 'nobody reads it',
  ETXTBSY: 'it is being executed',
  EINVAL: 'the system does not accept it',
}

/** The reason of a system or JSON error in a few words, without the stack or a repeated path. */
export const reasonOf = (error: unknown): string => {
  if (isIoError(error)) return error.message
  if (error instanceof RangeError && error.message.includes('call stack')) return 'it nests too deep'
  return reasons[codeOf(error) ?? ''] ?? (error instanceof Error ? error.message : String(error))
}

/**
 * An `IoError` to throw or to reject a promise with; it is also an `Error`. It leaves this room only through a rejected
 * `read()`; every other public function returns it as a `Left`.
 * @example throw refusal('model.gguf: the file ends inside its header')
 */
export const refusal = (message: string, code?: string): Error & IoError => {
  const error = errorOf(message, code)
  return Object.assign(new Error(error.message), error)
}

/** The code of an error that is an interrupt. */
const interruptedCode = 'ABORT_ERR'
/** The error that ends work after an interrupt. @example if (signal.aborted) throw interruption() */
export const interruption = (): Error & IoError => refusal('interrupted', interruptedCode)
/**
 * Tests whether work ended because of an interrupt and not of a fault, including an error that the interrupt caused.
 */
export const isInterruption = (error: unknown): boolean =>
  codeOf(error) === interruptedCode ||
  (error instanceof Error && error.cause !== undefined && isInterruption(error.cause))

const caught = (subject: string, error: unknown): IoError =>
  isIoError(error)
    ? errorOf(error.message, error.code)
    : errorOf(`${subject || '""'}: ${reasonOf(error)}`, codeOf(error))

/**
 * Runs effectful code that may throw; an error becomes an `IoError` beginning with `subject` (an `IoError` passes
 * unchanged).
 * @example attempt('config.json', () => readFile('config.json', 'utf8'))
 */
export const attempt =
  <A>(subject: string, run: () => Promise<A>): E.TaskEither<IoError, A> =>
  async () => {
    try {
      return E.right(await run())
    } catch (error) {
      return E.left(caught(subject, error))
    }
  }

/** The same for code without effects. @example attemptSync('a.json', () => JSON.parse(text)) */
export const attemptSync = <A>(subject: string, run: () => A): E.Either<IoError, A> =>
  E.tryCatch(run, error => caught(subject, error))

/**
 * The result of a `TaskEither` inside code that throws: throws the error of a `Left`.
 * @example const file = await orThrow(openFile(path))
 */
export const orThrow = async <A>(task: E.TaskEither<IoError, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw refusal(result.left.message, result.left.code)
  return result.right
}
