/**
 * The machine: errors, files, atomic writes, locks, processes, time-limited regular expressions, the cache folder,
 * versions.
 */
export { type Content, writeAtomically } from './atomic.ts'
export { cacheDirectory } from './cache.ts'
export { hasPip, pipDownload, run, type Ended, type CommandOptions } from './command.ts'
export {
  attempt,
  attemptSync,
  codeOf,
  fail,
  interruption,
  ioError,
  isInterruption,
  isIoError,
  oneLine,
  orThrow,
  reasonOf,
  refusal,
  type IoError,
} from './error.ts'
export {
  search,
  searchOf,
  type Origin,
  type Search,
  type Translation,
  type WholeMatch,
  wholeMatch,
} from './expression.ts'
export {
  bytePieces,
  exists,
  fillFrom,
  ifThere,
  isRecord,
  openFile,
  parseJson,
  readJsonObject,
  readText,
  readWhole,
  type InputFile,
} from './file.ts'
export { collectGarbage } from './garbage.ts'
export { fileHash, noteHash, type FileHash, type Noted } from './hashed.ts'
export { fieldsOf, limits, type Json } from './json-fields.ts'
export { printable, quoted, shown } from './quote.ts'
export { checkDestination, reserve, type Reservation } from './reserve.ts'
export {
  isRunning,
  ownMark,
  sweep,
  temporaryFolder,
  temporaryName,
  type ProcessMark,
  type TemporaryFolder,
} from './temporary.ts'
export { parsedJson } from './text.ts'
export { version, versions } from './versions.ts'
export { readZipEntry } from './zip.ts'
