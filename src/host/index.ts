/** The machine: files, atomic writes, locks, processes, the cache folder, versions. */
export { checkReplaceable, type Content, replaceFile, writeAtomically } from './atomic.ts'
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
  statusOf,
  type InputFile,
} from './file.ts'
export { crc32c } from './crc.ts'
export { collectGarbage } from './garbage.ts'
export { growingFile } from './growing.ts'
export { contentHash, fileHash, noteHash } from './hashed.ts'
export { nearest } from './nearest.ts'
export { reserve } from './reserve.ts'
export { sweep, temporaryFolder } from './temporary.ts'
export { version, versions } from './versions.ts'
export { readZipEntry } from './zip.ts'
