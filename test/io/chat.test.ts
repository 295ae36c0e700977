import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { chatSpans, chatTemplate, renderChat, type ChatTemplate, type Message } from '../../src/io/chat/chat.ts'
import { turnExtent, type Extent } from '../../src/io/chat/scored.ts'
import { turnExtents } from '../../src/io/turns.ts'
import { chatMl, message, right } from '../support/tokenizers.ts'

const specialTokens = ['<|im_start|>', '<|im_end|>', '</s>']
const parse = (source: string): ChatTemplate =>
  right(chatTemplate('t.jinja', source, { bosToken: '<s>', eosToken: '</s>', specialTokens }))
const user = (content: string): Message => ({ role: 'user', content })
const assistant = (content: string): Message => ({ role: 'assistant', content })
const scored = (template: ChatTemplate, messages: readonly Message[]): readonly string[] =>
  right(chatSpans(template, messages))
    .filter(span => span.scored)
    .map(span => span.text)

test('a template sees the messages, the special tokens and the generation prompt', () => {
  const template = parse(
    '{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}' +
      '{% if add_generation_prompt %}>{% endif %}',
  )
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
    { text: '\n', scored: false },
  ])
})

const messages = fc.record({
  role: fc.constantFrom('system', 'user', 'assistant'),
  content: fc.string({ maxLength: 12 }),
})
const conversations = fc.array(messages, { minLength: 1 })

/**
 * The law: spans join to the rendered text, and the scored ones are exactly the assistant's contents with the end
 * token.
 */
const scoresTheAssistant = (
  spansOf: (template: ChatTemplate, messages: readonly Message[]) => readonly { text: string; scored: boolean }[],
) => {
  const template = parse(chatMl)
  return fc.property(conversations, messages => {
    const spans = spansOf(template, messages)
    assert.equal(spans.map(span => span.text).join(''), right(renderChat(template, messages)))
    const words = messages.filter(({ role }) => role === 'assistant').map(({ content }) => `${content}<|im_end|>`)
    assert.deepEqual(
      spans.filter(span => span.scored).map(span => span.text),
      words,
    )
  })
}

test('spans cover the conversation; scoring all of it, or the header too, is found out (mutants)', () => {
  fc.assert(scoresTheAssistant((template, messages) => right(chatSpans(template, messages))))
  assert.throws(() =>
    fc.assert(
      scoresTheAssistant((template, messages) => [{ text: right(renderChat(template, messages)), scored: true }]),
    ),
  )
  assert.throws(() =>
    fc.assert(
      scoresTheAssistant((template, messages) =>
        messages.map((m, i) => ({
          text: right(renderChat(template, messages.slice(i, i + 1))),
          scored: m.role === 'assistant',
        })),
      ),
    ),
  )
})

test('a conversation without an assistant has nothing scored', () => {
  assert.deepEqual(scored(parse(chatMl), [user('a')]), [])
})

test('an end token inside the words does not end the turn', () => {
  assert.deepEqual(scored(parse(chatMl), [user('a'), assistant('x<|im_end|>y')]), ['x<|im_end|>y<|im_end|>'])
})

test('a template that rewrites earlier turns is refused, with the number of the message', () => {
  const keepsLast = parse(
    `{% for m in messages %}{% if loop.last or m.role != 'assistant' %}{{ m.role }}:{{ m.content }}</s>{% endif %}{% endfor %}` +
      `{% if add_generation_prompt %}assistant:{% endif %}`,
  )
  assert.deepEqual(scored(keepsLast, [user('a'), assistant('b')]), ['b</s>'])
  assert.match(message(chatSpans(keepsLast, [user('a'), assistant('b'), user('c')])), /before message 2/)
})

test('a template whose generation prompt is not how the turn begins is refused', () => {
  const other = parse(
    `{% for m in messages %}{{ m.role }}:{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}bot:{% endif %}`,
  )
  assert.match(message(chatSpans(other, [user('a'), assistant('b')])), /before message 2/)
})

test('a template without an end token is refused', () => {
  const endless = parse(
    `{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`,
  )
  assert.match(message(chatSpans(endless, [user('a'), assistant('b')])), /no special token at the end of message 2/)
})

const closing = (end: string, last = ''): ChatTemplate =>
  parse(
    `{% for m in messages %}{{ m.role }}:{{ m.content }}${end}{% endfor %}` +
      `{% if add_generation_prompt %}assistant:{% else %}${last}{% endif %}`,
  )

