import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { encodeChat, parseRows, readRows, scoredCount, type Row, type RowOptions } from '../../src/io/data/rows.ts'
import { makeTokenizer } from '../../src/io/tokenizer/tokenizer.ts'
import { chatMl, message, right, tinyTokenizer } from '../support/tokenizers.ts'

const tokenizer = await tinyTokenizer()
const lines = (...rows: readonly unknown[]): string => rows.map(row => `${JSON.stringify(row)}\n`).join('')
const parse = (content: string, options: RowOptions = { tokenizer }) => parseRows('d.jsonl', content, options)
const only = (content: string, options?: RowOptions): Row => {
  const { rows } = right(parse(content, options))
  assert.equal(rows.length, 1)
  return rows[0] ?? assert.fail()
}
/** The scored part, as text. */
const scoredText = (row: Row): string => tokenizer.decode([...row.labels].filter(label => label !== -100))

test('text is scored exactly as the tokenizer encodes it', () => {
  const row = only(lines({ text: 'hello the' }))
  assert.deepEqual([...row.input_ids], tokenizer.encode('hello the'))
  assert.deepEqual(row.labels, row.input_ids)
})

test('of prompt and completion the completion is scored, and it ends with one end-of-sequence token', () => {
  for (const completion of [' the', ' the<|im_end|>']) {
    const row = only(lines({ prompt: 'hello', completion }))
    assert.deepEqual([...row.input_ids], [...tokenizer.encode('hello'), ...tokenizer.encode(' the'), 2])
    assert.equal(scoredText(row), ' the<|im_end|>')
  }
})

test('prompt and completion are encoded as one text: no space is put in between, and a token across both is scored', async () => {
  const path = new URL('../golden/chat/tokenizers/prepend.json', import.meta.url)
  const description = {
    subject: 'prepend.json',
    tokenizer: JSON.parse(await readFile(path, 'utf8')),
    bosToken: '<s>',
    eosToken: '</s>',
    stop: [],
    chatSource: undefined,
  }
  const llama = right(makeTokenizer(description))
  const [prompt, completion] = ['the city', ' of Paris']
  const row = only(lines({ prompt, completion }), { tokenizer: llama })
  assert.deepEqual([...row.input_ids], [...llama.encode(prompt + completion), 2])
  const { length } = llama.encode(prompt)
  assert.deepEqual(
    [...row.labels],
    [...row.input_ids].map((id, i) => (i < length ? -100 : id)),
  )
  const apart = [...llama.encode(prompt), ...llama.encode(completion, { special: false }), 2]
  assert.notDeepEqual([...row.input_ids], apart, 'encoding them one by one is found out (a mutant)')
  // 'hel' and 'lo' are the one token 'hello': the completion is in it, so it is scored
  const across = only(lines({ prompt: 'a hel', completion: 'lo' }))
  assert.deepEqual([...across.input_ids], [...tokenizer.encode('a hello'), 2])
  assert.equal(
    across.labels.filter(label => label !== -100).length,
    across.input_ids.length - tokenizer.encode('a ').length,
  )
})

test('an end of sequence that the tokenizer adds stands behind the completion, once, and is scored', async () => {
  const ending = await tinyTokenizer({ 'tokenizer.ggml.add_bos_token': true, 'tokenizer.ggml.add_eos_token': true })
  const row = only(lines({ prompt: 'hello', completion: ' the' }), { tokenizer: ending })
  const [hello, the] = [tokenizer.encode('hello'), tokenizer.encode(' the')]
  assert.deepEqual([...row.input_ids], [1, ...hello, ...the, 2])
  assert.deepEqual([...row.labels], [-100, ...hello.map(() => -100), ...the, 2])
  const empty = only(lines({ prompt: 'hello<|im_end|>', completion: '' }))
  assert.deepEqual([...empty.labels], [...hello.map(() => -100), -100, 2])
})

