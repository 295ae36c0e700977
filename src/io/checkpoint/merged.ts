import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { f32ToBf16, f32ToF16 } from '../../tensor/index.ts'
import { changes, checkBase, fitAdapters, mergedWeight, type WeightedAdapter } from '../adapter/index.ts'
import { valueOf, type Entry, type StoredDType, type StoredValue } from './archive.ts'
import { writeAtomically, type Content, ifThere, readJsonObject, readWhole } from '../../host/index.ts'
import { attempt, orThrow, refusal, type IoError, isRecord } from '../../text/index.ts'
import { described, fromStorage, relabelled, toStorage, type Layout } from '../../model/index.ts'
import { entriesOf, type Checkpoint } from './checkpoint.ts'
import { checkRange } from './finite.ts'
import { safetensorsBytes, type Leaf } from '../safetensors/write.ts'
import { withHeadFor } from './head.ts'
import { ggufTokenizer, type TokenizerDescription } from '../tokenizer/gguf.ts'

/** The types in which a model can be written. */
export type FloatDType = Exclude<StoredDType, 'i32'>

const namesOfTypes: { readonly [D in FloatDType]: string } = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' }

/** The type of a tensor in the new file: its own, or float32 if it is quantized. */
const dtypeOf = ({ dtype }: Entry): FloatDType => (dtype === 'BF16' ? 'bf16' : dtype === 'F16' ? 'f16' : 'f32')

const stored = ({ name, sizes }: Entry, data: Float32Array, dtype: FloatDType): StoredValue => {
  if (dtype !== 'f32') checkRange(`tensor ${name}`, dtype, sizes, data)
  switch (dtype) {
    case 'f32':
      return valueOf('f32', sizes, data)
    case 'bf16':
      return valueOf('bf16', sizes, f32ToBf16(data))
    case 'f16':
      return valueOf('f16', sizes, f32ToF16(data))
  }
}

/** A parameter with adapters merged into it, as it is stored; read, changed and rounded when its turn comes. */
const leafOfEntry = (
  path: string,
  entry: Entry,
  layout: Layout,
  uses: readonly WeightedAdapter[],
  dtype: FloatDType,
): Leaf => {
  const { sizes } = entry
  const read = async (): Promise<StoredValue> => {
    if (!changes(uses, path))
      return dtype === dtypeOf(entry) ? entry.read() : stored(entry, await orThrow(entry.readF32()), dtype)
    const data = await orThrow(entry.readF32())
    const leaf = fromStorage(layout, { sizes, data })
    const merged = mergedWeight(uses, path, valueOf('f32', leaf.sizes, leaf.data))
    return stored(entry, toStorage(layout, merged).data, dtype)
  }
  return { name: entry.name, dtype, sizes, read }
}

/** The type of most numbers in the new file. */
const mainDType = (leaves: readonly Leaf[]): FloatDType => {
  const numbers = (dtype: FloatDType): number =>
    leaves.filter(leaf => leaf.dtype === dtype).reduce((n, { sizes }) => n + sizes.reduce((a, b) => a * b, 1), 0)
  return (['f32', 'bf16', 'f16'] as const).reduce((most, dtype) => (numbers(dtype) > numbers(most) ? dtype : most))
}

type Json = Readonly<Record<string, unknown>>
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** The other files of a Hugging Face directory that are copied. */
const companions = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
  'preprocessor_config.json',
  'LICENSE',
]

/** The files that accompany the weights, and notes on those that cannot be written. */
interface Beside {
  readonly config: Json
  readonly files: Readonly<Record<string, Content>>
  readonly notes: readonly string[]
}

const noTokenizer = (path: string): string => `${path} has no tokenizer, and neither has the merged model`

const fromDirectory = async ({ path, task }: Checkpoint): Promise<Beside> => {
  const config = await orThrow(readJsonObject(join(path, 'config.json')))
  const files: Record<string, Content> = {}
  for (const name of companions) {
    const content = await orThrow(ifThere(readWhole(join(path, name))))
    if (content !== undefined) files[name] = content
  }
  const isComplete = task !== 'text' || 'tokenizer.json' in files || 'tokenizer.model' in files
  return { config, files, notes: isComplete ? [] : [noTokenizer(path)] }
}

