/** The machine: files, atomic writes, locks, processes, the cache folder, versions. */
export { type Content, writeAtomically } from './atomic.ts'
export { cacheDirectory } from './cache.ts'
export { hasPip, pipDownload, run, type Ended, type CommandOptions } from './command.ts'
export {
  bytePieces,
  exists,
  fillFrom,
  ifThere,
  openFile,
  parseJson,
  readJsonObject,
  readText,
  readWhole,
  type InputFile,
} from './file.ts'
export { collectGarbage } from './garbage.ts'
export { fileHash, noteHash, type FileHash, type Noted } from './hashed.ts'
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
export { version, versions } from './versions.ts'
export { readZipEntry } from './zip.ts'
/** The errors and texts of {@link ../text/index.ts}, for those who use the machine. */
export {
  attempt,
  attemptSync,
  codeOf,
  fail,
  fieldsOf,
  interruption,
  ioError,
  isInterruption,
  isIoError,
  isRecord,
  limits,
  oneLine,
  orThrow,
  parsedJson,
  printable,
  quoted,
  reasonOf,
  refusal,
  search,
  searchOf,
  shown,
  wholeMatch,
  type IoError,
  type Json,
  type Origin,
  type Search,
  type Translation,
  type WholeMatch,
} from '../text/index.ts'
