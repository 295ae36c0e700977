import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { chatSpans, chatTemplate, renderChat, type ChatTemplate, type Message } from '../../src/io/chat.ts'
import { chatMl, message, right } from './support.ts'

const specialTokens = ['<|im_start|>', '<|im_end|>', '</s>']
const parse = (source: string): ChatTemplate => right(chatTemplate('t.jinja', source, { bosToken: '<s>', eosToken: '</s>', specialTokens }))
const user = (content: string): Message => ({ role: 'user', content })
const assistant = (content: string): Message => ({ role: 'assistant', content })
const scored = (template: ChatTemplate, messages: readonly Message[]): readonly string[] =>
  right(chatSpans(template, messages)).filter(span => span.scored).map(span => span.text)

test('a template sees the messages, the special tokens and the generation prompt', () => {
  const template = parse('{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}'
    + '{% if add_generation_prompt %}>{% endif %}')
  assert.equal(right(renderChat(template, [user('a')])), '<s>[user]a</s>')
  assert.equal(right(renderChat(template, [user('a')], { addGenerationPrompt: true })), '<s>[user]a</s>>')
})

test("the assistant's words and their end token are scored, nothing else", () => {
  const spans = right(chatSpans(parse(chatMl), [user('a'), assistant('b'), user('c'), assistant('d')]))
  assert.deepEqual(spans, [
    { text: '<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n', scored: false },
    { text: 'b<|im_end|>', scored: true },
    { text: '\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n', scored: false },
    { text: 'd<|im_end|>', scored: true },
    { text: '\n', scored: false }
  ])
})

const messages = fc.record({ role: fc.constantFrom('system', 'user', 'assistant'), content: fc.string({ maxLength: 12 }) })
const conversations = fc.array(messages, { minLength: 1 })

/** The law: spans join to the rendered text, and the scored ones are exactly the assistant's contents with the end token. */
const scoresTheAssistant = (spansOf: (template: ChatTemplate, messages: readonly Message[]) => readonly { text: string, scored: boolean }[]) => {
  const template = parse(chatMl)
  return fc.property(conversations, messages => {
    const spans = spansOf(template, messages)
    assert.equal(spans.map(span => span.text).join(''), right(renderChat(template, messages)))
    const words = messages.filter(({ role }) => role === 'assistant').map(({ content }) => `${content}<|im_end|>`)
    assert.deepEqual(spans.filter(span => span.scored).map(span => span.text), words)
  })
}

test('spans cover the conversation; scoring all of it, or the header too, is found out (mutants)', () => {
  fc.assert(scoresTheAssistant((template, messages) => right(chatSpans(template, messages))))
  assert.throws(() => fc.assert(scoresTheAssistant((template, messages) => [{ text: right(renderChat(template, messages)), scored: true }])))
  assert.throws(() => fc.assert(scoresTheAssistant((template, messages) => messages.map((m, i) => ({
    text: right(renderChat(template, messages.slice(i, i + 1))), scored: m.role === 'assistant'
  })))))
})

test('a conversation without an assistant has nothing scored', () => {
  assert.deepEqual(scored(parse(chatMl), [user('a')]), [])
})

test('an end token inside the words does not end the turn', () => {
  assert.deepEqual(scored(parse(chatMl), [user('a'), assistant('x<|im_end|>y')]), ['x<|im_end|>y<|im_end|>'])
})

test('a template that rewrites earlier turns is refused, with the number of the message', () => {
  const keepsLast = parse(`{% for m in messages %}{% if loop.last or m.role != 'assistant' %}{{ m.role }}:{{ m.content }}</s>{% endif %}{% endfor %}`
    + `{% if add_generation_prompt %}assistant:{% endif %}`)
  assert.deepEqual(scored(keepsLast, [user('a'), assistant('b')]), ['b</s>'])
  assert.match(message(chatSpans(keepsLast, [user('a'), assistant('b'), user('c')])), /before message 2/)
})

test('a template whose generation prompt is not how the turn begins is refused', () => {
  const other = parse(`{% for m in messages %}{{ m.role }}:{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}bot:{% endif %}`)
  assert.match(message(chatSpans(other, [user('a'), assistant('b')])), /before message 2/)
})

test('a template without an end token is refused', () => {
  const endless = parse(`{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`)
  assert.match(message(chatSpans(endless, [user('a'), assistant('b')])), /no special token at the end of message 2/)
})

test('what a template raises becomes a sentence', () => {
  const strict = parse(`{{ raise_exception('roles must alternate') }}`)
  assert.match(message(renderChat(strict, [])), /the chat template refuses the messages: .*roles must alternate/)
})
