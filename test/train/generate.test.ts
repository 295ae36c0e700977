import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { makeTokenizer } from '../../src/io/tokenizer/tokenizer.ts'
import { orThrow } from '../../src/text/index.ts'
import type { Decoder } from '../../src/backend/index.ts'
import { capacityFor } from '../../src/train/index.ts'
import { generateText } from '../../src/train/finetune.ts'
import { generateTokens } from '../../src/train/generate.ts'
import { openModel, promptIds } from '../../src/program/model.ts'
import { openFrozen } from '../../src/program/pretrained.ts'
import { tiny } from '../support/command-line.ts'

const session = await openFrozen(await orThrow(openModel(tiny)), { target: 'wasm', threads: 1 })
after(() => session[Symbol.asyncDispose]())

const collect = async (ids: AsyncIterable<number>): Promise<readonly number[]> => {
  const all: number[] = []
  for await (const id of ids) all.push(id)
  return all
}
const none: ReadonlySet<number> = new Set<number>()
const argmax = (logits: Float32Array): number => logits.indexOf(logits.reduce((a, b) => Math.max(a, b), -Infinity))

/** The likeliest continuation by reading the whole text again for every token. */
const naive = async (prompt: readonly number[], n: number): Promise<readonly number[]> => {
  const ids = [...prompt]
  for (let i = 0; i < n; i++) {
    const data = Int32Array.from(ids)
    const sizes = [1, ids.length]
    const logits = (
      await session.predict({
        input_ids: { shape: ['batch', 'seq'], sizes, dtype: 'i32', data },
        labels: { shape: ['batch', 'seq'], sizes, dtype: 'i32', data },
      })
    ).logits
    ids.push(argmax(logits.data.subarray((ids.length - 1) * 320)))
  }
  return ids.slice(prompt.length)
}

for (const length of [1, 15, 16, 17, 40]) {
  test(`a prompt of ${length} tokens, read in padded chunks, goes on as it does read whole`, async () => {
    const prompt = Array.from({ length }, (_, i) => (7 * i + 3) % 320)
    using decoder = session.decoder({ batch: 1, capacity: capacityFor(length, 6) })
    const made = await collect(generateTokens(decoder, prompt, { maxTokens: 6, stop: none }))
    assert.deepEqual(made, await naive(prompt, 6))
    assert.deepEqual(
      await collect(generateTokens(decoder, prompt, { maxTokens: 6, stop: none })),
      made,
      'a decoder can be used again',
    )
  })
}

test('a stop token ends the text and is no part of it', async () => {
  using decoder = session.decoder({ batch: 1, capacity: capacityFor(3, 8) })
  const all = await collect(generateTokens(decoder, [1, 2, 3], { maxTokens: 8, stop: none }))
  const stop = all.at(-1)!
  assert.deepEqual(
    await collect(generateTokens(decoder, [1, 2, 3], { maxTokens: 8, stop: new Set([stop]) })),
    all.slice(0, all.indexOf(stop)),
  )
})

/** A decoder that always gives the same logits. */
const constant = (logits: readonly number[]): Decoder => ({
  position: 0,
  rewind: () => undefined,
  [Symbol.dispose]: () => undefined,
  next: async ({ sizes: [, seq = 0] }) => ({
    shape: ['batch', 'seq', 'vocab'],
    dtype: 'f32',
    sizes: [1, seq, logits.length],
    data: Float32Array.from({ length: seq * logits.length }, (_, i) => logits[i % logits.length]!),
  }),
})

test('draws follow softmax(logits / temperature), and the seed determines them', async () => {
  const draw = (seed: number, temperature: number): Promise<readonly number[]> =>
    collect(generateTokens(constant([0, Math.log(3), -100]), [1], { maxTokens: 4000, stop: none, temperature, seed }))
  const share = (ids: readonly number[]): number => ids.filter(id => id === 1).length / ids.length
  assert.ok(Math.abs(share(await draw(0, 1)) - 3 / 4) < 0.03)
  assert.ok(Math.abs(share(await draw(0, 0.5)) - 9 / 10) < 0.03)
  assert.deepEqual(await draw(1, 1), await draw(1, 1))
  assert.notDeepEqual(await draw(1, 1), await draw(2, 1))
})

/** A decoder that yields given tokens, one per call. */
const saying = (ids: readonly number[], vocab: number): Decoder => {
  let said = 0
  return {
    position: 0,
    rewind: () => undefined,
    [Symbol.dispose]: () => undefined,
    next: async ({ sizes: [, seq = 0] }) => {
      const id = ids[said++]!
      return {
        shape: ['batch', 'seq', 'vocab'],
        dtype: 'f32',
        sizes: [1, seq, vocab],
        data: Float32Array.from({ length: seq * vocab }, (_, i) => (i % vocab === id ? 1 : 0)),
      }
    },
  }
}

const read = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse(await readFile(new URL(`../golden/chat/tokenizers/${name}.json`, import.meta.url), 'utf8'))

test('what is generated behind a prompt keeps its first space, and its characters are whole', async () => {
  for (const name of ['prepend', 'metaspace', 'unigram', 'llama3', 'wordpiece']) {
    const description = {
      subject: name,
      tokenizer: await read(name),
      bosToken: undefined,
      eosToken: undefined,
      stop: [],
      chatSource: undefined,
    }
    const tokenizer = await orThrow(async () => makeTokenizer(description))
    const ids = tokenizer.encode('hello the 東京 time', { special: false })
    const prompt = tokenizer.encode('hello', { special: false })
    assert.deepEqual(ids.slice(0, prompt.length), prompt)
    const rest = ids.slice(prompt.length)
    const pieces: string[] = []
    const made = await generateText(
      saying(rest, tokenizer.vocabSize),
      tokenizer,
      prompt,
      { maxTokens: rest.length, stop: none },
      piece => pieces.push(piece),
    )
    const whole = tokenizer.decode(ids)
    assert.deepEqual([made.text, made.ids, pieces.join('')], [whole.slice('hello'.length), rest, made.text])
    assert.ok(made.text.startsWith(' the'), name)
    assert.ok(name === 'wordpiece' || !pieces.some(piece => piece.includes('\uFFFD')))
  }
})

test('an end of sequence that the tokenizer adds does not end a prompt', async () => {
  const tokenizer = await read('wordpiece')
  const description = {
    subject: 'wordpiece',
    tokenizer,
    bosToken: '[CLS]',
    eosToken: '[SEP]',
    stop: [],
    chatSource: undefined,
  }
  const made = await orThrow(async () => makeTokenizer(description))
  const inside = made.encode('hello', { special: false })
  assert.deepEqual(made.encode('hello'), [1, ...inside, 2])
  assert.deepEqual(await orThrow(async () => promptIds(made, 'hello', false)), [1, ...inside])
  assert.deepEqual(
    await orThrow(async () => promptIds(made, 'hello[SEP]', false)),
    [1, ...inside, 2],
    'but its own does',
  )
  assert.deepEqual(await orThrow(async () => promptIds(made, '', false)), [1])
})
