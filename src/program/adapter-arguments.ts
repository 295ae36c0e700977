import { stat } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import {
  checkBase,
  fitAdapters,
  loadAdapter,
  loadedFor,
  type AdapterSettings,
  type AnyLoaded,
  type Adapter,
  type WeightedAdapter,
} from '../io/index.ts'
import { fail, orThrow, type IoError } from '../text/index.ts'

type Quantize = NonNullable<AdapterSettings['quantize']>

/** An adapter's directory, and the adapter's weight. */
export interface AdapterUse {
  readonly directory: string
  readonly weight: number
}

const number = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i

/**
 * Reads `DIR` or `DIR:WEIGHT`. A path may contain a colon: if `isThere` finds a directory with the whole name, that
 * wins. Errors: a weight that is not a number; a text that names a directory both as a whole and without its weight.
 * @example adapterUse('definitions:0.5', () => false) // right { directory: 'definitions', weight: 0.5 }
 */
export const adapterUse = (text: string, isThere: (path: string) => boolean): E.Either<IoError, AdapterUse> => {
  const colon = text.lastIndexOf(':')
  const directory = text.slice(0, colon)
  const tail = text.slice(colon + 1)
  const weight = Number(tail)
  const weighted = colon > 0 && number.test(tail) && Number.isFinite(weight)
  const whole = isThere(text)
  if (weighted && whole && isThere(directory)) {
    return fail(
      `--adapter ${text}: there is a directory of this name, and ${directory} too: ` +
        `write ${text}:1 or ${directory}/:${tail}`,
    )
  }
  if (whole || colon < 0 || tail === '' || /[\\/]/.test(tail)) return E.right({ directory: text, weight: 1 })
  return weighted
    ? E.right({ directory, weight })
    : fail(`--adapter ${text}: behind the colon stands a weight, as in ${directory}:0.5`)
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    status => status.isDirectory(),
    () => false,
  )

const readUse = async (text: string): Promise<AdapterUse> => {
  const before = text.slice(0, Math.max(0, text.lastIndexOf(':')))
  const there = new Map([
    [text, await isDirectory(text)],
    [before, await isDirectory(before)],
  ])
  return orThrow(async () => adapterUse(text, path => there.get(path) === true))
}

/** A model with checked adapters for it, and warnings for the user. */
export interface BoundAdapters<L extends AnyLoaded> {
  readonly source: L
  readonly uses: readonly WeightedAdapter[]
  readonly warnings: readonly string[]
}

/** An adapter with its directory. */
interface Named {
  readonly directory: string
  readonly adapter: Adapter
  readonly weight: number
}

/** The precision in which the base is held, in words. */
const held = (quantize: Quantize | undefined): string =>
  quantize === undefined ? 'in full' : `in NF4${quantize.double ? '' : ' without double quantization'}`

/** Warns if an adapter was trained over a base that was quantized differently from the one that it is used on. */
const quantizeWarnings = ({ adapter, directory }: Named, base: Quantize | undefined): readonly string[] => {
  const { quantize: trained } = adapter
  if (trained === undefined || trained.double === base?.double) return []
  const flags = `--quantize nf4${trained.double ? '' : ' --no-double-quantize'}`
  return [
    `${directory}: it was trained over a base held ${held(trained)}, and this one is held ${held(base)}, ` +
      `so that the numbers are not those of the training: evaluate and generate take ${flags}`,
  ]
}

/** Binds adapters to a model: checks that they belong to it, and separates its head if one of them requires that. */
const bind = async <L extends AnyLoaded>(source: L, named: readonly Named[]): Promise<BoundAdapters<L>> => {
  const warnings: string[] = []
  for (const { adapter, directory } of named) {
    warnings.push(...(await orThrow(checkBase(adapter, source.checkpoint, directory))))
  }
  const parted = loadedFor(
    source,
    named.map(({ adapter }) => adapter),
  )
  const uses = fitAdapters(
    named.map(({ adapter, weight }) => ({ adapter, weight })),
    parted.checkpoint,
  )
  return { source: parted, uses, warnings }
}

/**
 * Loads adapters, named as `DIR` or `DIR:WEIGHT`, for a model in full precision or quantized. Errors are thrown with
 * one sentence.
 * @example const { source: model, uses } = await loadAdapters(source, ['my-adapter', 'another:0.5'])
 */
export const loadAdapters = async <L extends AnyLoaded>(
  source: L,
  adapters: readonly string[],
  quantize?: Quantize,
): Promise<BoundAdapters<L>> => {
  const named: Named[] = []
  for (const text of adapters) {
    const use = await readUse(text)
    named.push({ ...use, adapter: await orThrow(loadAdapter(use.directory)) })
  }
  const bound = await bind(source, named)
  return { ...bound, warnings: [...bound.warnings, ...named.flatMap(one => quantizeWarnings(one, quantize))] }
}

/** Loads one adapter from its directory, to continue from; the base is held as the adapter specifies. */
export const loadOne = async <L extends AnyLoaded>(source: L, directory: string): Promise<BoundAdapters<L>> =>
  bind(source, [{ directory, adapter: await orThrow(loadAdapter(directory)), weight: 1 }])
