import { createHash } from 'node:crypto'
import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { elementCount, showSizes, type Archive, type Entry } from './archive.ts'
import { unpackedTensors, withoutQuantization } from './bitsandbytes.ts'
import { exists, readJsonObject, statusOf } from '../../host/index.ts'
import { attempt, orThrow, refusal, type IoError } from '../../text/index.ts'
import { openGguf } from '../gguf/archive.ts'
import { ggufModel, ggufTensors } from '../gguf/model.ts'
import {
  described,
  parseConfig,
  stateSizes,
  storedSizes,
  type Derived,
  type ModelDescription,
  type Task,
} from '../../model/index.ts'
import { moduleOf } from '../../tune/index.ts'
import { resolveTiedHead } from './tied-head.ts'
import { openWeights } from './weights.ts'

/** The files of a model, of any format: Hugging Face names, [out, in] weights, read one by one. */
export interface CheckpointFiles {
  readonly kind: 'huggingface' | 'gguf'
  readonly path: string
  /**
   * The parameters of the model, no more and no less, in the order of the network; each was checked against the config.
   */
  readonly tensors: ReadonlyMap<string, Entry>
  /** The parameters in the files, if not all of `tensors` are in them. */
  readonly original?: ReadonlyMap<string, Entry>
  /** The metadata of the file; for a GGUF file they include the tokenizer and the chat template. */
  readonly metadata: Archive['metadata']
  /** Warnings about how the files were read, one sentence each. */
  readonly warnings: readonly string[]
  close(): Promise<void>
}

/** An opened model: its architecture and config, and its files. */
export type Checkpoint<T extends Task = Task> = Extract<
  (ModelDescription<'text'> & CheckpointFiles) | (ModelDescription<'images'> & CheckpointFiles),
  { readonly task: T }
>

/** A model as its files describe it, before the comparison with their tensors. */
type Described = ModelDescription & { readonly tensors: ReadonlyMap<string, Entry> }

/**
 * The tensors of a model by the paths of their leaves, or of their modules if those have a `weight`.
 * @example entriesOf(checkpoint).get('model.layers.0.self_attn.q_proj')?.sizes
 */
export const entriesOf = (
  checkpoint: ModelDescription & Pick<CheckpointFiles, 'tensors'>,
): ReadonlyMap<string, Entry> =>
  new Map(
    stateSizes(described(checkpoint).model()).flatMap(([path]) => {
      const entry = checkpoint.tensors.get(checkpoint.architecture.stored(path).name)
      return entry === undefined ? [] : [[moduleOf(path), entry] as const]
    }),
  )

/** The most names that a message lists. */
const listed = 8
/** Tensors by name, in words. @example tensorsNamed(['a', 'b']) // 'tensors a and b' */
const tensorsNamed = (names: readonly string[]): string => {
  const [more, shown] = [names.length - listed, names.slice(0, listed)]
  const all = more > 0 ? [...shown, `${more} more`] : shown
  return all.length === 1 ? `tensor ${all[0]}` : `tensors ${all.slice(0, -1).join(', ')} and ${all.at(-1)}`
}

/** The parameters that the config requires, with the required sizes. Nothing is read or allocated here. */
const select = (path: string, of: Described): ReadonlyMap<string, Entry> => {
  const { architecture, tensors } = of
  const selected = new Map<string, Entry>()
  const due = stateSizes(described(of).model()).map(([leaf, own]) => [architecture.stored(leaf), own] as const)
  for (const [{ name, layout }, own] of due) {
    const sizes = storedSizes(layout, own)
    const entry = tensors.get(name)
    if (entry === undefined) continue
    if (showSizes(entry.sizes) !== showSizes(sizes)) {
      throw refusal(
        `${path}: tensor ${name} has the sizes ${showSizes(entry.sizes)}, where the config asks for ${showSizes(sizes)}`,
      )
    }
    if (/^([IU]\d+|BOOL|F64|F8_.*)$/.test(entry.dtype))
      throw refusal(`${path}: tensor ${name} is stored as ${entry.dtype}, which no weight can be`)
    selected.set(name, entry)
  }
  const missing = due.flatMap(([{ name }]) => (selected.has(name) ? [] : [name]))
  if (missing.length > 0)
    throw refusal(`${path}: ${tensorsNamed(missing)} ${missing.length === 1 ? 'is' : 'are'} missing`)
  return selected
}

/** Checks that numbers that follow from the config are the expected ones. */
const checkDerived = async (subject: string, entry: Entry, { values, what }: Derived): Promise<void> => {
  if (values === undefined) return
  const found = elementCount(entry.sizes) === values.length ? await orThrow(entry.readF32()) : undefined
  // up to the precision of 16 bits
  const fits = found?.every((x, i) => Math.abs(x - values[i]!) <= 0.01 * values[i]! + 1e-7) ?? false
  if (!fits) throw refusal(`${subject}: it does not hold ${what}`)
}

/** Refuses a tensor that is not a parameter of the model: its effect would be missing in every result. */
const checkUnread = async (path: string, of: Described, selected: ReadonlyMap<string, Entry>): Promise<void> => {
  const { derived: derivedOf } = described(of)
  const others = [...of.tensors].filter(([name]) => !selected.has(name))
  const unknown = others.flatMap(([name, entry]) => (derivedOf(name) === undefined ? [entry.name] : []))
  if (unknown.length > 0)
    throw refusal(
      `${path}: ${tensorsNamed(unknown)}: the model that the config describes has no such ` +
        (unknown.length === 1 ? 'parameter' : 'parameters'),
    )
  for (const [name, entry] of others) await checkDerived(`${path}: tensor ${entry.name}`, entry, derivedOf(name)!)
}

