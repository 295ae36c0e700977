import * as E from 'fp-ts/lib/Either.js'
import { showSizes } from '../checkpoint/archive.ts'
import { refusal } from '../../host/index.ts'
import { isHead } from '../../model/index.ts'
import { patternMatcher, targetMatcher, type MethodName } from '../../tune/index.ts'
import { tensorsOfModule, type AdapterSettings, type Adapter } from './adapter.ts'

/** A tensor of a file or of a value, as far as its header says. */
export interface Described {
  readonly dtype: string
  readonly sizes: readonly number[]
}

/** Sizes by what they mean, the same word for the same size within a module; a number is the size itself. */
type Sizes = readonly (string | number)[]
interface Layout {
  readonly dtype: 'F32' | 'I32'
  readonly sizes: Sizes
}
const f32 = (...sizes: Sizes): Layout => ({ dtype: 'F32', sizes })
const i32 = (...sizes: Sizes): Layout => ({ dtype: 'I32', sizes })

const factors = { lora_A: f32('in', 'r'), lora_B: f32('r', 'out') }

/** The tensors of a module by method, in order. */
export const layouts: { readonly [M in Exclude<MethodName, 'full'>]: Readonly<Record<string, Layout>> } = {
  paca: { columns: i32('r'), values: f32('r', 'out'), base: f32('r', 'out') },
  shira: { entries: i32('n'), values: f32('n'), base: f32('n') },
  lora: factors,
  lorafa: factors,
  dora: { ...factors, lora_magnitude_vector: f32('out') },
  moslora: { ...factors, lora_mixer: f32('r', 'r') },
  vera: { vera_lambda_d: f32('r'), vera_lambda_b: f32('out') },
  miss: { miss_block: f32('r', 'out') },
}

/** The names of a module's tensors. @example moduleTensors('lora') // ['lora_A', 'lora_B'] */
export const moduleTensors = (method: MethodName): readonly string[] =>
  method === 'full' ? ['values'] : Object.keys(layouts[method])

/** Tensors that are no part of a module: by name, with their layouts. */
export const sharedLayouts = (method: MethodName): Readonly<Record<string, Layout>> =>
  method === 'vera' ? { vera_A: f32('in', 'r'), vera_B: f32('r', 'out') } : {}

/** The dtypes and sizes that a module's tensors must have; a whole weight may be a matrix or a vector. */
const layoutOf = (method: MethodName, tensors: ReadonlyMap<string, Described>): Readonly<Record<string, Layout>> =>
  method === 'full'
    ? { values: tensors.get('values')?.sizes.length === 1 ? f32('out') : f32('in', 'out') }
    : layouts[method]

/**
 * Requires tensors of these dtypes and sizes; `known` fixes the size of a word. Answers what the words stand for.
 * `named` says what a tensor is called in the file.
 */
export const checkTensors = (
  subject: string,
  named: (name: string) => string,
  layout: Readonly<Record<string, Layout>>,
  tensors: ReadonlyMap<string, Described>,
  known: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> => {
  const sizes: Record<string, number> = { ...known }
  for (const [name, { dtype, sizes: due }] of Object.entries(layout)) {
    const tensor = tensors.get(name)
    if (tensor === undefined) throw refusal(`${subject}: tensor ${named(name)} is missing`)
    const expected = due.map(size => (typeof size === 'string' ? (sizes[size] ?? size) : size))
    const fits =
      tensor.sizes.length === due.length &&
      expected.every((size, i) => typeof size === 'string' || size === tensor.sizes[i])
    if (tensor.dtype.toUpperCase() !== dtype || !fits) {
      const found = `${tensor.dtype.toUpperCase()} ${showSizes(tensor.sizes)}`
      throw refusal(`${subject}: tensor ${named(name)} is ${found}, where ${dtype} [${expected.join(', ')}] is due`)
    }
    due.forEach((size, i) => {
      if (typeof size === 'string') sizes[size] = tensor.sizes[i]!
    })
  }
  return sizes
}

/** Checks the tensors of a module against each other, and against the rank where one is due. */
export const checkModule = (
  subject: string,
  method: MethodName,
  path: string,
  tensors: ReadonlyMap<string, Described>,
  rank: number | undefined,
): Readonly<Record<string, number>> =>
  checkTensors(
    subject,
    name => `${name}.${path}`,
    layoutOf(method, tensors),
    tensors,
    rank === undefined ? {} : { r: rank },
  )

const kinds = { columns: 'column', entries: 'entry' } as const

/** An index is of things that there are, each once. */
export const checkIndex = (subject: string, name: keyof typeof kinds, path: string, index: Int32Array): void => {
  const what = kinds[name]
  const one = what === 'entry' ? 'an entry' : 'a column'
  const negative = index.find(i => i < 0)
  if (negative !== undefined) throw refusal(`${subject}: tensor ${name}.${path} holds the negative ${what} ${negative}`)
  if (new Set(index).size !== index.length) throw refusal(`${subject}: tensor ${name}.${path} holds ${one} twice`)
}

/** The ranks that the settings give to modules. Throws an `IoError` for an expression that is not supported. */
export const dueRank = (
  subject: string,
  { rank, rankPattern }: { readonly rank: number } & Pick<AdapterSettings, 'rankPattern'>,
): ((path: string) => number) => {
  const matcher = patternMatcher(`${subject}: rank_pattern`, rankPattern)
  if (E.isLeft(matcher)) throw refusal(matcher.left.message)
  return path => matcher.right(path) ?? rank
}

/**
 * Expressions in the settings are checked when an adapter is read or written, so that nothing trips over them later.
 */
export const checkPatterns = (subject: string, adapter: Adapter): void => {
  for (const result of [targetMatcher(adapter, isHead), patternMatcher('alpha_pattern', adapter.alphaPattern)]) {
    if (E.isLeft(result)) throw refusal(`${subject}: ${result.left.message}`)
  }
}

/** Checks an adapter against itself: dtypes, sizes, ranks, indices. Throws an `IoError` that begins with `subject`. */
export const checkAdapter = (subject: string, adapter: Adapter): void => {
  if (adapter.modules.size === 0) throw refusal(`${subject}: the adapter has no modules`)
  checkPatterns(subject, adapter)
  const due = adapter.method === 'full' || adapter.method === 'shira' ? () => undefined : dueRank(subject, adapter)
  const shared =
    adapter.method === 'vera'
      ? checkTensors(subject, name => name, sharedLayouts('vera'), new Map(Object.entries(adapter.shared)), {
          r: adapter.rank,
        })
      : {}
  for (const [path, module] of adapter.modules) {
    const sizes = checkModule(
      subject,
      adapter.method,
      path,
      new Map(Object.entries(tensorsOfModule(module))),
      due(path),
    )
    if (adapter.method === 'vera' && sizes['out']! > shared['out']!) {
      throw refusal(
        `${subject}: tensor vera_lambda_b.${path} has ${sizes['out']} numbers, more than the ${shared['out']} of vera_B`,
      )
    }
    if ('columns' in module) checkIndex(subject, 'columns', path, module.columns.data)
    if ('entries' in module) checkIndex(subject, 'entries', path, module.entries.data)
  }
  for (const path of adapter.whole?.keys() ?? []) {
    if (adapter.modules.has(path)) throw refusal(`${subject}: ${path} is adapted and saved whole: one of them is due`)
  }
}
