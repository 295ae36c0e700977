import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { renderChat, type Message } from '../../src/io/chat/chat.ts'
import { openGguf } from '../../src/io/gguf/archive.ts'
import { cacheDirectory, smolLM2 } from '../../src/io/hub.ts'
import { ggufTokenizer } from '../../src/io/tokenizer/gguf.ts'
import { decodeNext, decodeRest, decodeStart, loadTokenizer, type Tokenizer } from '../../src/io/tokenizer/tokenizer.ts'
import { message, right, tinyMetadata, tinyTokenizer } from '../support/tokenizers.ts'

interface Case {
  readonly text: string
  readonly ids: readonly number[]
  readonly greedy_16: readonly number[]
  readonly greedy_text: string
}
interface Golden {
  readonly cases: readonly Case[]
  readonly chat: { readonly messages: readonly Message[]; readonly ids: readonly number[]; readonly text: string }
}

const model = join(cacheDirectory(), smolLM2.file)
const without = existsSync(model) ? false : `left out: ${smolLM2.name} is not in the cache (npm start downloads it)`

test('SmolLM2: ids, texts and chat equal those of transformers', { skip: without }, async () => {
  const golden: Golden = JSON.parse(await readFile(new URL('../golden/smollm2.json', import.meta.url), 'utf8'))
  const archive = right(await openGguf(model)())
  const tokenizer = right(await loadTokenizer({ kind: 'gguf', path: model, metadata: archive.metadata })())
  await archive.close()
  assert.ok(tokenizer?.chat)
  for (const { text, ids, greedy_16, greedy_text } of golden.cases) {
    assert.deepEqual(tokenizer.encode(text), ids)
    assert.equal(tokenizer.decode(ids), text)
    assert.equal(tokenizer.decode(greedy_16), greedy_text)
  }
  const rendered = right(renderChat(tokenizer.chat, golden.chat.messages, { addGenerationPrompt: true }))
  assert.equal(rendered, golden.chat.text)
  assert.deepEqual(tokenizer.encode(rendered, { special: false }), golden.chat.ids)
  assert.deepEqual([tokenizer.bos, tokenizer.eos, tokenizer.vocabSize, [...tokenizer.stop]], [1, 2, 49152, [2]])
})

test('merges are applied, special tokens are never split, digits stand alone', async () => {
  const tokenizer = await tinyTokenizer()
  const texts = (text: string): readonly string[] => tokenizer.encode(text).map(id => tokenizer.decode([id]))
  assert.deepEqual(texts('hello the<|im_end|>12'), ['hello', ' the', '<|im_end|>', '1', '2'])
  assert.equal(tokenizer.vocabSize, 266)
  assert.equal(tokenizer.decode([1, 104, 2], { special: false }), tokenizer.decode([104]))
  assert.equal(tokenizer.decode([]), '')
  assert.equal(tokenizer.decode([100000]), '', 'ids beyond the vocabulary have no text')
})

const unicode = fc.string({ unit: 'grapheme', maxLength: 30 })

test('decoding undoes encoding', async () => {
  const tokenizer = await tinyTokenizer()
  fc.assert(fc.property(unicode, text => tokenizer.decode(tokenizer.encode(text)) === text))
})

type Stream = (tokenizer: Tokenizer, ids: readonly number[]) => readonly string[]

const streamed: Stream = (tokenizer, ids) => {
  let state = decodeStart
  const pieces = ids.map(id => {
    const next = decodeNext(tokenizer, state, id)
    state = next.state
    return next.text
  })
  return [...pieces, decodeRest(tokenizer, state)]
}

const streamsWell = (tokenizer: Tokenizer, stream: Stream) =>
  fc.property(unicode, text => {
    const pieces = stream(tokenizer, tokenizer.encode(text))
    return pieces.join('') === text && !pieces.some(piece => piece.includes('\uFFFD'))
  })

test('streamed pieces join to the text and never hold half a character; decoding token by token does not (mutant)', async () => {
  const tokenizer = await tinyTokenizer()
  fc.assert(streamsWell(tokenizer, streamed))
  assert.throws(() => fc.assert(streamsWell(tokenizer, (tokenizer, ids) => ids.map(id => tokenizer.decode([id])))))
})

test('bytes that are no UTF-8 are handed out in the end, all of them', async () => {
  const tokenizer = await tinyTokenizer()
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 3, max: 258 }), { maxLength: 12 }),
      ids => streamed(tokenizer, ids).join('') === tokenizer.decode(ids),
    ),
  )
})

test('a sequence is wrapped in bos and eos where the model says so, and only a whole one', async () => {
  const tokenizer = await tinyTokenizer({ 'tokenizer.ggml.add_bos_token': true, 'tokenizer.ggml.add_eos_token': true })
  const inner = tokenizer.encode('hello', { special: false })
  assert.deepEqual(tokenizer.encode('hello'), [1, ...inner, 2])
})

test('Llama 3: digits in threes, whole words without merging, bos by default', async () => {
  const tokenizer = await tinyTokenizer({ 'tokenizer.ggml.pre': 'llama-bpe' })
  assert.equal(tokenizer.encode('hello')[0], 1)
  assert.equal(tokenizer.decode(tokenizer.encode("IT'S 12345\n\n ½", { special: false })), "IT'S 12345\n\n ½")
})

test('every id that ends a text is known', async () => {
  const tokenizer = await tinyTokenizer({ 'tokenizer.ggml.eot_token_id': 0 })
  assert.deepEqual([...tokenizer.stop], [2, 0])
})

