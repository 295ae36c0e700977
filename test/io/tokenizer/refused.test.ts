import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { makeTokenizer } from '../../../src/io/tokenizer/tokenizer.ts'
import { message, right } from '../../support/tokenizers.ts'

type Json = Readonly<Record<string, unknown>>
const { bases } = JSON.parse(
  await readFile(new URL('../../golden/tokenizer/tokenizers.json', import.meta.url), 'utf8'),
) as { readonly bases: Readonly<Record<string, Json>> }

const made = (base: string, { model, ...changes }: Json) =>
  makeTokenizer({
    subject: 't.json',
    tokenizer: { ...bases[base], ...changes, model: { ...(bases[base]!['model'] as Json), ...(model as Json) } },
    bosToken: undefined,
    eosToken: undefined,
    stop: [],
    chatSource: undefined,
  })
const split = (pattern: unknown, more: Json = {}): Json => ({
  pre_tokenizer: { type: 'Split', pattern, behavior: 'Isolated', invert: false, ...more },
})
const regex = (Regex: string): Json => split({ Regex })

const unsupported: readonly (readonly [base: string, changes: Json, what: string])[] = [
  ['unigram', { normalizer: { type: 'Precompiled', precompiled_charsmap: 'ALQC' } }, 'normalizer is Precompiled'],
  [
    'bytes',
    { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Nmt' }] } },
    'normalizer.normalizers[1] is Nmt',
  ],
  ['bytes', { normalizer: { type: 'Lowercase', locale: 'tr' } }, 'normalizer is Lowercase with the field "locale"'],
  ['bytes', { pre_tokenizer: { type: 'UnicodeScripts' } }, 'pre_tokenizer is UnicodeScripts'],
  ['bytes', { pre_tokenizer: { type: 'CharDelimiterSplit', delimiter: 'a' } }, 'pre_tokenizer is CharDelimiterSplit'],
  ['bytes', { pre_tokenizer: { type: 'FixedLength', length: 3 } }, 'pre_tokenizer is FixedLength'],
  [
    'bytes',
    split({ Regex: 'a' }, { behavior: 'Deleted' }),
    'pre_tokenizer is Split with "behavior" "Deleted" (known are Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous)',
  ],
  ['bytes', split({ Glob: 'a*' }), 'pre_tokenizer is Split with a pattern of the kind "Glob"'],
  [
    'metaspace',
    { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'last' } },
    'pre_tokenizer is Metaspace with "prepend_scheme" "last" (known are always, first, never)',
  ],
  [
    'bytes',
    { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, utf16: true } },
    'pre_tokenizer is ByteLevel with the field "utf16"',
  ],
  ['bytes', { model: { continuing_subword_prefix: '##' } }, 'model is BPE with "continuing_subword_prefix"'],
  ['bytes', { model: { end_of_word_suffix: '</w>' } }, 'model is BPE with "end_of_word_suffix" and no "unk_token"'],
  ['bytes', { model: { dropout: 0.1 } }, 'model is BPE with "dropout", which draws other ids every time'],
  ['bytes', { model: { alpha: 0.1 } }, 'model is BPE with the field "alpha"'],
  ['bytes', { model: { type: 'Magic' } }, 'model is Magic'],
  [
    'bytes',
    { decoder: { type: 'CTC', pad_token: '<pad>', word_delimiter_token: '|', cleanup: true } },
    'decoder is CTC',
  ],
  [
    'bytes',
    { decoder: { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Reverse' }] } },
    'decoder.decoders[1] is Reverse',
  ],
  [
    'bytes',
    { post_processor: { type: 'Sequence', processors: [{ type: 'Magic' }] } },
    'post_processor.processors[0] is Magic',
  ],
  [
    'bytes',
    {
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'B', type_id: 0 } }],
        pair: [],
        special_tokens: {},
      },
    },
    'post_processor is TemplateProcessing with {"Sequence":{"id":"B","type_id":0}} in "single"',
  ],
  [
    'bytes',
    {
      post_processor: {
        type: 'Sequence',
        processors: [1, 2].map(() => ({ type: 'BertProcessing', sep: ['a', 1], cls: ['b', 2] })),
      },
    },
    'post_processor is Sequence with more than one that adds tokens',
  ],
  ['bytes', { vocab_hash: 'x' }, 'it has the field "vocab_hash"'],
  ['bytes', { version: '2.0' }, 'its version is "2.0", not "1.0"'],
]
test('what is not known to do as tokenizers does is refused by the file, the component and the field', () => {
  for (const [base, changes, what] of unsupported) {
    assert.equal(message(made(base, changes)), `t.json: this tokenizer is not supported: ${what}`)
  }
})

