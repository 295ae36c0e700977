import * as E from 'fp-ts/lib/Either.js'
import { showSizes } from '../checkpoint/archive.ts'
import { refusal } from '../../text/index.ts'
import { isHead } from '../../model/index.ts'
import { recordOf, type Form, type KeptIndex, type MethodName } from '../../tune/index.ts'
import { patternMatcher, targetMatcher } from '../../tune/modules/modules.ts'
import { formOf, formOfModule, indexIn, type AdapterSettings, type AnyAdapter, type Adapter } from './adapter.ts'

/** The facts about a tensor that a header gives, for a file or a value. */
export interface Described {
  readonly dtype: string
  readonly sizes: readonly number[]
}

/** The names of a module's tensors, in order. @example moduleTensors('lora') // ['lora_A', 'lora_B'] */
export const moduleTensors = (method: MethodName): readonly string[] => [
  ...new Set(recordOf(method).tensors.flatMap(form => Object.keys(form))),
]

/**
 * Requires tensors of these dtypes and sizes; `known` fixes the size of a word. Returns the sizes of the words. `named`
 * gives the name of a tensor in the file.
 */
export const checkTensors = (
  subject: string,
  named: (name: string) => string,
  form: Form,
  tensors: ReadonlyMap<string, Described>,
  known: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> => {
  const sizes: Record<string, number> = { ...known }
  for (const [name, { dtype, sizes: due }] of Object.entries(form)) {
    const tensor = tensors.get(name)
    if (tensor === undefined) throw refusal(`${subject}: tensor ${named(name)} is missing`)
    const expected = due.map(size => (typeof size === 'string' ? (sizes[size] ?? size) : size))
    const fits =
      tensor.sizes.length === due.length &&
      expected.every((size, i) => typeof size === 'string' || size === tensor.sizes[i])
    if (tensor.dtype.toUpperCase() !== dtype || !fits) {
      const found = `${tensor.dtype.toUpperCase()} ${showSizes(tensor.sizes)}`
      throw refusal(`${subject}: tensor ${named(name)} is ${found}: expected ${dtype} [${expected.join(', ')}]`)
    }
    due.forEach((size, i) => {
      if (typeof size === 'string') sizes[size] = tensor.sizes[i]!
    })
  }
  return sizes
}

/** Checks the tensors of a module against each other, and against the rank if one is expected. */
const checkModule = (
  subject: string,
  method: MethodName,
  path: string,
  tensors: ReadonlyMap<string, Described>,
  rank: number | undefined,
): Readonly<Record<string, number>> => {
  const form = formOf(method, name => tensors.get(name)?.sizes)
  const other = [...tensors.keys()].find(name => !Object.hasOwn(form, name))
  if (other !== undefined) throw refusal(`${subject}: tensor ${other}.${path} belongs to no ${method} adapter`)
  return checkTensors(subject, name => `${name}.${path}`, form, tensors, rank === undefined ? {} : { r: rank })
}

/** The words for one thing that an index counts. */
export const counted = { columns: 'column', entries: 'entry' } as const satisfies Record<KeptIndex['among'], string>

/** Checks that an index names existing things, each once. */
const checkIndex = (subject: string, among: KeptIndex['among'], at: string, index: Int32Array): void => {
  const what = counted[among]
  const negative = index.find(i => i < 0)
  if (negative !== undefined) throw refusal(`${subject}: tensor ${at} holds the negative ${what} ${negative}`)
  if (new Set(index).size !== index.length)
    throw refusal(`${subject}: tensor ${at} holds ${/^[aeiou]/.test(what) ? 'an' : 'a'} ${what} twice`)
}

/** The ranks that the settings specify for modules. Throws an `IoError` for an expression that is not supported. */
const dueRank = (
  subject: string,
  { rank, rankPattern }: { readonly rank: number } & Pick<AdapterSettings, 'rankPattern'>,
): ((path: string) => number) => {
  const matcher = patternMatcher(`${subject}: rank_pattern`, rankPattern)
  if (E.isLeft(matcher)) throw refusal(matcher.left.message)
  return path => matcher.right(path) ?? rank
}

/** Checks the expressions in the settings when an adapter is read or written, so that they cannot fail later. */
const checkPatterns = (subject: string, adapter: Adapter): void => {
  for (const result of [targetMatcher(adapter, isHead), patternMatcher('alpha_pattern', adapter.alphaPattern)]) {
    if (E.isLeft(result)) throw refusal(`${subject}: ${result.left.message}`)
  }
}

/** Checks the tensors that all modules share; returns their sizes by word. */
const checkShared = (subject: string, { method, shared = {}, rank }: AnyAdapter): Readonly<Record<string, number>> => {
  const form = recordOf(method).shared
  const known = rank === undefined || tensorWith(form, 'r') === undefined ? {} : { r: rank }
  return checkTensors(subject, name => name, form, new Map(Object.entries(shared)), known)
}

/** The tensor of a form that has a size of this meaning. */
export const tensorWith = (form: Form, word: string): string | undefined =>
  Object.entries(form).find(([, { sizes }]) => sizes.includes(word))?.[0]

/** Checks that a module is no larger than the tensors that all modules share. */
const checkWithin = (
  subject: string,
  method: MethodName,
  path: string,
  sizes: Readonly<Record<string, number>>,
  shared: Readonly<Record<string, number>>,
): void => {
  for (const [word, limit] of Object.entries(shared)) {
    const size = sizes[word] ?? 0
    if (size > limit) {
      const own = recordOf(method).tensors.flatMap(form => tensorWith(form, word) ?? [])[0]
      const of = tensorWith(recordOf(method).shared, word)
      throw refusal(`${subject}: tensor ${own}.${path} has ${size} numbers, more than the ${limit} of ${of}`)
    }
  }
}

/** Checks an adapter for consistency: dtypes, sizes, ranks, indices. Throws an `IoError` that begins with `subject`. */
export const checkAdapter = (subject: string, adapter: Adapter): void => {
  const any: AnyAdapter = adapter
  const { method, modules, rank, rankPattern = {} } = any
  if (modules.size === 0) throw refusal(`${subject}: the adapter has no modules`)
  checkPatterns(subject, adapter)
  const ranked = recordOf(method).tensors.some(form => tensorWith(form, 'r') !== undefined)
  const expected = rank !== undefined && ranked ? dueRank(subject, { rank, rankPattern }) : () => undefined
  const shared = checkShared(subject, any)
  for (const [path, module] of modules) {
    const sizes = checkModule(subject, method, path, new Map(Object.entries(module)), expected(path))
    checkWithin(subject, method, path, sizes, shared)
    const index = indexIn(formOfModule(method, module))
    const at = index && module[index.name]
    if (index && at?.dtype === 'i32') checkIndex(subject, index.among, `${index.name}.${path}`, at.data)
  }
  for (const path of any.whole?.keys() ?? []) {
    if (modules.has(path)) throw refusal(`${subject}: ${path} is adapted and saved whole: specify one of them`)
  }
}