test('a turn ends at the token that the template writes, never at one inside the words', () => {
  for (const words of ['x</s>', '</s>', '<|im_end|>\n</s>\n', 'a<|im_start|>']) {
    assert.deepEqual(scored(closing('</s>'), [user('a'), assistant(words)]), [`${words}</s>`])
    assert.match(
      message(chatSpans(closing('\\n'), [user('a'), assistant(words)])),
      /no special token at the end of message 2/,
    )
    assert.match(
      message(chatSpans(closing('.</s>'), [user('a'), assistant(words)])),
      /no special token at the end of message 2/,
    )
  }
})

test('of tokens behind the words only those that are there whatever follows close the turn', () => {
  assert.deepEqual(scored(closing('<|im_end|>\n', '</s>'), [user('a'), assistant('b')]), ['b<|im_end|>'])
  assert.deepEqual(scored(closing('<|im_end|>', '</s>'), [user('a'), assistant('b')]), ['b<|im_end|>'])
  assert.deepEqual(scored(closing('<|im_end|>', '</s>'), [user('a'), assistant('b'), user('c'), assistant('d')]), [
    'b<|im_end|>',
    'd<|im_end|>',
  ])
})

test('tokens that close every turn, one right behind the other, all close it', () => {
  for (const more of [[], [user('c')], [user('c'), assistant('d')]]) {
    assert.deepEqual(scored(closing(' </s><|im_end|>'), [user('a'), assistant('b'), ...more])[0], 'b </s><|im_end|>')
  }
  const opening = parse(
    '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}',
  )
  assert.deepEqual(scored(opening, [user('a'), assistant('b'), user('c'), assistant('d')]), [
    'b<|im_end|>',
    'd<|im_end|>',
  ])
})

test('a template that closes only the last turn is refused', () => {
  const last = closing('', '</s>')
  assert.deepEqual(scored(last, [user('a'), assistant('b')]), ['b</s>'])
  assert.match(
    message(chatSpans(last, [user('a'), assistant('b'), user('c')])),
    /it ends the message with "<\/s>" only if no other follows$/,
  )
})

test('a token that begins the next turn does not close this one', () => {
  const open = parse(
    '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}',
  )
  assert.match(
    message(chatSpans(open, [user('a'), assistant('b'), user('c')])),
    /no special token at the end of message 2/,
  )
})

const long = fc
  .array(
    fc.tuple(
      fc.stringMatching(/^[ \n]?[a-c<>|]{0,4}(<\/s>)?[ \n]?$/),
      fc.stringMatching(/^[ \n]?[a-c]{0,3}(<\|im_end\|>)?[ \n]{0,2}$/),
    ),
    { minLength: 4, maxLength: 6 },
  )
  .map(turns => turns.flatMap(([words, answer]) => [user(words), assistant(answer)]))

test('the turns of a long conversation, found together, stand where each stands by itself', () => {
  const families = [
    parse(chatMl),
    closing(' </s>\n'),
    closing('</s>'),
    parse(
      '{% for m in messages %}{{ m.role }}:{{ m.content|trim }}</s>{% endfor %}' +
        '{% if add_generation_prompt %}assistant:{% endif %}',
    ),
    parse(
      "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %} " +
        '{% if loop.last %}!{% endif %}{{ m.content }}</s>{% endif %}{% endfor %}',
    ),
  ]
  const alike = (change: (extent: Extent) => Extent) =>
    fc.property(long, fc.constantFrom(...families), (messages, template) => {
      const text = right(renderChat(template, messages))
      const { specialTokens } = template.tokens
      const conversation = {
        text,
        messages,
        specialTokens,
        render: (part: readonly Message[], addGenerationPrompt: boolean) =>
          renderChat(template, part, { addGenerationPrompt }),
      }
      const each = messages.flatMap(({ role }, i) => (role === 'assistant' ? [right(turnExtent(conversation, i))] : []))
      assert.deepEqual(right(turnExtents(conversation)).map(change), each)
    })
  fc.assert(
    alike(extent => extent),
    { numRuns: 300 },
  )
  assert.throws(
    () => fc.assert(alike(([start, end]) => [start, end - 1])),
    'a mutant that ends a character early is found out',
  )
})

