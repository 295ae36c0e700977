/** The machine: files, atomic writes, locks, processes, the cache folder, versions. */
export { type Content, writeAtomically } from './atomic.ts'
export { cacheDirectory } from './cache.ts'
export { hasPip, pipDownload, run, type Ended } from './command.ts'
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
export { fileHash, noteHash } from './hashed.ts'
export { reserve } from './reserve.ts'
export { sweep, temporaryFolder } from './temporary.ts'
export { version, versions } from './versions.ts'
export { readZipEntry } from './zip.ts'
/** The errors and texts of {@link ../text/index.ts}, for those who use the machine. */
export {
  attempt,
  attemptSync,
  codeOf,
  fail,
  interruption,
  ioError,
  isInterruption,
  isIoError,
  isRecord,
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
  type IoError,
  type Search,
  type Translation,
} from '../text/index.ts'
