import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { makeTokenizer, type Tokenizer } from '../../../src/io/tokenizer/tokenizer.ts'
import { right } from '../../support/tokenizers.ts'

type Json = Readonly<Record<string, unknown>>
interface Case {
  readonly base: string
  readonly changes: Json
  readonly ids: string
  readonly text: string
}

/**
 * The golden values, made by make_tokenizers.py; more of them in the directory that PARTENSOR_GOLDEN_TOKENIZER names.
 */
const directory =
  process.env['PARTENSOR_GOLDEN_TOKENIZER'] ?? new URL('../../golden/tokenizer', import.meta.url).pathname
const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(`${directory}/${name}`, 'utf8'))
const texts = (await read('texts.json')) as readonly string[]
const { bases, cases } = (await read('tokenizers.json')) as {
  readonly bases: Readonly<Record<string, Json>>
  readonly cases: Readonly<Record<string, Case>>
}

const merged = (base: Json, { model, ...changes }: Json): Json => ({
  ...base,
  ...changes,
  ...(model === undefined ? {} : { model: { ...(base['model'] as Json), ...(model as Json) } }),
})

const load = ({ base, changes }: Case): Tokenizer =>
  right(
    makeTokenizer({
      subject: 'tokenizer.json',
      tokenizer: merged(bases[base]!, changes),
      bosToken: undefined,
      eosToken: undefined,
      stop: [],
      chatSource: undefined,
    }),
  )

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 4)

/** Texts whose ids or whose decoded text are not those of `tokenizers`. */
const differing = (golden: Case, tokenizer: Tokenizer): readonly string[] =>
  texts.filter((text, i) => {
    const ids = tokenizer.encode(text)
    const expected = (digests: string): string => digests.slice(4 * i, 4 * i + 4)
    const shown = `${tokenizer.decode(ids, { special: false })}\n${tokenizer.decode(ids)}`
    return digest(ids.join(',')) !== expected(golden.ids) || digest(shown) !== expected(golden.text)
  })

for (const [name, golden] of Object.entries(cases)) {
  test(`${name}: ids and text of ${texts.length} random texts are those of tokenizers`, () => {
    assert.equal(golden.ids.length, 4 * texts.length)
    assert.deepEqual(differing(golden, load(golden)), [])
  })
}

test('a tokenizer that differs in one option is found out (mutants)', () => {
  const mutants: readonly (readonly [name: string, changes: Json])[] = [
    [
      'SentencePiece BPE by Metaspace',
      { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: false } },
    ],
    ['whole words first', { model: { ignore_merges: false } }],
    ['unknown tokens fused', { model: { byte_fallback: false, fuse_unk: false } }],
    ['Digits True', { pre_tokenizer: bases['bytes']!['pre_tokenizer'] }],
    [
      'added tokens: lstrip',
      {
        added_tokens: (cases['added tokens: lstrip']!.changes['added_tokens'] as readonly Json[]).map(token => ({
          ...token,
          lstrip: false,
        })),
      },
    ],
    ['WordPiece', { decoder: { type: 'WordPiece', prefix: '##', cleanup: false } }],
  ]
  for (const [name, changes] of mutants) {
    const golden = cases[name]!
    assert.notDeepEqual(differing(golden, load({ ...golden, changes: { ...golden.changes, ...changes } })), [], name)
  }
})
