import { isIoError } from '../../../src/text/index.ts'

/** One attempt to open a hostile file, and what was seen of it. */
export interface Observation {
  /** The value that it gave, if it gave anything. */
  readonly value?: unknown
  /** The error that it threw, if it threw anything. */
  readonly thrown?: unknown
  /** The folder that was named, and the names of its files. */
  readonly folder: string
  readonly files: readonly string[]
  /** All paths that were asked for meanwhile. */
  readonly paths: readonly string[]
  /** The bytes by which the process grew at most, and those of the files. */
  readonly grown: number
  readonly size: number
  readonly allowed: number
  /** The change in the objects that all programs share. */
  readonly pollution: string | undefined
}

/** A law of all parsers: the fault that it finds, or undefined. */
export interface Law {
  readonly name: string
  readonly fault: (seen: Observation) => string | undefined
}

const says = (error: unknown): string => (error instanceof Error || isIoError(error) ? error.message : String(error))

/** The beginnings that V8 and Node give the sentence of an error that nobody wrote: a fault of the program, though it was caught. */
const foreign = new RegExp(
  [
    /Cannot (?:read|set|convert|mix|destructure|create|redefine|assign|add|delete)\b/,
    /is not (?:a function|iterable|a constructor|defined)\b/,
    /\bInvalid (?:array|typed|string|array buffer|DataView|code point|regular|count|time|date|BigInt)\b/,
    /Maximum call stack|Array buffer allocation|out of (?:memory|range|bounds)|outside the bounds|URI malformed/,
    /Unexpected (?:token|end of JSON|non-whitespace)|Expected .* in JSON|Bad control character|Unterminated/,
    /must be (?:a multiple|>= |of type)|cannot be converted|Reduce of empty array|toFixed\(\)|toString\(\) radix/,
    /The (?:first argument|value|string|number|".*" argument)\b.*(?:must|range|type)|ERR_/,
    /Input buffer|object Object|(?<!'' is )\bundefined\b|\[object|\bat \w+ \(/,
  ]
    .map(({ source }) => source)
    .join('|'),
)

/** The parts of a path that a sentence may end with, when it was shortened, do not count. */
const sentence = ({ thrown, folder, files }: Observation): string | undefined => {
  if (thrown === undefined) return undefined
  const text = says(thrown)
  if (text === '' || text.includes('\n')) return `it is not one line: ${JSON.stringify(text)}`
  if (text.length > 1000) return `it has ${text.length} characters`
  // quoted texts come from the file, and a picture's decoder speaks for itself
  const own = text
    .split(folder)
    .join('')
    .replace(/"(?:[^"\\]|\\.)*"?/g, '""')
    .replace(/'[^']*'/g, "''")
    .replace(/the image is broken: .*/, '')
    // Python's words, which templates have
    .replace(/'' object is not iterable|argument of type '' is not iterable/, '')
  if (foreign.test(own)) return `it is the sentence of an error that nobody wrote: ${text}`
  return files.some(file => text.includes(file)) || text.includes(folder)
    ? undefined
    : `it names neither the file nor its folder: ${text}`
}

const isInside = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}/`)

/** A prototype that is no class: an object of the file itself. */
const strangerIn = (value: unknown, left = { count: 2000 }): string | undefined => {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || left.count-- <= 0) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && !(typeof prototype === 'object' && Object.hasOwn(prototype, 'constructor')))
    return `the prototype of a value came from the file: ${JSON.stringify(prototype)}`
  const inner = value instanceof Map ? [...value.values()] : Object.values(value)
  for (const one of inner) {
    const found = strangerIn(one, left)
    if (found !== undefined) return found
  }
  return undefined
}

/** The laws that every parser keeps, whatever the bytes are. That it ends at all is seen from outside, by a clock. */
export const laws: readonly Law[] = [
  {
    name: 'a failure is a tagged error',
    fault: ({ thrown }) =>
      thrown === undefined || isIoError(thrown)
        ? undefined
        : `it threw ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
  },
  { name: 'a refusal is one sentence that names the file', fault: sentence },
  {
    name: 'nothing that all programs share is changed',
    fault: ({ value, pollution }) => pollution ?? strangerIn(value),
  },
  {
    name: 'no path is asked for outside of the folder that was named',
    fault: ({ folder, paths }) => {
      const outside = paths.find(path => !isInside(folder, path))
      return outside === undefined ? undefined : `it asked for ${outside}`
    },
  },
  {
    name: 'the memory stays within 64 MB and four times the files',
    fault: ({ grown, size, allowed }) =>
      grown <= 64e6 + 4 * size + allowed
        ? undefined
        : `it took ${Math.round(grown / 1e6)} MB for files of ${size} bytes`,
  },
]
