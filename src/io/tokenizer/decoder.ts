/** Turns tokens back into text. Source: huggingface/tokenizers 0.23, src/decoders. */
import type { Search } from '../../text/expression.ts'
import { bytesOf } from './bytes.ts'
import { fieldsOf } from './fields.ts'
import { patternOf } from './pattern.ts'
import { metaspaceOptions } from './pre-tokenizer.ts'

/** One step of decoding: tokens to tokens. */
export type Decoder = (tokens: readonly string[]) => readonly string[]

const lossy = new TextDecoder('utf-8', { ignoreBOM: true })
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of bytes, or a replacement character for each of them if they are not valid UTF-8. */
const textOf = (bytes: readonly number[]): readonly string[] => {
  if (bytes.length === 0) return []
  try {
    return [strict.decode(Uint8Array.from(bytes))]
  } catch {
    return bytes.map(() => '\ufffd')
  }
}

const byteFallback: Decoder = tokens => {
  const texts: string[] = []
  let bytes: number[] = []
  for (const token of tokens) {
    const byte = /^<0x([0-9a-fA-F]{2})>$/.exec(token)?.[1]
    if (byte !== undefined) bytes.push(parseInt(byte, 16))
    else {
      texts.push(...textOf(bytes), token)
      bytes = []
    }
  }
  return [...texts, ...textOf(bytes)]
}

/** A text with every match of a search replaced. */
const replaced = (text: string, find: Search, content: string): string => {
  let [done, result] = [0, '']
  for (const [from, to] of find(text)) {
    result += text.slice(done, from) + content
    done = to
  }
  return result + text.slice(done)
}

/** A token without up to `start` and `stop` occurrences of a character at its ends. */
const stripped = (token: string, content: string, start: number, stop: number): string => {
  const characters = [...token]
  let [from, to] = [0, characters.length]
  while (from < Math.min(start, characters.length) && characters[from] === content) from++
  while (to > Math.max(from, characters.length - stop) && characters[to - 1] === content) to--
  return characters.slice(from, to).join('')
}

const tidied = (text: string): string =>
  [
    [' .', '.'],
    [' ?', '?'],
    [' !', '!'],
    [' ,', ','],
    [" ' ", "'"],
    [" n't", "n't"],
    [" 'm", "'m"],
    [' do not', " don't"],
    [" 's", "'s"],
    [" 've", "'ve"],
    [" 're", "'re"],
  ].reduce((text, [from, to]) => text.replaceAll(from!, to!), text)

/** The decoder at `path` of a file. Throws a refusal if it is not supported. */
export const decoderOf = (subject: string, path: string, value: unknown): Decoder => {
  const fields = fieldsOf(subject, path, value)
  const made = ((): Decoder => {
    switch (fields.type) {
      case 'Sequence': {
        const parts = fields.list('decoders').map((part, i) => decoderOf(subject, `${path}.decoders[${i}]`, part))
        return tokens => parts.reduce((tokens, part) => part(tokens), tokens)
      }
      case 'ByteLevel':
        for (const name of ['add_prefix_space', 'trim_offsets', 'use_regex']) fields.flag(name, true)
        return tokens => [lossy.decode(Uint8Array.from(tokens.flatMap(token => [...bytesOf(token)])))]
      case 'Metaspace': {
        const { mark, scheme } = metaspaceOptions(fields)
        return tokens => tokens.map((token, i) => token.replaceAll(mark, i === 0 && scheme !== 'never' ? '' : ' '))
      }
      case 'ByteFallback':
        return byteFallback
      case 'Fuse':
        return tokens => [tokens.join('')]
      case 'Strip': {
        const [content, start, stop] = [fields.string('content'), fields.integer('start'), fields.integer('stop')]
        if ([...content].length !== 1) fields.refuse('"content" must be one character')
        return tokens => tokens.map(token => stripped(token, content, start, stop))
      }
      case 'Replace': {
        const [find, content] = [patternOf(fields), fields.string('content')]
        return tokens => tokens.map(token => replaced(token, find, content))
      }
      case 'WordPiece': {
        const [prefix, tidy] = [fields.string('prefix'), fields.flag('cleanup')]
        return tokens =>
          tokens.map((token, i) => {
            const text = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
            return tidy ? tidied(text) : text
          })
      }
      case 'BPEDecoder': {
        const suffix = fields.string('suffix')
        return tokens => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '))
      }
      default:
        return fields.unsupported()
    }
  })()
  fields.end()
  return made
}