test("of messages the assistant's words and end tokens are scored", () => {
  const messages = ['a', 'hello', 'c', 'd'].map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }))
  const row = only(lines({ messages }))
  assert.equal(scoredText(row), 'hello<|im_end|>d<|im_end|>')
  assert.equal(
    tokenizer.decode([...row.input_ids]).startsWith('<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nhello'),
    true,
  )
  assert.deepEqual(right(encodeChat(tokenizer, messages)), row)
})

test("a row's tools, documents and variables reach the template, with its numbers as they are written", async () => {
  const source = `{{ tools|tojson }}{{ documents[0].n }}{{ mood }}${chatMl}`
  const row = (rest: string): string =>
    `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]${rest}}`
  const options = { tokenizer: await tinyTokenizer({ 'tokenizer.chat_template': source }) }
  const head = (rest: string): string =>
    tokenizer.decode([...only(row(rest), options).input_ids]).split('<|im_start|>')[0]!
  assert.equal(
    head(',"tools":[{"x":1.0}],"documents":[{"n":2e0}],"chat_template_kwargs":{"mood":true}'),
    '[{"x": 1.0}]2.0True',
  )
  assert.equal(
    head(',"tools":"[{\\"x\\":1.0,\\"2\\":null}]","documents":[{"n":12345678901234567890}]'),
    '[{"x": 1.0, "2": null}]12345678901234567890',
  )
})

test('ids need no tokenizer; labels default to them; trailing padding is dropped', () => {
  const options = { vocabSize: 10 }
  assert.deepEqual(only(lines({ input_ids: [1, 2, 3] }), options), {
    input_ids: Int32Array.of(1, 2, 3),
    labels: Int32Array.of(1, 2, 3),
  })
  assert.deepEqual(
    only(lines({ input_ids: [1, 2, 3, 0], labels: [-100, -100, 3, 0], attention_mask: [1, 1, 1, 0] }), options),
    { input_ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(-100, -100, 3) },
  )
})

test('rows are cut, rows without a scored token are left out, and both are counted; the label at position 0 is never scored', () => {
  const content = lines(
    { input_ids: [1, 2, 3, 4], labels: [-100, -100, -100, 4] },
    { input_ids: [1, 2], labels: [1, -100] },
    { input_ids: [5] },
    { input_ids: [] },
    { input_ids: [1, 2, 3, 4] },
  )
  const { rows, warnings } = right(parse(content, { vocabSize: 10, seq: 3 }))
  assert.deepEqual(warnings, { cut: 2, unscored: 4 })
  assert.deepEqual(rows, [{ input_ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(1, 2, 3) }])
})