const wrong: readonly (readonly [base: string, changes: Json, sentence: string])[] = [
  ['bytes', { pre_tokenizer: { add_prefix_space: true } }, 'pre_tokenizer names no "type"'],
  ['bytes', { pre_tokenizer: 'ByteLevel' }, 'pre_tokenizer must be an object, not "ByteLevel"'],
  [
    'bytes',
    { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: 'yes' } },
    'pre_tokenizer ByteLevel: "add_prefix_space" must be true or false, not "yes"',
  ],
  [
    'bytes',
    { pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Isolated' } },
    'pre_tokenizer Split: "invert" is missing',
  ],
  [
    'bytes',
    split({ String: '' }),
    'pre_tokenizer Split: "pattern" must hold a "String" or a "Regex", not {"String":""}',
  ],
  [
    'metaspace',
    { pre_tokenizer: { type: 'Metaspace', replacement: '▁', add_prefix_space: false } },
    'pre_tokenizer Metaspace: "add_prefix_space" is false, but "prepend_scheme" is "always"',
  ],
  [
    'metaspace',
    { pre_tokenizer: { type: 'Metaspace', replacement: '__' } },
    'pre_tokenizer Metaspace: "replacement" must be one character',
  ],
  ['bytes', { model: { merges: [['a', 'b', 'c']] } }, 'model BPE: the merge ["a","b","c"] is not a pair of tokens'],
  ['bytes', { model: { merges: ['a b c'] } }, 'model BPE: the merge "a b c" is not a pair of tokens'],
  [
    'bytes',
    { model: { merges: [['q', 'z']] } },
    'model BPE: the merge ["q","z"] needs the token "qz", which is not in the vocabulary',
  ],
  ['bytes', { model: { unk_token: '<nil>' } }, 'model BPE: "unk_token" "<nil>" is not in the vocabulary'],
  [
    'bytes',
    { model: { byte_fallback: true } },
    'model BPE: "byte_fallback" needs a token for every byte, and <0x00> is missing',
  ],
  ['bytes', { model: { vocab: ['a'] } }, 'model BPE: "vocab" must be an object of tokens with their ids'],
  ['unigram', { model: { unk_id: null } }, 'model Unigram: "unk_id" is missing'],
  [
    'unigram',
    { model: { unk_id: 1e6 } },
    `model Unigram: "unk_id" 1000000 is none of the ${((bases['unigram']!['model'] as Json)['vocab'] as readonly unknown[]).length} tokens`,
  ],
  [
    'unigram',
    {
      model: {
        vocab: [
          ['<unk>', 0],
          ['a', null],
        ],
      },
    },
    'model Unigram: entry 1 of "vocab" must be a token and its score, not ["a",null]',
  ],
  [
    'unigram',
    {
      model: {
        vocab: [
          ['<unk>', 0],
          ['a', 1],
          ['a', 2],
        ],
      },
    },
    'model Unigram: the token "a" stands twice in "vocab"',
  ],
  ['wordlevel', { model: { unk_token: '<nil>' } }, 'model WordLevel: "unk_token" "<nil>" is not in the vocabulary'],
  [
    'wordpiece',
    { model: { max_input_chars_per_word: 1.5 } },
    'model WordPiece: "max_input_chars_per_word" must be a whole number, not 1.5',
  ],
  [
    'bytes',
    {
      added_tokens: [
        { id: 470, content: 'A', normalized: true },
        { id: 471, content: 'a', normalized: true },
      ],
      normalizer: { type: 'Lowercase' },
    },
    'the added token "A" has the id 470, but tokenizers gives it 34, which it has already',
  ],
  [
    'bytes',
    {
      added_tokens: [
        { id: 470, content: 'AB', normalized: true },
        { id: 471, content: 'aB', normalized: true },
      ],
      normalizer: { type: 'Lowercase' },
    },
    'the added tokens "AB" and "aB" are the same once they are normalized',
  ],
  [
    'bytes',
    {
      added_tokens: [{ id: 470, content: '  ', normalized: true }],
      normalizer: { type: 'Strip', strip_left: true, strip_right: true },
    },
    'the added token "  " is empty once it is normalized',
  ],
  [
    'bytes',
    { added_tokens: [{ id: 470, content: 'x', stripped: true }] },
    'this tokenizer is not supported: added_tokens[0] is AddedToken with the field "stripped"',
  ],
  [
    'bytes',
    {
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: 'x', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [],
        special_tokens: {},
      },
    },
    'post_processor TemplateProcessing: "special_tokens" lacks "x"',
  ],
  [
    'bytes',
    {
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: 'x', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [],
        special_tokens: { x: { ids: ['7'] } },
      },
    },
    'post_processor TemplateProcessing: the ids of the token "x" must be whole numbers, not ["7"]',
  ],
  [
    'bytes',
    { post_processor: { type: 'BertProcessing', sep: ['a', 1], cls: ['b', 5000] } },
    'post_processor: the id 5000 belongs to no token',
  ],
]
test('what contradicts itself, or is not what its name says, is refused by its name', () => {
  for (const [base, changes, sentence] of wrong) assert.equal(message(made(base, changes)), `t.json: ${sentence}`)
})

