import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Encoding } from '../../src/io/tokenizer/pipeline.ts'
import {
  decodeAfter,
  decodeNext,
  decodeRest,
  decodeStart,
  makeTokenizer,
  type DecodeState,
  type Tokenizer,
} from '../../src/io/tokenizer/tokenizer.ts'
import { right } from '../support/tokenizers.ts'

/** The folder of the golden values; `make_tokenizers.py N DIRECTORY` makes more of them. */
const golden =
  process.env['PARTENSOR_GOLDEN_CHAT'] === undefined
    ? new URL('../golden/chat/', import.meta.url)
    : new URL(`file://${process.env['PARTENSOR_GOLDEN_CHAT']}/`)

type Row = readonly [text: string, ids: readonly number[], offsets: readonly number[]]
const rows: Readonly<Record<string, readonly Row[]>> = JSON.parse(
  await readFile(new URL('offsets.json', golden), 'utf8'),
)

const json = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse(await readFile(new URL(`tokenizers/${name}.json`, golden), 'utf8'))
const load = (name: string, tokenizer: Readonly<Record<string, unknown>>): Tokenizer =>
  right(
    makeTokenizer({
      subject: name,
      tokenizer,
      bosToken: undefined,
      eosToken: undefined,
      stop: [],
      chatSource: undefined,
    }),
  )

/** Offsets in characters, as Python counts them. */
const inCharacters = (text: string, { ids, offsets }: Encoding): readonly [readonly number[], readonly number[]] => [
  ids,
  offsets.flat().map(unit => Array.from(text.slice(0, unit)).length),
]

const differing = (
  tokenizer: Tokenizer,
  cases: readonly Row[],
  change = (encoding: Encoding): Encoding => encoding,
): readonly string[] =>
  cases
    .filter(([text, ids, offsets]) => {
      const [ownIds, own] = inCharacters(text, change(right(tokenizer.encodeWithOffsets(text, { special: false }))))
      return (
        JSON.stringify([ownIds, own]) !== JSON.stringify([ids, offsets]) ||
        JSON.stringify(tokenizer.encode(text, { special: false })) !== JSON.stringify(ids)
      )
    })
    .map(([text]) => text)

for (const [name, cases] of Object.entries(rows)) {
  test(`${name}: ids and offsets of random texts equal those of tokenizers`, async () => {
    const tokenizer = load(name, await json(name))
    assert.ok(cases.length >= 50)
    assert.deepEqual(differing(tokenizer, cases), [])
    const shifted = (encoding: Encoding): Encoding => ({
      ...encoding,
      offsets: encoding.offsets.map(([start, end]) => [start, Math.max(start, end - 1)] as const),
    })
    assert.notDeepEqual(
      differing(tokenizer, cases, shifted),
      [],
      'a mutant whose tokens end one character early is found out',
    )
  })
}

test('what is wrapped around a sequence stands nowhere in the text', async () => {
  const tokenizer = load('prepend', await json('prepend'))
  const { ids, offsets } = right(tokenizer.encodeWithOffsets('the'))
  assert.deepEqual([ids[0], offsets], [1, [[0, 0], ...ids.slice(1).map(() => [0, 3])]])
})

/** The text that is handed out after a prompt. */
const streamed = (tokenizer: Tokenizer, start: DecodeState, ids: readonly number[]): string => {
  let state = start
  let text = ''
  for (const id of ids) {
    const next = decodeNext(tokenizer, state, id)
    text += next.text
    state = next.state
  }
  return text + decodeRest(tokenizer, state)
}

test('what is generated behind a prompt is decode(prompt + new) without decode(prompt), the first space included', async () => {
  let spaces = 0
  for (const name of ['prepend', 'metaspace', 'unigram', 'llama3', 'wordpiece']) {
    const tokenizer = load(name, await json(name))
    for (const [, ids] of rows[name] ?? []) {
      for (let cut = 1; cut < ids.length; cut++) {
        const before = tokenizer.decode(ids.slice(0, cut))
        if (before.endsWith('\uFFFD')) continue
        const expected = tokenizer.decode(ids).slice(before.length)
        assert.equal(streamed(tokenizer, decodeAfter(tokenizer, ids.slice(0, cut)), ids.slice(cut)), expected)
        if (streamed(tokenizer, decodeStart, ids.slice(cut)) !== expected) spaces++
      }
    }
  }
  assert.ok(spaces > 100, 'decoding what is new by itself is found out (a mutant)')
})
