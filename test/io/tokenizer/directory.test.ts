import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadTokenizer, type Tokenizer } from '../../../src/io/tokenizer/tokenizer.ts'
import { message, right } from '../../support/tokenizers.ts'

type Json = Readonly<Record<string, unknown>>
interface Case {
  readonly files: Readonly<Record<string, Json>>
  readonly bos: number | null
  readonly eos: number | null
  readonly ids: readonly (readonly number[])[]
  readonly texts: readonly string[]
}
interface Golden {
  readonly tokenizer: Json
  readonly texts: readonly string[]
  readonly cases: Readonly<Record<string, Case>>
}

/** The results of transformers for such directories, made by make_directories.py. */
const golden: Golden = JSON.parse(
  await readFile(new URL('../../golden/tokenizer/directories.json', import.meta.url), 'utf8'),
)
const model = golden.tokenizer['model'] as Json
const vocab = model['vocab'] as Readonly<Record<string, number>>

const loaded = async (files: Readonly<Record<string, unknown>>) => {
  const path = await mkdtemp(join(tmpdir(), 'partensor-directory-'))
  try {
    for (const [name, content] of Object.entries({ 'tokenizer.json': golden.tokenizer, ...files })) {
      await writeFile(
        join(path, name),
        typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
      )
    }
    return await loadTokenizer({ kind: 'huggingface', path })()
  } finally {
    await rm(path, { recursive: true })
  }
}
const load = async (files: Readonly<Record<string, unknown>>): Promise<Tokenizer> =>
  right(await loaded(files)) ?? assert.fail()
