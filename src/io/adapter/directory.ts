import { join } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Shape, Value } from '../../tensor/index.ts'
import { toF32, valueOf, type Archive, type StoredValue } from '../checkpoint/archive.ts'
import { writeAtomically, type Content, readJsonObject } from '../../host/index.ts'
import { attempt, orThrow, refusal, type IoError } from '../../text/index.ts'
import { openSafetensors } from '../safetensors/read.ts'
import { leafOf, safetensorsBytes, type Leaf } from '../safetensors/write.ts'
import { fromStorage } from '../../model/index.ts'
import { layoutOf } from '../checkpoint/load.ts'
import { formOfModule, type Adapter, type AnyAdapter } from './adapter.ts'
import { checkFields, configOf, parseConfig, type AdapterConfig } from './config.ts'
import { checkAdapter, moduleTensors } from './layout.ts'
import { recordOf, type MethodName, type Tensors } from '../../tune/index.ts'
import { readPeft } from './peft-read.ts'

const weightsFile = 'adapter_model.safetensors'
const configFile = 'adapter_config.json'
const wholePrefix = 'modules_to_save.'
const bufferPrefix = 'buffers.'

/** The tensors of an adapter by their names in the file. */
const leavesOf = ({ modules, shared = {}, whole = new Map(), buffers = new Map() }: AnyAdapter): readonly Leaf[] => [
  ...[...modules].flatMap(([path, module]) =>
    Object.entries(module).map(([name, value]) => leafOf(`${name}.${path}`, value)),
  ),
  ...Object.entries(shared).map(([name, value]) => leafOf(name, value)),
  ...[...whole].map(([path, value]) => leafOf(`${wholePrefix}${path}`, value)),
  ...[...buffers].map(([path, value]) => leafOf(`${bufferPrefix}${path}`, value)),
]

/** The two files of an adapter. */
export const adapterFiles = (
  config: Readonly<Record<string, unknown>>,
  leaves: readonly Leaf[],
  format: string,
): Readonly<Record<string, Content>> => ({
  [weightsFile]: safetensorsBytes(leaves, { format }),
  [configFile]: `${JSON.stringify(config, null, 2)}\n`,
})

/**
 * Writes an adapter as a directory, all or nothing: `adapter_model.safetensors` (the name of a tensor, then the path of
 * its module: `columns.model.layers.0.self_attn.q_proj`) and `adapter_config.json`. Errors: arrays that disagree with
 * each other or with the rank, a destination that is not empty.
 * @example await saveAdapter('out', adapter)()
 */
export const saveAdapter = (directory: string, adapter: Adapter): TE.TaskEither<IoError, void> =>
  attempt(directory, async () => {
    checkAdapter(directory, adapter)
    await orThrow(writeAtomically(directory, adapterFiles(configOf(adapter), leavesOf(adapter), 'partensor')))
  })

