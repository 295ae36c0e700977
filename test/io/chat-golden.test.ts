import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { encodeChat, parseRows, type Row } from '../../src/io/data/rows.ts'
import { renderChat, type ChatOptions, type Message } from '../../src/io/chat/chat.ts'
import { parseData } from '../../src/io/jinja/data.ts'
import { makeTokenizer, type Tokenizer } from '../../src/io/tokenizer/tokenizer.ts'
import { right } from '../support/tokenizers.ts'

interface Outcome {
  readonly text?: string
  readonly ids?: readonly number[]
  readonly mask?: string
  readonly error?: string
}
interface Family {
  readonly tokenizer: string
  readonly bos: string | null
  readonly eos: string
  readonly template: string
  readonly outcomes: Readonly<Record<string, Outcome>>
}
interface Conversation {
  readonly messages: readonly Message[]
  readonly tools?: string | readonly unknown[]
  readonly documents?: readonly unknown[]
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>>
}

const directory = new URL('../golden/chat/', import.meta.url)
const source = await readFile(new URL('chat.json', directory), 'utf8')
const golden = parseData(source) as {
  readonly rows: Readonly<Record<string, Conversation>>
  readonly families: Readonly<Record<string, Family>>
}
/** The rows as they are in the file, including the form of numbers. */
const lines = new Map(
  source.split('\n').flatMap(line => {
    const [, name, row] = /^"([^"]+)": (\{"messages".*\}),?$/.exec(line) ?? []
    return name === undefined || row === undefined ? [] : [[name, row] as const]
  }),
)

const load = async ({ tokenizer, bos, eos, template }: Family): Promise<Tokenizer> =>
  right(
    makeTokenizer({
      subject: `${tokenizer}.json`,
      tokenizer: JSON.parse(await readFile(new URL(`tokenizers/${tokenizer}.json`, directory), 'utf8')),
      bosToken: bos ?? undefined,
      eosToken: eos,
      stop: [],
      chatSource: template,
    }),
  )

/**
 * The conversations that are refused although transformers renders them, by family and conversation (`*`: all of them),
 * with the sentence.
 */
const refusals: readonly (readonly [family: string, row: string, sentence: RegExp])[] = [
  [
    'deepseek-r1',
    '*',
    /so the assistant's words cannot be told from the rest: it asks for an answer with "<｜Assistant｜><think>\\n", which is not how this one begins$/,
  ],
  [
    'endless',
    '*',
    /^d\.jsonl line 1: the chat template writes no special token at the end of message \d, so the model would never learn to stop$/,
  ],
  // Python's own printing of a list of parts: the words are escaped in it.
  ['llama3', 'parts', /does not simply continue the messages before message 2/],
  ['gemma', 'parts', /does not simply continue the messages before message 2/],
  // The words are left out.
  ['qwen3', 'parts', /does not simply continue the messages before message 2/],
]

const optionsOf = ({ tools, documents, chat_template_kwargs: variables }: Conversation): ChatOptions => ({
  tools: typeof tools === 'string' ? (parseData(tools) as readonly unknown[]) : tools,
  documents,
  variables,
})

const maskOf = ({ labels }: Row): string => Array.from(labels, label => (label === -100 ? '0' : '1')).join('')

for (const [name, family] of Object.entries(golden.families)) {
  test(`${name}: text, ids and mask of ${lines.size} conversations equal those of transformers, or are refused by name`, async () => {
    const tokenizer = await load(family)
    let equal = 0
    for (const [row, { text, ids, mask, error }] of Object.entries(family.outcomes)) {
      const conversation = golden.rows[row]!
      const where = `${name}, ${row}`
      const rendered = renderChat(tokenizer.chat!, conversation.messages, optionsOf(conversation))
      const parsed = parseRows('d.jsonl', lines.get(row) ?? assert.fail(where), { tokenizer })
      if (error !== undefined) {
        assert.ok(E.isLeft(rendered) && E.isLeft(parsed), `${where}: transformers refuses it: ${error}`)
        continue
      }
      assert.equal(right(rendered), text, where)
      assert.deepEqual(right(tokenizer.encodeWithOffsets(text!, { special: false })).ids, ids, where)
      const refusal = refusals.find(([of, which]) => of === name && (which === '*' || which === row))
      if (refusal !== undefined) {
        assert.match(E.isLeft(parsed) ? parsed.left.message : assert.fail(`${where} is not refused`), refusal[2])
        continue
      }
      equal++
      if (mask?.slice(1).includes('1') !== true) {
        assert.match(E.isLeft(parsed) ? parsed.left.message : '', /no token in it is scored/, where)
        continue
      }
      const [only] = right(parsed).rows
      assert.deepEqual([...only!.input_ids], ids, where)
      assert.equal(maskOf(only!), mask, where)
    }
    assert.ok(equal >= 9 || name === 'deepseek-r1' || name === 'endless', `${equal} conversations are equal`)
  })
}

test('a token in front of every span, as encoding them one by one puts it, is found out (mutant)', async () => {
  const family = golden.families['phi3']!
  const tokenizer = await load(family)
  const { ids, mask } = family.outcomes['turns']!
  const { messages } = golden.rows['turns']!
  const row = right(encodeChat(tokenizer, messages))
  assert.deepEqual([[...row.input_ids], maskOf(row)], [ids, mask])
  const whole = family.outcomes['turns']!.text!
  const cut = whole.indexOf('two')
  assert.notDeepEqual(
    [
      ...tokenizer.encode(whole.slice(0, cut), { special: false }),
      ...tokenizer.encode(whole.slice(cut), { special: false }),
    ],
    ids,
  )
})