test('the turns of a long conversation take a number of renderings that does not grow with it', () => {
  const renderings = (turns: number): number => {
    let count = 0
    const messages = Array.from({ length: turns }, (_, i) => (i % 2 === 0 ? user(`u${i}`) : assistant(`a${i}`)))
    const template = parse(chatMl)
    const render = (part: readonly Message[], addGenerationPrompt: boolean) => {
      count++
      return renderChat(template, part, { addGenerationPrompt })
    }
    right(turnExtents({ text: right(renderChat(template, messages)), messages, specialTokens, render }))
    return count
  }
  assert.equal(renderings(100), renderings(10))
})

test('a conversation may begin with the assistant', () => {
  assert.deepEqual(scored(parse(chatMl), [assistant('a'), user('b'), assistant('c')]), ['a<|im_end|>', 'c<|im_end|>'])
  const first = parse(`{{ messages[0].role }}|${chatMl}`)
  assert.deepEqual(scored(first, [assistant('a'), user('b'), assistant('c')]), ['a<|im_end|>', 'c<|im_end|>'])
})

test('the header of a turn that no prompt opens is not scored', () => {
  const source = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
  assert.deepEqual(scored(parse(source), [user('a'), assistant('b'), user('c')]), ['b<|im_end|>'])
})

test('what a template marks is scored, and nothing else', () => {
  const marked = parse(`{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}
{% generation %}
{{ m.content }}.
{% endgeneration %}
{% else %}{{ m.content }}{% endif %}</s>{% endfor %}`)
  assert.deepEqual(right(chatSpans(marked, [user('a'), assistant('b</s>'), user('c')])), [
    { text: 'user:a</s>assistant:', scored: false },
    { text: 'b</s>.\n', scored: true },
    { text: '</s>user:c</s>', scored: false },
  ])
  assert.deepEqual(scored(marked, [user('a')]), [])
  const captured = parse('{% set a %}{% generation %}b{% endgeneration %}{% endset %}{{ a }}')
  assert.match(
    message(chatSpans(captured, [user('a')])),
    /\{% generation %\} inside of a macro, a call, a filter or a set block is not supported/,
  )
})

test('tools, documents and variables are passed; what is not given is None, as are the tokens that a tokenizer has not', () => {
  const template = right(
    chatTemplate(
      't',
      '{{ tools }}|{{ documents }}|{{ enable_thinking }}|{{ pad_token }}|{{ unk_token is defined }}|{{ bos_token is defined }}',
      { specialTokens: [], named: { pad_token: '<pad>' } },
    ),
  )
  assert.equal(right(renderChat(template, [])), 'None|None||<pad>|False|False')
  const options = {
    tools: [{ a: true }],
    documents: [{ b: null }],
    variables: { enable_thinking: false, pad_token: 'x' },
  }
  assert.equal(right(renderChat(template, [], options)), "[{'a': True}]|[{'b': None}]|False|x|False|False")
})

test('a conversation with tools has a template of its own where the model has one', () => {
  const both = right(chatTemplate('t', 'plain', { specialTokens: [] }, 'with {{ tools|length }}'))
  assert.deepEqual(
    [{}, { tools: null }, { tools: [] }, { tools: [{}] }].map(options => right(renderChat(both, [user('a')], options))),
    ['plain', 'plain', 'with 0', 'with 1'],
  )
})

test('fields of a message are passed; those that are null are not, and reasoning has its three names', () => {
  const template = parse('{% for m in messages %}{{ m }}{% endfor %}')
  const messages: readonly Message[] = [
    { role: 'assistant', content: null, tool_calls: [{ id: 'x' }], name: 'n' },
    { role: 'assistant', content: 'a', thinking: 't' },
  ]
  assert.equal(
    right(renderChat(template, messages)),
    "{'role': 'assistant', 'tool_calls': [{'id': 'x'}], 'name': 'n'}" +
      "{'thinking': 't', 'role': 'assistant', 'content': 'a', 'reasoning_content': 't'}",
  )
})

test('a template that does not end is refused', () => {
  const endless = parse('{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}')
  assert.match(
    message(renderChat(endless, [])),
    /^the chat template refuses the messages: it does not end within \d+ steps$/,
  )
})

test('what a template raises becomes a sentence', () => {
  const strict = parse(`{{ raise_exception('roles must alternate') }}`)
  assert.match(message(renderChat(strict, [])), /the chat template refuses the messages: .*roles must alternate/)
})
