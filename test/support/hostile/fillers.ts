import { gguf } from '../archives.ts'

/** A file of about so many bytes that describes as much as it can. */
export type Filler = (bytes: number) => Buffer

/** Repeats a piece up to a number of bytes. */
const repeated = (bytes: number, piece: string | ((i: number) => string), between = ','): string => {
  const parts: string[] = []
  for (let length = 0, i = 0; length < bytes; i++) {
    const part = typeof piece === 'string' ? piece : piece(i)
    parts.push(part)
    length += part.length + between.length
  }
  return parts.join(between)
}

const jsons: readonly ((bytes: number) => string)[] = [
  bytes => `{"a":[${repeated(bytes, '[]')}]}`,
  bytes => `{"a":[${repeated(bytes, '{}')}]}`,
  bytes => `{"a":[${repeated(bytes, '{"a":0}')}]}`,
  bytes => `{"a":[${repeated(bytes, '0.5')}]}`,
  bytes => `{"a":[${repeated(bytes, i => `"${i.toString(36)}"`)}]}`,
  bytes => `{${repeated(bytes, i => `"${i.toString(36)}":0`)}}`,
  bytes => `{${repeated(bytes, i => `"${i.toString(36)}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)}}`,
]

const headed = (json: string): Buffer => {
  const header = Buffer.from(json)
  return Buffer.concat([gguf.u64(header.length), header])
}

/** A GGUF file of one metadata array, of items of a type. */
const arrayOf = (type: number, item: Buffer, bytes: number): Buffer => {
  const count = Math.floor(bytes / item.length)
  const value = Buffer.concat([gguf.u32(type), gguf.u64(count), Buffer.alloc(count * item.length, item)])
  return gguf.file([gguf.pair('a', 9, value)], [])
}

/** Nested arrays, texts, pairs and tensors. */
export const ggufFiller: readonly Filler[] = [
  bytes => arrayOf(9, Buffer.concat([gguf.u32(4), gguf.u64(0)]), bytes),
  bytes => arrayOf(8, gguf.text('ab'), bytes),
  bytes =>
    gguf.file(
      Array.from({ length: bytes / 18 }, (_, i) => gguf.pair(i.toString(36).padStart(5, '0'), 7, Buffer.of(0))),
      [],
    ),
  bytes =>
    gguf.file(
      [],
      Array.from({ length: bytes / 32 }, (_, i) => ({
        name: i.toString(36),
        sizes: [0],
        type: 0,
        data: Buffer.alloc(0),
      })),
    ),
]

/** Files of the other formats. */
export const filler = {
  json: jsons.map(
    (make): Filler =>
      bytes =>
        Buffer.from(make(bytes)),
  ),
  safetensors: jsons.map(
    (make): Filler =>
      bytes =>
        headed(make(bytes)),
  ),
  lines: [
    bytes => Buffer.from(`{"input_ids":[${repeated(bytes, '1')}]}`),
    bytes => Buffer.from(repeated(bytes, '{"input_ids":[1,2]}', '\n')),
    bytes => Buffer.from(repeated(bytes, ' ', '\n')),
    bytes => Buffer.from(`{"messages":[${repeated(bytes, '{}')}]}`),
    // a tokenizer reads some hundred thousand letters in a second
    bytes => Buffer.from(`{"messages":[{"role":"user","content":"${'x'.repeat(bytes / 100)}"}]}`),
  ],
  csv: [
    bytes => Buffer.from(`image,label\n${repeated(bytes, 'x.jpg,a', '\n')}`),
    bytes => Buffer.from(`image,label\n${repeated(bytes, ',', ',')}`),
    bytes => Buffer.from(`image,label\n"${'x'.repeat(bytes)}`),
  ],
  template: [
    bytes => Buffer.from(repeated(bytes, '{{1}}', '')),
    bytes => Buffer.from(`{{ [${repeated(bytes, '1')}] }}`),
    bytes => Buffer.from(`${' '.repeat(bytes)}x{%- if true %}{% endif %}`),
    bytes => Buffer.from(`{{ ${'9'.repeat(bytes)} }}`),
    bytes => Buffer.from(`{{ '${'x'.repeat(bytes)}' }}`),
    bytes => Buffer.from(`{{ ('${'1'.repeat(bytes)}' ~ 'x') | float }}`),
  ],
} as const satisfies Readonly<Record<string, readonly Filler[]>>
