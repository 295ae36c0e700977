import { join } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Shape, Value } from '../tensor/index.ts'
import { configOf, parseConfig, type AdapterConfig, type AdapterOrigin, type Method } from './adapter-config.ts'
import { showSizes, type Archive, type StoredValue } from './archive.ts'
import { writeAtomically } from './atomic.ts'
import { hashOf, type Checkpoint } from './checkpoint.ts'
import { attempt, orThrow, refusal, type IoError } from './error.ts'
import { readJsonObject } from './file.ts'
import { openSafetensors } from './safetensors.ts'
import { leafOf, safetensorsBytes, type Leaf } from './safetensors-write.ts'

/** What PaCA trained of one module. A column of the [out, in] weight is one row here, so all arrays are [rank, out]. */
export interface PacaModule {
  /** [rank] input features, each once. */
  readonly columns: Value<Shape, 'i32'>
  /** [rank, out] the trained columns. */
  readonly values: Value<Shape, 'f32'>
  /** [rank, out] the base's own columns: writing them back restores the base bit for bit. */
  readonly base: Value<Shape, 'f32'>
}

/**
 * An adapter, by module path (`model.layers.0.self_attn.q_proj`: the parameter's name without `.weight`).
 * `full` holds whole weights, [out, in] as in Hugging Face ([hidden] for a norm), and no base: that is the base model itself.
 */
export type Adapter =
  | AdapterOrigin & { readonly method: 'paca', readonly rank: number, readonly modules: ReadonlyMap<string, PacaModule> }
  | AdapterOrigin & { readonly method: 'full', readonly modules: ReadonlyMap<string, { readonly values: Value<Shape, 'f32'> }> }

const weightsFile = 'adapter_model.safetensors'
const configFile = 'adapter_config.json'

const leavesOf = (adapter: Adapter): readonly Leaf[] => adapter.method === 'full'
  ? [...adapter.modules].map(([path, { values }]) => leafOf(`values.${path}`, values))
  : [...adapter.modules].flatMap(([path, { columns, values, base }]) =>
    [leafOf(`columns.${path}`, columns), leafOf(`values.${path}`, values), leafOf(`base.${path}`, base)])

/** A tensor of the file, as far as its header says. */
interface Described { readonly dtype: string, readonly sizes: readonly number[] }

/** Requires a tensor of these sizes, where a word stands for any size. */
const expectArray = (
  subject: string, tensors: ReadonlyMap<string, Described>, name: string, dtype: string, due: readonly (number | string)[],
): Described => {
  const tensor = tensors.get(name)
  if (tensor === undefined) throw refusal(`${subject}: tensor ${name} is missing`)
  const fits = tensor.sizes.length === due.length && due.every((size, i) => typeof size === 'string' || size === tensor.sizes[i])
  if (tensor.dtype.toUpperCase() !== dtype || !fits) {
    throw refusal(`${subject}: tensor ${name} is ${tensor.dtype.toUpperCase()} ${showSizes(tensor.sizes)}, where ${dtype} [${due.join(', ')}] is due`)
  }
  return tensor
}

/** Checks names, dtypes and sizes against the method; answers the module paths in order. */
const modulePaths = (subject: string, method: Method, rank: number, tensors: ReadonlyMap<string, Described>): readonly string[] => {
  const kinds = method === 'paca' ? ['columns', 'values', 'base'] : ['values']
  const paths = new Set<string>()
  for (const name of tensors.keys()) {
    const dot = name.indexOf('.')
    if (!kinds.includes(name.slice(0, dot)) || dot === name.length - 1) throw refusal(`${subject}: tensor ${name} belongs to no ${method} adapter`)
    paths.add(name.slice(dot + 1))
  }
  if (paths.size === 0) throw refusal(`${subject}: the adapter has no modules`)
  for (const path of paths) {
    if (method === 'full') {
      const sizes = tensors.get(`values.${path}`)?.sizes ?? []
      expectArray(subject, tensors, `values.${path}`, 'F32', sizes.length === 1 ? ['out'] : ['out', 'in'])
    } else {
      expectArray(subject, tensors, `columns.${path}`, 'I32', [rank])
      const { sizes } = expectArray(subject, tensors, `values.${path}`, 'F32', [rank, 'out'])
      expectArray(subject, tensors, `base.${path}`, 'F32', sizes)
    }
  }
  return [...paths].sort()
}

const checkColumns = (subject: string, path: string, columns: Int32Array): void => {
  const negative = columns.find(column => column < 0)
  if (negative !== undefined) throw refusal(`${subject}: tensor columns.${path} holds the negative column ${negative}`)
  if (new Set(columns).size !== columns.length) throw refusal(`${subject}: tensor columns.${path} holds a column twice`)
}

const rankOf = (adapter: Adapter): number => adapter.method === 'paca' ? adapter.rank : 0