test('blank lines, a byte-order mark and Windows line ends are fine', () => {
  assert.equal(right(parse('\uFEFF{"text":"hello the"}\r\n\r\n{"text":"hello the"}\r\n\n  \n')).rows.length, 2)
})

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['broken JSON', '{"text":"hello the"}\n{"text":\n', /^d\.jsonl line 2: it is not valid JSON/],
  ['several objects a line', '{"text":"a"} {"text":"b"}', /^d\.jsonl line 1: it is not valid JSON/],
  ['no object', '[1]', /^d\.jsonl line 1: expected a JSON object/],
  ['no known field', '{"instruction":"a"}', /^d\.jsonl line 1: it has none of "text", "prompt" and "completion"/],
  ['a number for text', '{"text":1}', /^d\.jsonl line 1: "text" must be a string/],
  ['a prompt alone', '{"prompt":"a"}', /^d\.jsonl line 1: "prompt" and "completion" must both be strings/],
  [
    'messages without content',
    '{"messages":[{"role":"user"}]}',
    /^d\.jsonl line 1: "messages" must be a list of objects/,
  ],
  [
    'a content that is a number',
    '{"messages":[{"role":"user","content":1}]}',
    /^d\.jsonl line 1: "messages" must be a list of objects/,
  ],
  [
    'parts that are no objects',
    '{"messages":[{"role":"user","content":["a"]}]}',
    /^d\.jsonl line 1: "messages" must be a list of objects/,
  ],
  [
    'tools that are no list',
    '{"messages":[{"role":"user","content":"a"}],"tools":{"a":1}}',
    /^d\.jsonl line 1: "tools" must be a list of objects/,
  ],
  [
    'tools that are no JSON',
    '{"messages":[{"role":"user","content":"a"}],"tools":"[{"}',
    /^d\.jsonl line 1: "tools": it is not valid JSON/,
  ],
  [
    'documents that are texts',
    '{"messages":[{"role":"user","content":"a"}],"documents":["a"]}',
    /^d\.jsonl line 1: "documents" must be a list of objects/,
  ],
  [
    'variables that are a list',
    '{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":[]}',
    /^d\.jsonl line 1: "chat_template_kwargs" must be an object/,
  ],
  [
    'a variable that is no variable',
    '{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"tools":[]}}',
    /^d\.jsonl line 1: "chat_template_kwargs" cannot set "tools"/,
  ],
  ['no messages', '{"messages":[]}', /^d\.jsonl line 1: "messages" must be a list of objects/],
  ['ids that are text', '{"input_ids":"1 2"}', /^d\.jsonl line 1: "input_ids" must be a list of integers/],
  ['ids that are no integers', '{"input_ids":[1.5]}', /^d\.jsonl line 1: "input_ids" must be a list of integers/],
  [
    'labels of another length',
    '{"input_ids":[1,2],"labels":[1]}',
    /^d\.jsonl line 1: "labels" must be a list of 2 integers/,
  ],
  [
    'a mask with a hole',
    '{"input_ids":[1,2,3],"attention_mask":[1,0,1]}',
    /^d\.jsonl line 1: .*only mark padding at the end, but position 1 is 0/,
  ],
  ['padding in front', '{"input_ids":[1,2,3],"attention_mask":[0,1,1]}', /^d\.jsonl line 1: .*position 0 is 0/],
  [
    'a mask of other numbers',
    '{"input_ids":[1,2],"attention_mask":[1,2]}',
    /^d\.jsonl line 1: "attention_mask" must be a list of 2 zeros and ones/,
  ],
  [
    'an id beyond the vocabulary',
    '{"input_ids":[1,2]}\n{"input_ids":[1,266]}',
    /^d\.jsonl line 2: token id 266 is outside the vocabulary, which has 266 tokens/,
  ],
  ['a negative id', '{"input_ids":[1,-100]}', /^d\.jsonl line 1: token id -100 is outside/],
  [
    'a label beyond the vocabulary',
    '{"input_ids":[1,2],"labels":[-100,9999]}',
    /^d\.jsonl line 1: token id 9999 is outside/,
  ],
  ['an empty file', '\n\n', /^d\.jsonl: the file is empty$/],
  ['nothing scored', '{"input_ids":[1,2],"labels":[-100,-100]}', /^d\.jsonl: no token in it is scored \(1 row\)$/],
]

test('bad data is refused with the file and the line', async t => {
  for (const [what, content, sentence] of refused)
    await t.test(what, () => assert.match(message(parse(content)), sentence))
})

test('what the model cannot do is said', async () => {
  assert.match(
    message(parse('{"text":"a"}', { vocabSize: 10 })),
    /^d\.jsonl line 1: text needs a tokenizer, and the model has none/,
  )
  const bare = await tinyTokenizer({ 'tokenizer.chat_template': undefined, 'tokenizer.ggml.eos_token_id': undefined })
  assert.match(
    message(parse('{"messages":[{"role":"user","content":"a"}]}', { tokenizer: bare })),
    /"messages" need a chat template/,
  )
  assert.match(message(parse('{"prompt":"a","completion":"b"}', { tokenizer: bare })), /the tokenizer names none/)
})

