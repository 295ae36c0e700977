import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { saveAdapter } from '../../../src/io/index.ts'
import { orThrow } from '../../../src/text/index.ts'
import { certificateText } from '../../../src/verify/certificate.ts'
import { adapterOf } from '../adapters.ts'
import { inDirectory } from '../archives.ts'
import { certified, runOf } from '../certificates.ts'
import { processor } from '../class-folders.ts'
import { writeTinyGguf } from '../gguf-models.ts'
import { chatMl } from '../tokenizers.ts'
import { zipOfAll } from '../zip.ts'

/** Valid files of every format, most of them written by other programs. */

/** The files of a valid case, by their paths in its folder. */
export type Files = Readonly<Record<string, Uint8Array>>
/** Makes valid files, of one kind or of several. */
export type Makes = () => Promise<readonly Files[]>

const golden = join(import.meta.dirname, '..', '..', 'golden')
const inGolden = (...path: readonly string[]): Promise<Uint8Array> => readFile(join(golden, ...path))
const json = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, null, 1)}\n`)
const parsed = async <T>(...path: readonly string[]): Promise<T> =>
  JSON.parse((await inGolden(...path)).toString()) as T

/** The conversation of rows and templates. */
export const talk = [
  { role: 'user', content: 'hello the' },
  { role: 'assistant', content: 'hell' },
]

const tensors = [
  ['a.0.weight', 'F32', [3, 4], 48],
  ['a.1.bias', 'BF16', [4], 8],
  ['b', 'I64', [2], 16],
  ['c', 'F16', [2, 2], 8],
] as const

/** A safetensors file of zeros, written by hand. */
const archive = (metadata: Readonly<Record<string, string>>, from = 0, to: number = tensors.length): Buffer => {
  let at = 0
  const entries = tensors
    .slice(from, to)
    .map(([name, dtype, shape, bytes]) => [name, { dtype, shape, data_offsets: [at, (at += bytes)] }] as const)
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.alloc(at)])
}
const index = {
  metadata: { total_size: 64 },
  weight_map: { 'a.0.weight': '1.safetensors', 'b': '2.safetensors' },
}

interface Cases {
  readonly checkpoints: readonly { readonly name: string; readonly config: object }[]
}
const configs: Makes = async () => {
  const { checkpoints } = await parsed<Cases>('checkpoints', 'cases.json')
  const named = ['tied', 'llama3 rope', 'both spellings, agreeing', 'qwen2 tied', 'qwen3 tied']
  const texts = checkpoints.filter(({ name }) => named.includes(name)).map(({ config }) => json(config))
  return [...texts, await inGolden('vit-tiny', 'config.json')].map(bytes => ({ 'config.json': bytes }))
}
const model: Makes = async () => [
  { ...(await configs())[0], 'model.safetensors': await inGolden('checkpoints', 'weights', 'tied.safetensors') },
]

const tokenizers: Makes = async () => {
  const { bases } = await parsed<{ readonly bases: Readonly<Record<string, object>> }>('tokenizer', 'tokenizers.json')
  return Object.values(bases).map(base => ({
    'tokenizer.json': json(base),
    'tokenizer_config.json': json({
      bos_token: '<|im_start|>',
      eos_token: { content: '<|im_end|>' },
      chat_template: chatMl,
    }),
    'special_tokens_map.json': json({ bos_token: '<|im_start|>', additional_special_tokens: ['<|im_end|>'] }),
    'added_tokens.json': json({}),
    'generation_config.json': json({ eos_token_id: [1, 2], bos_token_id: 0 }),
  }))
}
/** Chat templates of real models. */
const templates: Makes = async () => {
  const { families } = await parsed<{ readonly families: Readonly<Record<string, { readonly template: string }>> }>(
    'chat',
    'chat.json',
  )
  const [base] = await tokenizers()
  return Object.values(families).map(({ template }) => ({ ...base, 'chat_template.jinja': Buffer.from(template) }))
}

const rows = [
  { text: 'hello the' },
  { prompt: 'he', completion: 'llo' },
  { messages: talk, tools: null },
  { input_ids: [1, 2, 3], labels: [-100, 2, 3], attention_mask: [1, 1, 1] },
]

const adapterFiles = async (folder: string): Promise<Files> => ({
  'adapter_config.json': await readFile(join(folder, 'adapter_config.json')),
  'adapter_model.safetensors': await readFile(join(folder, 'adapter_model.safetensors')),
})
const adapters: Makes = () =>
  inDirectory(directory => {
    const sizes = new Map([['model.layers.0.self_attn.q_proj', { input: 4, output: 6, rank: 2 }]])
    return Promise.all(
      (['paca', 'lora', 'ia3'] as const).map(async method => {
        await orThrow(saveAdapter(join(directory, method), adapterOf(method, sizes, 3)))
        return adapterFiles(join(directory, method))
      }),
    )
  })
const peft: Makes = () =>
  Promise.all(
    ['lora-untied', 'vera', 'dora', 'miss', 'patterns'].map(name =>
      adapterFiles(join(golden, 'checkpoints', 'adapters', name)),
    ),
  )

const preprocessors: Makes = async () => [
  {
    'preprocessor_config.json': json({ ...processor, image_std: [0.5, 0.5, 0.5] }),
  },
  {
    'config.json': json({
      architecture: 'tf_efficientnet_lite0',
      pretrained_cfg: {
        input_size: [3, 224, 224],
        crop_pct: 0.875,
        interpolation: 'bicubic',
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        crop_mode: 'center',
      },
    }),
  },
]

const photo = (): Promise<Uint8Array> => inGolden('images', 'jpeg-444.jpg')
const beside =
  (name: string, text: string): Makes =>
  async () => [{ [name]: Buffer.from(text), 'x.jpg': await photo(), 'y.jpg': await photo() }]
const run = runOf({ eigenvalues: [1, 2], trained: [true, true], start: [1, -1] }, 0.5, 3)

/** Valid files by what they are. */
export const valid = {
  safetensors: async () => [{ 'a.safetensors': archive({ format: 'pt' }) }],
  values: async () => [
    { 'a.safetensors': archive({ 'partensor.dims': JSON.stringify({ 'a.0.weight': ['x', 4], 'b': [2] }) }) },
  ],
  shards: async () => [
    { 'a.index.json': json(index), '1.safetensors': archive({}, 0, 1), '2.safetensors': archive({}, 2, 3) },
  ],
  gguf: () => inDirectory(async directory => [{ 'a.gguf': await readFile(await writeTinyGguf(directory)) }]),
  rows: async () => [{ 'a.jsonl': Buffer.from(rows.map(row => JSON.stringify(row)).join('\n')) }],
  imageRows: beside('a.jsonl', '{"image": "x.jpg", "label": "a"}\n{"image": "y.jpg", "label": "b"}\n'),
  csv: beside('a.csv', 'image,label\nx.jpg,a\n"y.jpg","b ""c"""\n'),
  tokenizers,
  templates,
  configs,
  model,
  preprocessors,
  adapters,
  peft,
  certificate: async () => [{ 'c.json': Buffer.from(certificateText(certified(run))) }],
  zip: async () => [
    {
      'a.zip': zipOfAll([
        { name: 'a', data: Buffer.from('hello '.repeat(40)) },
        { name: 'b/c', data: Buffer.from('x'), method: 0 },
      ]),
    },
  ],
  images: () =>
    Promise.all(
      ['jpeg-444.jpg', 'jpeg-cmyk.jpg', 'png-palette-alpha.png', 'png-16-bit.png', 'webp-alpha.webp'].map(
        async name => ({ x: await inGolden('images', name) }),
      ),
    ),
} as const satisfies Readonly<Record<string, Makes>>
