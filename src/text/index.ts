/** Untrusted text, and messages about it: errors as values, quoting, JSON and its fields. */
export { byteCount, bytesText, byteUnit, exampleBytes } from './bytes.ts'
export { decodedText, parsedJson } from './decode.ts'
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
export { fieldsOf, isRecord, limits, type Json } from './json-fields.ts'
export { printable, quoted, shown } from './quote.ts'