const checkAdapter = (subject: string, adapter: Adapter): void => {
  modulePaths(subject, adapter.method, rankOf(adapter), new Map(leavesOf(adapter).map(leaf => [leaf.name, leaf])))
  if (adapter.method === 'paca') for (const [path, { columns }] of adapter.modules) checkColumns(subject, path, columns.data)
}

/**
 * Writes an adapter as a directory, whole or not at all: `adapter_model.safetensors` (`columns.`, `values.` and `base.` + module path)
 * and `adapter_config.json`.
 * Errors: arrays that disagree with each other or with the rank, a destination that is not empty.
 * @example await saveAdapter('out', adapter)()
 */
export const saveAdapter = (directory: string, adapter: Adapter): TE.TaskEither<IoError, void> => attempt(directory, async () => {
  checkAdapter(directory, adapter)
  await orThrow(writeAtomically(directory, {
    [weightsFile]: safetensorsBytes(leavesOf(adapter), { format: 'partensor' }),
    [configFile]: `${JSON.stringify(configOf({ origin: adapter, method: adapter.method, rank: rankOf(adapter) }), null, 2)}\n`,
  }))
})

const readModules = async (archive: Archive, { origin, method, rank }: AdapterConfig): Promise<Adapter> => {
  const paths = modulePaths(archive.path, method, rank, archive.tensors)
  const stored = async (name: string): Promise<StoredValue> => {
    const entry = archive.tensors.get(name)
    if (entry === undefined) throw refusal(`${archive.path}: tensor ${name} is missing`)
    return entry.read()
  }
  const floats = async (name: string): Promise<Value<Shape, 'f32'>> => {
    const value = await stored(name)
    if (value.dtype !== 'f32') throw refusal(`${archive.path}: tensor ${name} is not F32`)
    return value
  }
  const integers = async (path: string): Promise<Value<Shape, 'i32'>> => {
    const value = await stored(`columns.${path}`)
    if (value.dtype !== 'i32') throw refusal(`${archive.path}: tensor columns.${path} is not I32`)
    checkColumns(archive.path, path, value.data)
    return value
  }
  const read = async <M>(module: (path: string) => Promise<M>): Promise<ReadonlyMap<string, M>> => {
    const modules = new Map<string, M>()
    for (const path of paths) modules.set(path, await module(path))
    return modules
  }
  return method === 'full'
    ? { ...origin, method, modules: await read(async path => ({ values: await floats(`values.${path}`) })) }
    : {
      ...origin, method, rank,
      modules: await read(async path =>
        ({ columns: await integers(path), values: await floats(`values.${path}`), base: await floats(`base.${path}`) })),
    }
}

/**
 * Reads an adapter that `saveAdapter` wrote.
 * Errors: a missing or broken file, a field or array that does not fit the others, named by file and field or tensor.
 * @example const adapter = await loadAdapter('out')()
 */
export const loadAdapter = (directory: string): TE.TaskEither<IoError, Adapter> => attempt(directory, async () => {
  const file = join(directory, configFile)
  const json = await orThrow(readJsonObject(file))
  const config = await orThrow(async () => parseConfig(file, json))
  const archive = await orThrow(openSafetensors(join(directory, weightsFile)))
  try {
    return await readModules(archive, config)
  } finally {
    await archive.close()
  }
})

/**
 * Whether an adapter belongs to a base: the base's hash, and every module and column exists there with its width. `subject` begins the message.
 * @example await checkBase(adapter, checkpoint, 'out')()
 */
export const checkBase = (adapter: Adapter, checkpoint: Checkpoint, subject = 'the adapter'): TE.TaskEither<IoError, void> =>
  attempt(subject, async () => {
    const hash = await orThrow(hashOf(checkpoint))
    if (hash !== adapter.baseModelHash) {
      throw refusal(`${subject}: it was trained on another base, ${adapter.baseModelName} (hash ${adapter.baseModelHash.slice(0, 12)}), ` +
        `than ${checkpoint.path} (hash ${hash.slice(0, 12)})`)
    }
    for (const [path, module] of adapter.modules) {
      const due = checkpoint.tensors.get(`${path}.weight`)?.sizes
      if (due === undefined) throw refusal(`${subject}: the base has no module ${path}`)
      if ('columns' in module) checkFit(subject, path, module, due)
      else if (showSizes(module.values.sizes) !== showSizes(due)) {
        throw refusal(`${subject}: ${path} is ${showSizes(module.values.sizes)}, in the base ${showSizes(due)}`)
      }
    }
  })

const checkFit = (subject: string, path: string, { columns, values }: PacaModule, due: readonly number[]): void => {
  const [out, width = 0] = due
  if (values.sizes[1] !== out) throw refusal(`${subject}: ${path} holds columns of ${values.sizes[1]} numbers, in the base they have ${out}`)
  const beyond = columns.data.find((column: number) => column >= width)
  if (beyond !== undefined) throw refusal(`${subject}: ${path} holds column ${beyond}, in the base there are ${width}`)
}
