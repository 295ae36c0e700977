import { InvalidArgumentError, Option } from 'commander'
import { autoInWords, precisions, registeredTargets, targetNames, type Target } from '../backend/index.ts'
import { architectures } from '../model/index.ts'
import { byteCount, exampleBytes } from '../text/index.ts'

/** A module that models have, for examples in texts. */
export const [exampleModule] = architectures[0]!.targets

const numeric =
  (what: string, valid: (n: number) => boolean) =>
  (text: string): number => {
    const n = text.trim() === '' ? Number.NaN : Number(text)
    if (!valid(n)) throw new InvalidArgumentError(`It must be ${what}.`)
    return n
  }

export const positiveInteger = numeric('an integer from 1 on', n => Number.isSafeInteger(n) && n >= 1 && n < 2 ** 31)
export const naturalNumber = numeric('an integer from 0 on', n => Number.isSafeInteger(n) && n >= 0)
export const notNegative = numeric('a number from 0 on', n => Number.isFinite(n) && n >= 0)

export const share = numeric('a number from 0 to 1', n => n >= 0 && n <= 1)
export const rate = numeric('a number from 0 on, below 1', n => n >= 0 && n < 1)
export const anyNumber = numeric('a number', n => Number.isFinite(n))

/** Reads a number of bytes. */
const bytes = (text: string): number => {
  const found = byteCount(text)
  if (found === undefined) throw new InvalidArgumentError(`It must be a number of bytes above 0, as ${exampleBytes}.`)
  return found
}

const words = (text: string): readonly string[] =>
  text
    .split(',')
    .map(word => word.trim())
    .filter(word => word !== '')

export const list = (text: string): readonly string[] => {
  const names = words(text)
  if (names.length === 0) throw new InvalidArgumentError('It must name modules, separated by commas.')
  return names
}

/** Tests for characters that occur in no module's name. */
const isExpression = (text: string): boolean => /[()[\]{}|\\*+?^$]/.test(text)

/** Reads modules by name, separated by commas; or one regular expression for whole paths; or `all-linear`. */
export const moduleNames = (text: string): readonly string[] | string =>
  isExpression(text) || text.toLowerCase() === 'all-linear' ? text : list(text)

/** Reads some of the given words, separated by commas, each at most once. */
export const choices =
  <T extends string>(known: readonly T[]) =>
  (text: string): readonly T[] => {
    const found = words(text)
    const unknown = found.find(word => !known.some(name => name === word))
    if (unknown !== undefined || found.length === 0 || new Set(found).size < found.length) {
      throw new InvalidArgumentError(`It must be some of ${known.join(', ')}, separated by commas, each once.`)
    }
    // every word is one of the known ones
    return found as readonly string[] as readonly T[]
  }

/** Reads numbers and ranges of numbers. @example integers('0-2,5') // [0, 1, 2, 5] */
export const integers = (text: string): readonly number[] => {
  const found = words(text).flatMap(word => {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(word) ?? []
    if (from === undefined || Number(to) < Number(from))
      throw new InvalidArgumentError('It must be numbers or ranges, separated by commas, as 0-3,7.')
    return Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i)
  })
  if (found.length === 0 || new Set(found).size < found.length) {
    throw new InvalidArgumentError('It must be numbers or ranges, separated by commas, each number once.')
  }
  return found
}

/**
 * Reads numbers, separated by commas, each once.
 * @example numbers(notNegative)('1e-4,1e-3') // [0.0001, 0.001]
 */
export const numbers =
  (number: (text: string) => number) =>
  (text: string): readonly number[] => {
    const found = words(text).map(number)
    if (found.length === 0 || new Set(found).size < found.length)
      throw new InvalidArgumentError('It must be numbers, separated by commas, each once.')
    return found
  }

/**
 * Reads names with a number each.
 * @example numbersByName(positiveInteger)('q_proj=16,down_proj=4') // { q_proj: 16, down_proj: 4 }
 */
export const numbersByName =
  (number: (text: string) => number) =>
  (text: string): Readonly<Record<string, number>> => {
    const pairs = words(text).map(word => {
      const at = word.lastIndexOf('=')
      if (at < 1)
        throw new InvalidArgumentError(
          `It must be names with a number each, separated by commas, as ${exampleModule}=16.`,
        )
      return [word.slice(0, at), number(word.slice(at + 1))] as const
    })
    if (pairs.length === 0)
      throw new InvalidArgumentError(
        `It must be names with a number each, separated by commas, as ${exampleModule}=16.`,
      )
    return Object.fromEntries(pairs)
  }

/** An option that may occur several times, whose values are collected. */
export class RepeatedOption extends Option {
  constructor(flags: string, description: string, read: (text: string) => unknown) {
    super(flags, description)
    this.argParser((text: string, before: readonly unknown[] | undefined) => [...(before ?? []), read(text)])
  }
}

export const modelOption = (): Option =>
  new Option('--model <path>', 'a Hugging Face directory or a GGUF file').makeOptionMandatory()
export const adaptersOption = (): Option =>
  new RepeatedOption(
    '--adapter <dir>',
    "an adapter, Partensor's or PEFT's; several are added up, each with a weight if it is not 1: dir:0.5",
    dir => dir,
  )
/** The names of the targets that have something, as a sentence lists them. */
const targetsWith = (has: (target: Target) => boolean): string =>
  registeredTargets
    .filter(has)
    .map(({ name }) => name)
    .join(' or ')
const reduced = precisions.filter(precision => precision !== 'f32')

export const targetOption = (): Option =>
  new Option('--target <name>', `what computes; auto takes ${autoInWords(registeredTargets)}`)
    .choices(targetNames)
    .default('auto')
export const threadsOption = (): Option =>
  new Option(
    '--threads <n>',
    `threads of the ${targetsWith(({ threaded }) => threaded === true)} target (default: one for each core)`,
  ).argParser(positiveInteger)
export const precisionOption = (): Option =>
  new Option(
    '--precision <name>',
    `what weights that are not trained are held and multiplied in; ${reduced.join(' and ')} need the ` +
      `${targetsWith(({ precisions: own }) => reduced.every(precision => own.includes(precision)))} target`,
  )
    .choices(precisions)
    .default('f32')
/** A page as a result. */
export const htmlOption = (about: string): Option =>
  new Option('--html <file>', `a page that shows ${about}, in one file`)
export const jsonOption = (): Option => new Option('--json', 'print JSON lines, and nothing else, on standard output')
export const seedOption = (what: string): Option => new Option('--seed <n>', what).argParser(naturalNumber).default(0)
export const checkpointingOption = (): Option =>
  new Option(
    '--checkpointing',
    'keep only the input of each layer, and compute the rest of it again in the backward pass',
  ).conflicts('memory')
export const memoryOption = (): Option =>
  new Option(
    '--memory <bytes>',
    'the most bytes that a step may hold, as 900MB, 4GB or 1.5GiB: the backward pass computes again what is cheapest for each byte',
  ).argParser(bytes)