test('GGUF metadata that cannot be used gets one clear sentence', async () => {
  const refusal = (changes: Readonly<Record<string, unknown>>): string =>
    message(ggufTokenizer('m.gguf', tinyMetadata(changes)))
  assert.match(
    refusal({ 'tokenizer.ggml.model': 'llama' }),
    /^m\.gguf: only byte-level BPE tokenizers .* this one is "llama"/,
  )
  assert.match(refusal({ 'tokenizer.ggml.merges': undefined }), /^m\.gguf: only byte-level BPE/)
  assert.match(
    refusal({ 'tokenizer.ggml.pre': 'tekken' }),
    /^m\.gguf: unknown tokenizer\.ggml\.pre "tekken"; known are .*smollm/,
  )
  assert.match(refusal({ 'tokenizer.ggml.token_type': [1, 2] }), /do not fit each other/)
  assert.match(refusal({ 'tokenizer.ggml.tokens': [1, 2] }), /do not fit each other/)
  assert.match(
    refusal({ 'tokenizer.ggml.tokens': ['a', 'b', 'a'], 'tokenizer.ggml.token_type': undefined }),
    /^m\.gguf: the token "a" stands twice in tokenizer\.ggml\.tokens$/,
  )
  for (const id of [1e6, '7', 1.5, -1, true]) {
    for (const name of ['bos', 'eos', 'eot', 'eom']) {
      assert.match(
        refusal({ [`tokenizer.ggml.${name}_token_id`]: id }),
        new RegExp(
          `^m\\.gguf: tokenizer\\.ggml\\.${name}_token_id is ${JSON.stringify(id)}, which is none of the 266 tokens$`,
        ),
      )
    }
  }
  const badTemplate = loadTokenizer({
    kind: 'gguf',
    path: 'm.gguf',
    metadata: tinyMetadata({ 'tokenizer.chat_template': '{% if %}' }),
  })
  assert.match(message(await badTemplate()), /^m\.gguf: the chat template does not parse/)
  assert.equal(right(await loadTokenizer({ kind: 'gguf', path: 'm.gguf', metadata: new Map() })()), undefined)
})

const directoryOf = async (
  files: Readonly<Record<string, unknown>>,
  use: (path: string) => Promise<void>,
): Promise<void> => {
  const path = await mkdtemp(join(tmpdir(), 'partensor-tokenizer-'))
  try {
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(path, name), typeof content === 'string' ? content : JSON.stringify(content))
    }
    await use(path)
  } finally {
    await rm(path, { recursive: true })
  }
}

test('a Hugging Face directory gives the same tokenizer as GGUF', async () => {
  const description = right(ggufTokenizer('tiny.gguf', tinyMetadata()))
  assert.ok(description)
  const [fromGguf, text] = [await tinyTokenizer(), 'hello the 1½٣ <|im_start|>数学']
  const pretokenizers = [
    { type: 'Digits', individual_digits: true },
    { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  ]
  await directoryOf(
    {
      'tokenizer.json': { ...description.tokenizer, pre_tokenizer: { type: 'Sequence', pretokenizers } },
      'tokenizer_config.json': {
        bos_token: '<|im_start|>',
        eos_token: { content: '<|im_end|>' },
        pad_token: '<|im_end|>',
        unk_token: null,
        chat_template: [
          { name: 'tool_use', template: 'tools' },
          { name: 'default', template: '{{ pad_token }} {{ unk_token is defined }} from the config' },
        ],
      },
      'generation_config.json': { eos_token_id: [2, 0] },
    },
    async path => {
      const tokenizer = right(await loadTokenizer({ kind: 'huggingface', path })())
      assert.ok(tokenizer?.chat)
      assert.deepEqual(tokenizer.encode(text), fromGguf.encode(text))
      assert.deepEqual([tokenizer.bos, tokenizer.eos, tokenizer.vocabSize, [...tokenizer.stop]], [1, 2, 266, [2, 0]])
      assert.equal(right(renderChat(tokenizer.chat, [])), '<|im_end|> False from the config')
      assert.equal(right(renderChat(tokenizer.chat, [], { tools: [] })), 'tools')
      await writeFile(join(path, 'chat_template.jinja'), 'from its own file')
      const again = right(await loadTokenizer({ kind: 'huggingface', path })())
      assert.ok(again?.chat)
      assert.equal(right(renderChat(again.chat, [], { tools: [] })), 'from its own file')
      await mkdir(join(path, 'additional_chat_templates'))
      await writeFile(join(path, 'additional_chat_templates', 'tool_use.jinja'), 'tools, in another file')
      const last = right(await loadTokenizer({ kind: 'huggingface', path })())
      assert.ok(last?.chat)
      assert.equal(right(renderChat(last.chat, [], { tools: [] })), 'tools, in another file')
    },
  )
})

test('a directory without a tokenizer has none; a broken one gets a sentence with its file', async () => {
  await directoryOf({}, async path =>
    assert.equal(right(await loadTokenizer({ kind: 'huggingface', path })()), undefined),
  )
  await directoryOf({ 'tokenizer.json': '{' }, async path =>
    assert.match(message(await loadTokenizer({ kind: 'huggingface', path })()), /tokenizer\.json: .*JSON/),
  )
  await directoryOf({ 'tokenizer.json': [] }, async path =>
    assert.match(
      message(await loadTokenizer({ kind: 'huggingface', path })()),
      /tokenizer\.json: it is not a JSON object/,
    ),
  )
  await directoryOf({ 'tokenizer.json': { model: { type: 'Magic' } } }, async path =>
    assert.match(
      message(await loadTokenizer({ kind: 'huggingface', path })()),
      /tokenizer\.json: this tokenizer is not supported/,
    ),
  )
})