/** Describes the tokens around a sequence in the place where transformers reads them. */
const wrapping = (processor: unknown, vocabulary: unknown): unknown => {
  const single: unknown = isRecord(processor) ? processor['single'] : undefined
  if (!isRecord(processor) || !Array.isArray(single) || !isRecord(vocabulary)) return processor
  const tokens = single.flatMap((piece: unknown) =>
    isRecord(piece) && isRecord(piece['SpecialToken']) ? [String(piece['SpecialToken']['id'])] : [],
  )
  const second = single.map((piece: unknown) =>
    isRecord(piece) && 'Sequence' in piece ? { Sequence: { id: 'B', type_id: 1 } } : piece,
  )
  const described = tokens.map(token => [token, { id: token, ids: [vocabulary[token]], tokens: [token] }])
  return { ...processor, pair: [...single, ...second], special_tokens: Object.fromEntries(described) }
}

/**
 * The tokenizer.json that transformers reads, from the metadata of a GGUF file; it is more complete than our own reader
 * needs.
 */
const tokenizerFiles = ({
  tokenizer,
  bosToken,
  eosToken,
  chatSource,
}: TokenizerDescription): Readonly<Record<string, Content>> => ({
  'tokenizer.json': json({
    version: '1.0',
    truncation: null,
    padding: null,
    ...tokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    post_processor: wrapping(
      tokenizer['post_processor'],
      isRecord(tokenizer['model']) ? tokenizer['model']['vocab'] : undefined,
    ),
  }),
  'tokenizer_config.json': json({
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...(bosToken === undefined ? {} : { bos_token: bosToken }),
    ...(eosToken === undefined ? {} : { eos_token: eosToken }),
    ...(chatSource === undefined ? {} : { chat_template: chatSource }),
  }),
})

const fromGguf = (checkpoint: Checkpoint): Beside => {
  const { path, metadata } = checkpoint
  const tokenizer = ggufTokenizer(path, metadata)
  const note = E.isLeft(tokenizer)
    ? `the tokenizer could not be written: ${tokenizer.left.message}`
    : tokenizer.right === undefined
      ? noTokenizer(path)
      : undefined
  const files = E.isRight(tokenizer) && tokenizer.right ? tokenizerFiles(tokenizer.right) : {}
  return { config: described(checkpoint).json(), files, notes: note === undefined ? [] : [note] }
}

/** A config that describes the head of a base. */
const withHeadOf = (base: Checkpoint, config: Json): Json =>
  base.task === 'text'
    ? { ...config, tie_word_embeddings: base.config.tie_word_embeddings }
    : relabelled(config, described(base).json())

export interface MergedOptions {
  /** The type of all tensors (default: that of the source, or float32 if it is quantized). */
  readonly dtype?: FloatDType | undefined
  /** Called before each tensor is read. If it throws, the export ends, and nothing is written. */
  readonly onTensor?: (() => Promise<void>) | undefined
}

/**
 * Writes a model with adapters merged into it as a Hugging Face directory that transformers loads: config.json,
 * model.safetensors and the files of the tokenizer, all or nothing. It works parameter by parameter, so the whole model
 * is never in memory. Errors: an adapter of another base, a destination that is not empty. `notes` describe what could
 * not be written.
 * @example await saveMerged('merged', checkpoint, [{ adapter }], { dtype: 'bf16' })()
 */
export const saveMerged = (
  directory: string,
  checkpoint: Checkpoint,
  uses: readonly WeightedAdapter[],
  { dtype, onTensor }: MergedOptions = {},
): TE.TaskEither<IoError, { readonly notes: readonly string[] }> =>
  attempt(directory, async () => {
    for (const { adapter, weight = 1 } of uses) {
      if (!Number.isFinite(weight))
        throw refusal(`${directory}: the weight of an adapter is ${weight}: expected a number`)
      await orThrow(checkBase(adapter, checkpoint))
    }
    const base = withHeadFor(
      checkpoint,
      uses.map(({ adapter }) => adapter),
    )
    const fitted = fitAdapters(uses, base)
    const leaves = [...entriesOf(base)]
      .map(([path, entry]) =>
        leafOfEntry(path, entry, base.architecture.stored(path).layout, fitted, dtype ?? dtypeOf(entry)),
      )
      .map((leaf): Leaf => ({
        ...leaf,
        read: async () => {
          await onTensor?.()
          return leaf.read()
        },
      }))
    const { config, files, notes } =
      checkpoint.kind === 'huggingface' ? await fromDirectory(checkpoint) : fromGguf(checkpoint)
    // the weights are no longer quantized; `torch_dtype` is the field that earlier versions of transformers read
    const { quantization_config: _, torch_dtype: __, ...plain } = config
    const main = namesOfTypes[mainDType(leaves)]
    await orThrow(
      writeAtomically(directory, {
        'config.json': json({
          ...withHeadOf(base, plain),
          dtype: main,
          torch_dtype: main,
        }),
        ...files,
        'model.safetensors': safetensorsBytes(leaves, { format: 'pt' }),
      }),
    )
    return { notes }
  })
