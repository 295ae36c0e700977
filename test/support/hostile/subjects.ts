import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { readZipEntry } from '../../../src/host/index.ts'
import {
  encodeChat,
  loadAdapter,
  loadShapes,
  loadTokenizer,
  loadValues,
  openCheckpoint,
  openSafetensors,
  openSharded,
  readImage,
  readLabelled,
  readPreprocessing,
  readRows,
  renderChat,
  type Archive,
  type Tokenizer,
} from '../../../src/io/index.ts'
import { checkFile } from '../../../src/program/index.ts'
import { ioError, orThrow, type IoError } from '../../../src/text/index.ts'
import { tinyTokenizer } from '../tokenizers.ts'
import { anyBytes, edgeBytes, jsonBytes, jsonLines, safetensors, textFrom, type Change } from './bytes.ts'
import { filler, ggufFiller, type Filler } from './fillers.ts'
import { csvPieces, templatePieces } from './pieces.ts'
import { talk, valid, type Makes } from './valid.ts'

/** A parser with a maker of valid files: the subject of every law on hostile files. */
export interface Subject {
  readonly name: string
  readonly valid: Makes
  /** The changes that are made to each attacked file. */
  readonly attacked: Readonly<Record<string, Change>>
  /** Reads everything that the folder holds; rejects with an `IoError` if it refuses a file. */
  readonly open: (folder: string) => Promise<unknown>
  /** Files as large as is asked for, which describe as much as they can. */
  readonly full?: Readonly<Record<string, readonly Filler[]>>
  /** Bytes that the subject may take in addition: what a picture is decoded to. */
  readonly allowed?: number
}

/** Reads every tensor of an opened file. */
const whole = async (task: TE.TaskEither<IoError, Pick<Archive, 'tensors' | 'close'>>): Promise<unknown> => {
  const archive = await orThrow(task)
  try {
    for (const entry of archive.tensors.values()) await entry.read()
    return archive
  } finally {
    await archive.close()
  }
}

/** Encodes, decodes and renders with the tokenizer of a folder, which whoever renders a conversation has to name. */
const used = async (folder: string, tokenizer: Tokenizer | undefined): Promise<unknown> => {
  if (tokenizer === undefined) return undefined
  const { ids } = await orThrow(async () => tokenizer.encodeWithOffsets('Hello the world,\n 12 tests \u{1d11e}'))
  const { chat } = tokenizer
  const text = tokenizer.decode(ids)
  if (chat === undefined) return text
  const rendered = await orThrow(async () =>
    pipe(
      renderChat(chat, talk, { addGenerationPrompt: true }),
      E.mapLeft(({ message }) => ioError(`${folder}: ${message}`)),
    ),
  )
  // a template may be one whose turns cannot be told apart
  return [text, rendered, E.isRight(encodeChat(tokenizer, talk))]
}

const binary: Change = (bytes, dice) => (dice.once(2) ? anyBytes : edgeBytes)(bytes, dice)
const adapters = (name: string, files: Makes): Subject => ({
  name,
  valid: files,
  attacked: { 'adapter_config.json': jsonBytes, 'adapter_model.safetensors': safetensors },
  open: folder => orThrow<unknown>(loadAdapter(folder)),
  full: { 'adapter_config.json': filler.json },
})
const inFolder = async (folder: string): Promise<unknown> =>
  used(folder, await orThrow(loadTokenizer({ kind: 'huggingface', path: folder })))

/** Every parser of the project. */
export const subjects: readonly Subject[] = [
  {
    name: 'safetensors',
    valid: valid.safetensors,
    attacked: { 'a.safetensors': safetensors },
    open: folder => whole(openSafetensors(join(folder, 'a.safetensors'))),
    full: { 'a.safetensors': filler.safetensors },
  },
  {
    name: 'values',
    valid: valid.values,
    attacked: { 'a.safetensors': safetensors },
    open: folder => loadValues(join(folder, 'a.safetensors')),
  },
  {
    name: 'shards',
    valid: valid.shards,
    attacked: { 'a.index.json': jsonBytes },
    open: folder => whole(openSharded(join(folder, 'a.index.json'))),
    full: { 'a.index.json': filler.json },
  },
  {
    name: 'gguf',
    valid: valid.gguf,
    attacked: { 'a.gguf': binary },
    open: async folder => {
      const checkpoint = await orThrow(openCheckpoint(join(folder, 'a.gguf')))
      try {
        for (const entry of checkpoint.tensors.values()) await entry.read()
        return await used(folder, await orThrow(loadTokenizer(checkpoint)))
      } finally {
        await checkpoint.close()
      }
    },
    full: { 'a.gguf': ggufFiller },
  },
  {
    name: 'rows',
    valid: valid.rows,
    attacked: { 'a.jsonl': jsonLines },
    open: async folder =>
      orThrow<unknown>(readRows(join(folder, 'a.jsonl'), { tokenizer: await tinyTokenizer(), seq: 64 })),
    full: { 'a.jsonl': filler.lines },
  },
  {
    name: 'image rows',
    valid: valid.imageRows,
    attacked: { 'a.jsonl': jsonLines },
    open: folder => orThrow<unknown>(readLabelled(join(folder, 'a.jsonl'))),
  },
  {
    name: 'csv',
    valid: valid.csv,
    attacked: { 'a.csv': textFrom(csvPieces) },
    open: folder => orThrow<unknown>(readLabelled(join(folder, 'a.csv'))),
    full: { 'a.csv': filler.csv },
  },
  {
    name: 'tokenizer',
    valid: valid.tokenizers,
    attacked: {
      'tokenizer.json': jsonBytes,
      'tokenizer_config.json': jsonBytes,
      'special_tokens_map.json': jsonBytes,
      'added_tokens.json': jsonBytes,
      'generation_config.json': jsonBytes,
    },
    open: inFolder,
    full: { 'tokenizer.json': filler.json },
  },
  {
    name: 'template',
    valid: valid.templates,
    attacked: { 'chat_template.jinja': textFrom(templatePieces) },
    open: inFolder,
    full: { 'chat_template.jinja': filler.template },
  },
  {
    name: 'config',
    valid: valid.configs,
    attacked: { 'config.json': jsonBytes },
    open: folder => orThrow<unknown>(loadShapes(join(folder, 'config.json'))),
    full: { 'config.json': filler.json },
  },
  {
    name: 'model',
    valid: valid.model,
    attacked: { 'config.json': jsonBytes, 'model.safetensors': safetensors },
    open: folder => whole(openCheckpoint(folder)),
  },
  {
    name: 'preprocessor',
    valid: valid.preprocessors,
    attacked: { 'preprocessor_config.json': jsonBytes, 'config.json': jsonBytes },
    open: folder => orThrow<unknown>(readPreprocessing(folder)),
  },
  adapters('adapter', valid.adapters),
  adapters('peft', valid.peft),
  {
    name: 'certificate',
    valid: valid.certificate,
    attacked: { 'c.json': jsonBytes },
    open: folder => checkFile(join(folder, 'c.json')),
    full: { 'c.json': filler.json },
  },
  {
    name: 'zip',
    valid: valid.zip,
    attacked: { 'a.zip': binary },
    open: async folder => {
      let bytes = 0
      for await (const piece of readZipEntry(join(folder, 'a.zip'), 'a', 1e6)) bytes += piece.length
      return bytes
    },
  },
  {
    name: 'image',
    valid: valid.images,
    attacked: { x: binary },
    open: folder => orThrow<unknown>(readImage(join(folder, 'x'))),
    allowed: 2 ** 30,
  },
]
