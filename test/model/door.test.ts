import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { imageArchitectures, languageArchitectures, parameterSizes } from '../../src/model/index.ts'
import { configOf, imageConfigOf } from '../support/architectures.ts'

/** Architectures stay behind their door: outside of src/model no program text names one, or a leaf of one. */
const src = fileURLToPath(new URL('../../src/', import.meta.url))

/** The text of a program without its comments, line by line as it was. */
const withoutComments = (source: string): string =>
  source.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/[^\n]*/g, comment => comment.replaceAll(/[^\n]/g, ' '))

/** The names of architectures, and the words that the paths of their leaves are made of. */
const leafWords = new Set(
  [
    ...languageArchitectures.flatMap(architecture =>
      parameterSizes(architecture.model(configOf(architecture, { tie_word_embeddings: false }))),
    ),
    ...imageArchitectures.flatMap(architecture => parameterSizes(architecture.model(imageConfigOf(architecture)))),
  ].flatMap(([leaf]) => leaf.split('.').filter(word => word.includes('_'))),
)
const names = new RegExp(
  `\\b(${[...leafWords, ...imageArchitectures.map(({ name }) => name)].join('|')})\\b|${languageArchitectures.map(({ name }) => name).join('|')}`,
  'i',
)

/** Files that name architectures for another reason. */
const reasons: Readonly<Record<string, string>> = {
  'io/tokenizer/directory.ts': 'a tokenizer may have a token for the class of a text, as some models have for an image',
  'io/tokenizer/gguf.ts': 'tokenizers in GGUF files are called after the models that had them first',
  'io/tokenizer/pattern.ts': 'patterns of words are called after the models that had them first',
  'tune/method/ia3.ts': 'the modules that its paper adapts are its defaults, by the names that all architectures have',
  'tune/method/s2ft.ts':
    'the modules that its authors train are its defaults, by the names that all architectures have',
}

/** Folders whose files name published models: they compute the figures that a paper states of them. */
const ofPapers = ['program/reproduce/']

const named = (file: string, source: string): readonly string[] =>
  // the public entries list what the rooms offer
  file.startsWith('model/') ||
  !file.includes('/') ||
  Object.hasOwn(reasons, file) ||
  ofPapers.some(folder => file.startsWith(folder))
    ? []
    : withoutComments(source)
        .split('\n')
        .flatMap((line, i) => (names.test(line) ? [`src/${file}:${i + 1}: ${line.trim()}`] : []))

const sources = new Map(
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map(file => file.split(path.sep).join('/'))
    .filter(file => file.endsWith('.ts'))
    .map(file => [file, readFileSync(path.join(src, file), 'utf8')]),
)

test('no file outside of src/model names an architecture or a leaf of one', () => {
  assert.ok(sources.size > 100 && leafWords.has('q_proj') && leafWords.has('embed_tokens') && leafWords.has('q_norm'))
  assert.deepEqual(
    [...sources].flatMap(([file, source]) => named(file, source)),
    [],
  )
})

test('every exception names what it is excepted for', () => {
  for (const file of Object.keys(reasons)) assert.match(withoutComments(sources.get(file)!), names, file)
})

for (const [mutant, file, line] of [
  ['the name of a leaf', 'program/method.ts', "const targets = ['q_proj']"],
  ['the path of a leaf', 'io/adapter/head.ts', "const embedding = 'model.embed_tokens'"],
  ['a check of an architecture', 'train/step.ts', 'if (isLlama(model)) return 1'],
  ['a key of an architecture', 'io/gguf/model.ts', "metadata.get('qwen3.block_count')"],
  ['an image classifier', 'train/loop.ts', "if (name === 'vit') return 1"],
  ['a name behind an address', 'io/hub.ts', "const at = 'https://host' + 'llama'"],
] as const)
  test(`the test refutes ${mutant}`, () => {
    assert.equal(named(file, `/** q_proj of a LLaMA */ // lm_head\n${line}\n`).length, 1)
  })