/** The tensors under the names that they are saved under; a tensor with an alias gets its other name. */
const withOneName = <D extends Described>(of: D): D => {
  const names = new Map(
    stateSizes(described(of).model()).flatMap(([leaf]) => {
      const { name, alias } = of.architecture.stored(leaf)
      return alias === undefined || of.tensors.has(name) ? [] : [[alias, name] as const]
    }),
  )
  if (names.size === 0) return of
  const tensors = [...of.tensors].map(([key, entry]) => {
    const name = names.get(key) ?? key
    return [name, { ...entry, name }] as const
  })
  return { ...of, tensors: new Map(tensors) }
}

/** Finishes opening; on any failure the archive is closed. */
const finish = async (
  kind: Checkpoint['kind'],
  path: string,
  archive: Archive & Partial<Pick<Checkpoint, 'warnings'>>,
  describe: () => Promise<Described>,
): Promise<Checkpoint> => {
  try {
    const { warnings, ...found } = await resolveTiedHead(archive.path, withOneName(await describe()))
    const selected = select(archive.path, found)
    await checkUnread(archive.path, found, selected)
    return {
      ...found,
      kind,
      path,
      tensors: selected,
      metadata: archive.metadata,
      warnings: [...(archive.warnings ?? []), ...warnings],
      close: archive.close,
    }
  } catch (error) {
    await archive.close()
    throw error
  }
}

/** The model that a config.json describes, and if its weights are packed. Rejects with an `IoError`. */
export const readConfig = async (
  file: string,
): Promise<{ readonly description: ModelDescription; readonly isPacked: boolean }> => {
  const json = await orThrow(readJsonObject(file))
  const description = await orThrow(TE.fromEither(parseConfig(withoutQuantization(json, file), file)))
  return { description, isPacked: (json['quantization_config'] ?? null) !== null }
}

const openDirectory = async (path: string): Promise<Checkpoint> => {
  const file = join(path, 'config.json')
  if (await orThrow(exists(join(path, 'adapter_config.json')))) {
    throw refusal(
      `${path}: it holds an adapter (adapter_config.json): name its base as the model, and this directory as the adapter`,
    )
  }
  const { isPacked, description } = await readConfig(file)
  const archive = await openWeights(path)
  return finish('huggingface', path, archive, async () => {
    const tensors = await unpackedTensors(archive.path, archive.tensors)
    if (isPacked && ![...tensors.values()].some(({ dtype }) => dtype === 'NF4')) {
      throw refusal(
        `${file}: quantization_config says that weights are packed, and ${archive.path} holds none that are`,
      )
    }
    return { ...description, tensors }
  })
}

const openFile = async (path: string): Promise<Checkpoint> => {
  const archive = await orThrow(openGguf(path))
  return finish('gguf', path, archive, async () => {
    const description = await ggufModel(archive)
    return { ...description, tensors: ggufTensors(archive, description) }
  })
}

/**
 * Opens a model: a Hugging Face directory (config.json with model.safetensors, or its shards; also in bitsandbytes'
 * NF4) or a GGUF file. The presence and sizes of every parameter are checked before anything is read. Errors: a
 * missing, truncated or inconsistent file, a config or tensor that does not fit, an unsupported model; each names its
 * file and field.
 * @example const checkpoint = await openCheckpoint('SmolLM2-135M-Instruct.Q4_1.gguf')()
 */
export const openCheckpoint = (path: string): TE.TaskEither<IoError, Checkpoint> =>
  attempt(path, async () => ((await statusOf(path)).isDirectory() ? openDirectory(path) : openFile(path)))

const pieces = 4
const pieceBytes = 16384

/**
 * A fingerprint of the weights, in hexadecimal, that ties an adapter to its base: SHA-256 over every parameter in the
 * order of its name. The hash covers the name, the stored dtype, the sizes, and then the stored bytes: all of them up
 * to 64 KiB, otherwise four pieces of 16 KiB, evenly spaced, including the first and the last bytes. It depends neither
 * on the path nor on the division into shards, and reads at most 64 KiB per parameter. It is no protection against
 * someone who changes other bytes on purpose. Errors: a file that can no longer be read.
 * @example const hash = await hashOf(checkpoint)()
 */
export const hashOf = ({
  path,
  tensors,
  original = tensors,
}: Pick<CheckpointFiles, 'path' | 'tensors' | 'original'>): TE.TaskEither<IoError, string> =>
  attempt(path, async () => {
    const hash = createHash('sha256')
    const stored = [...original].filter(([, { copyOf }]) => copyOf === undefined)
    for (const [name, entry] of stored.sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${JSON.stringify([name, entry.dtype, entry.sizes])}\n`)
      if (entry.byteLength <= pieces * pieceBytes) hash.update(await entry.readRaw(0, entry.byteLength))
      else {
        const step = (entry.byteLength - pieceBytes) / (pieces - 1)
        for (let i = 0; i < pieces; i++) hash.update(await entry.readRaw(Math.floor(i * step), pieceBytes))
      }
    }
    return hash.digest('hex')
  })