test('what an expression has that engines read in different ways is refused by name', () => {
  for (const [pattern, what] of [
    ['\\bword', '\\b'],
    ['\\h+', '\\h'],
    ['\\R', '\\R'],
    ['(a)\\1', '\\1'],
    ['[[:alpha:]]', 'a class inside a class'],
    ['[a&&b]', 'an intersection of classes'],
    ['(?<name>a)', 'the group (?<'],
    ['(?m:.)', 'the group (?m'],
    ['(?i)a', 'the group (?i'],
    ['a{2}+', 'a repeated repetition'],
    ['(?=a)*', 'a repeated assertion'],
    ['(?i:groß)', '"ß" under (?i:'],
    ['(?i:stop)', 'letters under (?i: that make a ligature'],
    ['\\p{Emoji}', 'the property \\p{Emoji}'],
    ['\\p{^L}', 'the property \\p{^L}'],
    ['[a', 'a class without an end'],
    ['(a', 'a group without an end'],
    ['a)', 'a bracket that opens nothing'],
    ['*', '* with nothing before it'],
    ['[]a]', 'a character class that begins with ]'],
    ['[z-a]', 'a range that is empty'],
    ['[\\d-z]', 'a range between sets'],
    ['a\\', 'a backslash at its end'],
    ['[^a[^b]]', 'a class inside a class'],
    ['\\x{110000}', 'no character \\x{110000}'],
  ] as const) {
    assert.equal(
      message(made('bytes', regex(pattern))),
      `t.json: pre_tokenizer Split: ${JSON.stringify(pattern)} has ${what}, which is not supported`,
    )
  }
})

test('a pattern that backtracks for ever is searched in linear time, or refused by name when a text takes a second', () => {
  const evil = '(?:a|b|ab)+c'
  const text = 'ab'.repeat(30)
  assert.equal(right(made('bytes', regex(evil))).decode([]), '')
  assert.ok(right(made('bytes', regex(evil))).encode(text).length > 0)
  const looking = right(made('bytes', regex(`${evil}(?!d)`)))
  assert.ok(looking.encode('hello').length > 0)
  assert.match(
    message(looking.encodeWithOffsets(text)),
    /^t\.json: pre_tokenizer Split: the expression "\(\?:a\|b\|ab\)\+c\(\?!d\)" searches a text of 60 characters for more than a second$/,
  )
})

test('half a character is no text to encode', () => {
  const tokenizer = right(made('bytes', {}))
  assert.match(
    message(tokenizer.encodeWithOffsets('ab\ud800c')),
    /^a text holds half a character, "\\ud800", behind 2 others$/,
  )
  assert.ok(tokenizer.encode('ab\ud83d\ude00c').length > 0)
})