test('cut to nothing scored, the sentence says so', () => {
  assert.match(
    message(parse(lines({ input_ids: [1, 2, 3], labels: [-100, -100, 3] }), { vocabSize: 10, seq: 2 })),
    /no token in it is scored \(1 row, 1 of them cut to 2 tokens\)/,
  )
})

test('null beside a field that is used is as good as nothing', () => {
  const plain = only(lines({ text: 'hello the' }))
  for (const others of [
    { messages: null },
    { prompt: null, completion: null },
    { input_ids: null },
    { messages: null, input_ids: null, labels: null },
  ]) {
    assert.deepEqual(only(lines({ text: 'hello the', ...others })), plain)
  }
  assert.deepEqual(
    [...only(lines({ input_ids: [1, 2], labels: null, attention_mask: null, text: null, messages: null })).input_ids],
    [1, 2],
  )
  assert.match(message(parse(lines({ text: null }))), /it has none of "text"/)
  assert.match(
    message(parse(lines({ prompt: 'a', completion: null }))),
    /"prompt" and "completion" must both be strings/,
  )
})

test('ids that are no whole numbers never train as another token', () => {
  for (const id of ['7', null, 1.5, true, {}, [1], 1e10, -1, '1e0']) {
    const sentence = message(parse(lines({ input_ids: [1, id, 2] }), { vocabSize: 10 }))
    assert.match(
      sentence,
      /^d\.jsonl line 1: ("input_ids" must be a list of integers|token id -1 is outside the vocabulary)/,
      JSON.stringify(id),
    )
  }
  assert.match(
    message(parse(lines({ input_ids: [1, 2], labels: [1, '2'] }), { vocabSize: 10 })),
    /"labels" must be a list of 2 integers/,
  )
})

test('half a character in any string of a row is refused with its line and byte', () => {
  assert.equal(
    message(parse(`${lines({ text: 'a' })}{"text": "a\\ud800b"}\n`)),
    'd.jsonl line 2: byte 11 begins the escape \\ud800, half a character',
  )
  assert.match(
    message(parse('{"prompt": "a", "completion": "\\udc00"}')),
    /^d\.jsonl line 1: byte 31 begins the escape \\udc00/,
  )
  assert.match(
    message(parse('{"messages": [{"role": "user", "content": "\\ud83d"}]}')),
    /^d\.jsonl line 1: byte 43 begins/,
  )
  assert.equal(only('{"text": "\\ud83d\\ude00 \\\\ud800"}').input_ids.length, tokenizer.encode('😀 \\ud800').length)
})

test('files are read; one that is not there is named', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'partensor-data-'))
  try {
    const path = join(directory, 'd.jsonl')
    assert.match(message(await readRows(path, { vocabSize: 10 })()), /d\.jsonl: no such file or directory$/)
    await writeFile(path, lines({ input_ids: [1, 2] }))
    assert.equal(right(await readRows(path, { vocabSize: 10 })()).rows.length, 1)
    await writeFile(
      path,
      Buffer.concat([Buffer.from('{"text": "a"}\n{"text": "'), Buffer.of(0xe9), Buffer.from('"}\n')]),
    )
    assert.match(
      message(await readRows(path, { tokenizer })()),
      /d\.jsonl line 2: byte 24 of the file \(0xe9\) is not UTF-8$/,
    )
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a row never loses or gains a scored label but by the cut', () => {
  const row = fc.array(fc.record({ id: fc.nat(9), scored: fc.boolean() }), { maxLength: 12 })
  fc.assert(
    fc.property(row, fc.integer({ min: 2, max: 14 }), (tokens, seq) => {
      const labels = tokens.map(({ id, scored }) => (scored ? id : -100))
      const content = lines({ input_ids: tokens.map(({ id }) => id), labels }, { input_ids: [1, 2] })
      const expected = tokens.slice(1, seq).filter(({ scored }) => scored).length
      const total = right(parse(content, { vocabSize: 10, seq })).rows.reduce((sum, row) => sum + scoredCount(row), 0)
      assert.equal(total, expected + 1)
    }),
  )
})
