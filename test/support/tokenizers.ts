import assert from 'node:assert/strict'
import * as E from 'fp-ts/lib/Either.js'
import type { IoError } from '../../src/text/error.ts'
import { loadTokenizer, type Tokenizer } from '../../src/io/tokenizer/tokenizer.ts'

/** The right side; fails with the error's sentence otherwise. */
export const right = <A>(result: E.Either<IoError, A>): A => {
  if (E.isLeft(result)) assert.fail(result.left.message)
  return result.right
}

/** The error's sentence; fails if there is none. */
export const message = (result: E.Either<IoError, unknown>): string =>
  E.isLeft(result) ? result.left.message : assert.fail('it succeeded')

/** GPT-2's character for every byte: printable ones stand for themselves, the others are moved to 256 and up. */
const byteCharacters = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
})()

const merges = ['h e', '\u0120 t', '\u0120t he', 'i n', 'l l', 'he ll', 'hell o']
const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']

/** The chat template of the ChatML family. */
export const chatMl = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}`

/** The metadata of a small byte-level tokenizer; a change to undefined removes a key. */
export const tinyMetadata = (changes: Readonly<Record<string, unknown>> = {}): ReadonlyMap<string, unknown> => {
  const tokens = [...special, ...byteCharacters, ...merges.map(merge => merge.replace(' ', ''))]
  return new Map(
    Object.entries({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'smollm',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.merges': merges,
      'tokenizer.ggml.token_type': Int32Array.from(tokens, (_, id) => (id < special.length ? 3 : 1)),
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.chat_template': chatMl,
      ...changes,
    }).filter(([, value]) => value !== undefined),
  )
}

/** The same tokenizer, loaded. */
export const tinyTokenizer = async (changes: Readonly<Record<string, unknown>> = {}): Promise<Tokenizer> => {
  const tokenizer = right(await loadTokenizer({ kind: 'gguf', path: 'tiny.gguf', metadata: tinyMetadata(changes) })())
  assert.ok(tokenizer)
  return tokenizer
}