/** The sentence, from the name of the file on. */
const refused = async (files: Readonly<Record<string, unknown>>): Promise<string> =>
  message(await loaded(files)).replace(/^\S*partensor-directory-\w+\//, '')

for (const [name, { files, bos, eos, ids, texts }] of Object.entries(golden.cases)) {
  test(`${name}: bos, eos and ids are those of transformers`, async () => {
    const tokenizer = await load(files)
    assert.deepEqual(
      golden.texts.map(text => tokenizer.encode(text)),
      ids,
    )
    assert.deepEqual([tokenizer.bos ?? null, tokenizer.eos ?? null], [bos, eos])
    assert.deepEqual(
      ids.map(row => tokenizer.decode(row, { special: false })),
      texts,
    )
  })
}

test('a directory whose files beside it are forgotten is found out (mutant)', async () => {
  const plain = await load({})
  const forgets = Object.values(golden.cases).filter(
    ({ ids }) => JSON.stringify(golden.texts.map(text => plain.encode(text))) !== JSON.stringify(ids),
  )
  assert.ok(forgets.length >= 8)
})

test('tokens that no file names are those of the ids that config.json and generation_config.json name', async () => {
  const named = await load({
    'config.json': { bos_token_id: vocab['<s>'], eos_token_id: [vocab['</s>'], 5] },
    'generation_config.json': { eos_token_id: 7 },
  })
  assert.deepEqual([named.bos, named.eos, [...named.stop]], [vocab['<s>'], 7, [7, vocab['</s>'], 5]])
  const both = await load({
    'tokenizer_config.json': { eos_token: '</s>' },
    'generation_config.json': { eos_token_id: [3, 4] },
    'config.json': { eos_token_id: null },
  })
  assert.deepEqual([both.eos, [...both.stop]], [vocab['</s>'], [vocab['</s>'], 3, 4]])
})

test('ids that are none are refused, with the file and the token', async () => {
  const withVocab = (changes: Json): Json => ({
    ...golden.tokenizer,
    model: { ...model, vocab: { ...vocab, ...changes } },
  })
  for (const id of ['7', null, 1.5, -1, true, [1]]) {
    const shown = JSON.stringify(id).replace(/[[\].]/g, '\\$&')
    assert.match(
      await refused({ 'tokenizer.json': withVocab({ hello: id }) }),
      new RegExp(`^tokenizer\\.json: model BPE: the id of the token "hello" must be a whole number, not ${shown}$`),
    )
    assert.match(
      await refused({
        'tokenizer.json': { ...golden.tokenizer, added_tokens: [{ id, content: '<s>', special: true }] },
      }),
      new RegExp(
        `^tokenizer\\.json: added_tokens\\[0\\] AddedToken: the id of "<s>" must be a whole number, not ${id === null ? 'missing' : shown}$`,
      ),
    )
    assert.match(
      await refused({ 'added_tokens.json': { '<new>': id } }),
      new RegExp(`^added_tokens\\.json: the id of the token "<new>" must be a whole number, not ${shown}$`),
    )
    if (id === null) continue
    for (const file of ['config.json', 'generation_config.json']) {
      for (const field of ['eos_token_id', 'bos_token_id']) {
        assert.match(
          await refused({ [file]: { [field]: [3, id] } }),
          new RegExp(`^${file}: ${field} must be a token id or a list of them, not `),
        )
      }
    }
    if (typeof id !== 'string')
      assert.match(
        await refused({ 'tokenizer_config.json': { eos_token: id } }),
        /^tokenizer_config\.json: eos_token must be a token, not /,
      )
  }
  assert.match(
    await refused({ 'tokenizer_config.json': { added_tokens_decoder: { x: { content: '<new>' } } } }),
    /^tokenizer_config\.json: added_tokens_decoder: "x" is no id of a token$/,
  )
})

test('ids that two tokens share, that leave holes, or that tokenizers would not keep are refused', async () => {
  const last = Object.keys(vocab).length
  const withVocab = (changes: Json, added: readonly Json[] = []): Json => ({
    ...golden.tokenizer,
    added_tokens: added,
    model: { ...model, vocab: { ...vocab, ...changes } },
  })
  const token = (content: string, id: number): Json => ({ id, content, special: true })
  assert.equal(
    await refused({ 'tokenizer.json': withVocab({ extra: 3 }) }),
    `tokenizer.json: model BPE: the tokens ${JSON.stringify(Object.keys(vocab).find(token => vocab[token] === 3))} and "extra" have the same id 3`,
  )
  assert.equal(
    await refused({ 'tokenizer.json': withVocab({}, [token('<new>', last + 5)]) }),
    `tokenizer.json: the added token "<new>" has the id ${last + 5}, but tokenizers gives it ${last}, ` +
      'the next behind the vocabulary',
  )
  assert.equal(
    await refused({ 'tokenizer.json': withVocab({}, [token('</s>', last)]) }),
    `tokenizer.json: the added token "</s>" has the id ${last}, but tokenizers gives it ${vocab['</s>']}, ` +
      'which it has already',
  )
  assert.equal(
    await refused({ 'tokenizer.json': withVocab({ far: last + 9 }, [token('<new>', last + 1)]) }),
    `tokenizer.json: the added token "<new>" would get the id ${last + 1} behind ${last + 1} tokens, ` +
      'but ids of the vocabulary are greater: it has holes',
  )
  assert.match(
    await refused({ 'tokenizer_config.json': { added_tokens_decoder: { [last + 3]: token('<new>', 0) } } }),
    /^tokenizer_config\.json: .* the field "id"$/,
  )
  assert.match(
    await refused({ 'tokenizer_config.json': { added_tokens_decoder: { [last + 3]: { content: '<new>' } } } }),
    /the added token "<new>" has the id/,
  )
  const holes = await load({ 'tokenizer.json': withVocab({ far: last + 9 }) })
  assert.deepEqual([holes.vocabSize, holes.decode([last + 3])], [last + 10, ''])
})

test('files that are no text, no JSON or ask for something else are refused by their names', async () => {
  const broken = Buffer.concat([Buffer.from('{\n"model": "'), Buffer.of(0xff), Buffer.from('"}')])
  for (const file of [
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
    'generation_config.json',
    'chat_template.jinja',
  ]) {
    assert.equal(await refused({ [file]: broken }), `${file} line 2: byte 12 of the file (0xff) is not UTF-8`)
    if (!file.endsWith('.json')) continue
    assert.equal(
      await refused({ [file]: '{"a": "\\udc00"}' }),
      `${file}: byte 7 begins the escape \\udc00, half a character`,
    )
    assert.match(await refused({ [file]: '[]' }), new RegExp(`^${file}: it is not a JSON object$`))
  }
  assert.equal(
    await refused({ 'tokenizer_config.json': { split_special_tokens: true } }),
    'tokenizer_config.json: "split_special_tokens" is not supported',
  )
})