/** The tensors of each module in a file; a tensor that belongs to no adapter of the method is refused. */
const namesByModule = (
  subject: string,
  method: MethodName,
  names: Iterable<string>,
): ReadonlyMap<string, readonly string[]> => {
  const kinds = moduleTensors(method)
  const shared = Object.keys(recordOf(method).shared)
  const modules = new Map<string, readonly string[]>()
  for (const name of names) {
    const dot = name.indexOf('.')
    const kind = name.slice(0, dot)
    const path = name.slice(dot + 1)
    const isBeside = [wholePrefix, bufferPrefix].some(prefix => name.startsWith(prefix) && name.length > prefix.length)
    if (shared.includes(name) || isBeside) continue
    if (dot < 0 || !kinds.includes(kind) || path === '')
      throw refusal(`${subject}: tensor ${name} belongs to no ${method} adapter`)
    modules.set(path, [...(modules.get(path) ?? []), kind])
  }
  return new Map([...modules].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const readStored = async (archive: Archive, name: string): Promise<StoredValue> => {
  const entry = archive.tensors.get(name)
  if (entry === undefined) throw refusal(`${archive.path}: tensor ${name} is missing`)
  return entry.read()
}

/** Reads a tensor in the form that adapters keep: float32 or integers. */
const readTensor = async (archive: Archive, name: string): Promise<Tensors[string]> => {
  const value = await readStored(archive, name)
  return value.dtype === 'i32' ? value : valueOf('f32', value.sizes, toF32(`${archive.path}: tensor ${name}`, value))
}

const readFloats = async (archive: Archive, name: string): Promise<Value<Shape>> => {
  const value = await readTensor(archive, name)
  if (value.dtype !== 'f32') throw refusal(`${archive.path}: tensor ${name} is not F32`)
  return value
}

/** The tensors whose names begin with a prefix, by the rest of their names. */
const readBelow = async (archive: Archive, prefix: string): Promise<ReadonlyMap<string, Value<Shape>>> => {
  const found = new Map<string, Value<Shape>>()
  for (const name of [...archive.tensors.keys()].filter(key => key.startsWith(prefix)).sort())
    found.set(name.slice(prefix.length), await readFloats(archive, name))
  return found
}

/** Converts a whole weight of version 1, which is [out, in] as in Hugging Face's files. */
const fromVersion1 = (method: MethodName, path: string, module: Tensors): Tensors => {
  const form = formOfModule(method, module)
  return Object.fromEntries(
    Object.entries(module).map(([name, value]) => {
      if (value.dtype !== 'f32' || form[name]?.sizes.join() !== 'in,out') return [name, value]
      const { sizes, data } = fromStorage(layoutOf(path), value)
      return [name, valueOf('f32', sizes, data)]
    }),
  )
}

const readModules = async (
  archive: Archive,
  { version, origin, settings, method, rank }: AdapterConfig,
): Promise<Adapter> => {
  const byModule = namesByModule(archive.path, method, archive.tensors.keys())
  const modules = new Map<string, Tensors>()
  for (const [path, names] of byModule) {
    const tensors: [string, Tensors[string]][] = []
    for (const name of names) tensors.push([name, await readTensor(archive, `${name}.${path}`)])
    const module = Object.fromEntries(tensors)
    modules.set(path, version === 1 ? fromVersion1(method, path, module) : module)
  }
  const whole = await readBelow(archive, wholePrefix)
  const buffers = await readBelow(archive, bufferPrefix)
  const shared: [string, Value<Shape>][] = []
  for (const name of Object.keys(recordOf(method).shared)) shared.push([name, await readFloats(archive, name)])
  // `checkAdapter` finds out whether the tensors are those of the method
  const adapter = {
    ...origin,
    ...settings,
    method,
    ...(rank === undefined ? {} : { rank }),
    ...(shared.length > 0 ? { shared: Object.fromEntries(shared) } : {}),
    modules,
    ...(whole.size > 0 ? { whole } : {}),
    ...(buffers.size > 0 ? { buffers } : {}),
  } as unknown as Adapter
  checkAdapter(archive.path, adapter)
  return adapter
}

/**
 * Reads an adapter: a directory that `saveAdapter` wrote, or one that PEFT wrote (LoRA, DoRA, VeRA, MiSS, SHiRA).
 * Errors: a missing or broken file, a field or array that does not fit the others or is not supported; each names the
 * file, and the field or tensor.
 * @example const adapter = await loadAdapter('out')()
 */
export const loadAdapter = (directory: string): TE.TaskEither<IoError, Adapter> =>
  attempt(directory, async () => {
    const file = join(directory, configFile)
    const json = await orThrow(readJsonObject(file))
    const open = async <A>(read: (archive: Archive) => Promise<A>): Promise<A> => {
      const archive = await orThrow(openSafetensors(join(directory, weightsFile)))
      try {
        return await read(archive)
      } finally {
        await archive.close()
      }
    }
    if (!('format_version' in json) && 'peft_type' in json) return open(archive => readPeft(archive, file, json))
    const config = await orThrow(async () => parseConfig(file, json))
    checkFields(file, json)
    return open(archive => readModules(archive, config))
  })
