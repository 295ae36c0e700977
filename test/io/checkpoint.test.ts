import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cp, readFile, truncate, unlink } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import { hashOf, openCheckpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { openGguf } from '../../src/io/gguf/archive.ts'
import { ggufModel, unpermuteRows } from '../../src/io/gguf/model.ts'
import { llama3Divisors } from '../../src/model/causal/rope-divisors.ts'
import { cacheDirectory, smolLM2 } from '../../src/io/hub.ts'
import { parseConfig, type CheckpointConfig } from '../../src/model/index.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import { leafOf, safetensorsBytes, type Leaf } from '../../src/io/safetensors/write.ts'
import { collect, floats, gguf, inDirectory, message, put, right } from '../support/archives.ts'
import { ofText } from '../support/architectures.ts'

const golden = join(import.meta.dirname, '../golden/llama-tiny')
const goldenConfig: Readonly<Record<string, unknown>> = JSON.parse(await readFile(join(golden, 'config.json'), 'utf8'))

/** The parameters of a LLaMA with their sizes, [out, in] as PyTorch prints them, in the order of the network. */
const llamaParameters = (config: CheckpointConfig): readonly (readonly [name: string, sizes: readonly number[]])[] => {
  const { vocab_size: vocab, hidden_size: width, intermediate_size: inner, head_dim: size } = config
  const query = config.num_attention_heads * size
  const keyValue = config.num_key_value_heads * size
  const layer = (i: number) =>
    [
      ['input_layernorm', [width]],
      ['self_attn.q_proj', [query, width]],
      ['self_attn.k_proj', [keyValue, width]],
      ['self_attn.v_proj', [keyValue, width]],
      ['self_attn.o_proj', [width, query]],
      ['post_attention_layernorm', [width]],
      ['mlp.gate_proj', [inner, width]],
      ['mlp.up_proj', [inner, width]],
      ['mlp.down_proj', [width, inner]],
    ].map(([name, sizes]): [string, number[]] => [`model.layers.${i}.${String(name)}.weight`, sizes as number[]])
  return [
    ['model.embed_tokens.weight', [vocab, width]],
    ...Array.from({ length: config.num_hidden_layers }, (_, i) => layer(i)).flat(),
    ['model.norm.weight', [width]],
    ...(config.tie_word_embeddings ? [] : [['lm_head.weight', [vocab, width]] as [string, number[]]]),
  ]
}

const withConfig = (changes: Readonly<Record<string, unknown>>): string => {
  const parsed = parseConfig({ ...goldenConfig, ...changes }, 'config.json')
  return E.isLeft(parsed) ? parsed.left.message : ''
}
const validConfig = (changes: Readonly<Record<string, unknown>>): CheckpointConfig => {
  const parsed = parseConfig({ ...goldenConfig, ...changes }, 'config.json')
  if (E.isLeft(parsed)) assert.fail(parsed.left.message)
  return ofText(parsed.right).config
}

test('the golden Hugging Face directory opens: config, parameters in order, values', async () => {
  const checkpoint = await right(openCheckpoint(golden))
  assert.equal(checkpoint.kind, 'huggingface')
  assert.deepEqual(checkpoint.config, {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: 320,
    hidden_size: 64,
    intermediate_size: 176,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    rope_scaling: { rope_type: 'default' },
    tie_word_embeddings: false,
    max_position_embeddings: 128,
    bos_token_id: [1],
    eos_token_id: [2],
  })
  assert.deepEqual(
    [...checkpoint.tensors].map(([name, { sizes }]) => [name, sizes]),
    llamaParameters(ofText(checkpoint).config),
  )
  assert.equal((await right(checkpoint.tensors.get('lm_head.weight')!.readF32())).length, 320 * 64)
  await checkpoint.close()
})

test('both spellings of rope are understood, and both scalings', () => {
  const old = { rope_parameters: undefined, rope_theta: 500000 }
  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }
  assert.equal(validConfig({ ...old, rope_scaling: null }).rope_theta, 500000)
  assert.deepEqual(validConfig({ ...old, rope_scaling: { type: 'linear', factor: 2 } }).rope_scaling, {
    rope_type: 'linear',
    factor: 2,
  })
  for (const spelling of [
    { ...old, rope_scaling: { ...llama3, rope_type: 'llama3' } },
    { rope_parameters: { ...llama3, rope_type: 'llama3', rope_theta: 500000 } },
  ]) {
    const config = validConfig(spelling)
    assert.deepEqual([config.rope_theta, config.rope_scaling], [500000, { rope_type: 'llama3', ...llama3 }])
  }
  assert.deepEqual(
    validConfig({ head_dim: null, num_key_value_heads: null, eos_token_id: [2, 3] }).eos_token_id,
    [2, 3],
  )
})

test('absurd config fields are refused with the file and the field', () => {
  const fields = [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'max_position_embeddings',
  ]
  for (const field of fields) {
    for (const value of [-1, 0, '64', 1e12, 1.5, [], true])
      assert.match(
        withConfig({ [field]: value }),
        new RegExp(`^config\\.json: ${field} is .*: expected an integer from 1 to `),
      )
  }
  for (const field of ['vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads']) {
    assert.match(withConfig({ [field]: undefined }), new RegExp(`^config\\.json: ${field} is missing`))
  }
  assert.match(
    withConfig({ num_key_value_heads: 3 }),
    /num_key_value_heads is 3: expected a divisor of num_attention_heads \(4\)/,
  )
  assert.match(
    withConfig({ num_attention_heads: 6, head_dim: undefined, num_key_value_heads: 2 }),
    /num_attention_heads is 6: expected a divisor of hidden_size \(64\)/,
  )
  assert.match(withConfig({ head_dim: 15 }), /head_dim is 15: expected an even number/)
  assert.match(withConfig({ rms_norm_eps: 'x' }), /rms_norm_eps is "x": expected a number/)
  assert.match(withConfig({ rms_norm_eps: -1e-5 }), /rms_norm_eps/)
  assert.match(withConfig({ tie_word_embeddings: 1 }), /tie_word_embeddings is 1: expected true or false/)
  assert.match(withConfig({ eos_token_id: 320 }), /eos_token_id is 320: expected a token id below the vocabulary's 320/)
  assert.match(
    withConfig({ model_type: 'gpt2' }),
    /model_type is "gpt2"; only "llama", "qwen2", "qwen3".* are supported/,
  )
  assert.match(withConfig({ hidden_act: 'gelu' }), /hidden_act is "gelu": expected "silu"/)
  assert.match(withConfig({ attention_bias: true }), /attention_bias is true: expected false/)
  assert.match(
    withConfig({ rope_parameters: { rope_type: 'yarn' } }),
    /the rope type "yarn" in rope_parameters is not supported/,
  )
  assert.match(withConfig({ rope_parameters: 3 }), /rope_parameters is 3: expected an object/)
  assert.match(withConfig({ rope_parameters: { rope_type: 'linear', factor: 0 } }), /rope_parameters\.factor is 0/)
  assert.match(
    withConfig({
      rope_parameters: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 4,
        high_freq_factor: 1,
        original_max_position_embeddings: 64,
      },
    }),
    /rope_parameters\.high_freq_factor is 1: expected a number above low_freq_factor/,
  )
})

test('what is missing, mis-sized, truncated or of the wrong type is named', () =>
  inDirectory(async directory => {
    const model = join(directory, 'model')
    const config = (changes: Readonly<Record<string, unknown>>) =>
      put(model, 'config.json', JSON.stringify({ ...goldenConfig, ...changes }))
    await cp(golden, model, { recursive: true })
    await config({ num_hidden_layers: 4000 })
    assert.match(
      await message(openCheckpoint(model)),
      /model\.safetensors: tensors model\.layers\.2\.input_layernorm\.weight, .* and \d+ more are missing$/,
    )
    await config({ vocab_size: 321 })
    assert.match(
      await message(openCheckpoint(model)),
      /tensor model\.embed_tokens\.weight has the sizes \[320, 64\], where the config asks for \[321, 64\]/,
    )
    await config({ tie_word_embeddings: true })
    const parted = await right(openCheckpoint(model))
    assert.deepEqual(
      [ofText(parted).config.tie_word_embeddings, parted.tensors.has('lm_head.weight'), parted.warnings.length],
      [false, true, 1],
      'a head that holds other numbers than the embedding is one of its own, as in transformers 5',
    )
    await parted.close()
    await put(model, 'config.json', '{')
    assert.match(await message(openCheckpoint(model)), /config\.json: it is not valid JSON/)
    await config({})
    await truncate(join(model, 'model.safetensors'), 100000)
    assert.match(
      await message(openCheckpoint(model)),
      /model\.safetensors: tensor .*: its data ends at byte \d+, but the file holds \d+ bytes/,
    )
    const one = valueOf('i32', [320, 64], new Int32Array(320 * 64))
    await put(model, 'model.safetensors', await collect(safetensorsBytes([leafOf('model.embed_tokens.weight', one)])))
    assert.match(
      await message(openCheckpoint(model)),
      /tensor model\.embed_tokens\.weight is stored as I32, which no weight can be/,
    )
    await unlink(join(model, 'model.safetensors'))
    assert.match(
      await message(openCheckpoint(model)),
      /holds neither model\.safetensors nor model\.safetensors\.index\.json/,
    )
    assert.match(await message(openCheckpoint(join(directory, 'none'))), /none: no such file or directory/)
    assert.match(await message(openCheckpoint(await put(directory, 'a.txt', 'hello'))), /a\.txt: it is not a GGUF file/)
  }))

test('the hash ignores path and shards, and sees a change in any parameter', () =>
  inDirectory(async directory => {
    const archive = await right(openSafetensors(join(golden, 'model.safetensors')))
    const leaves: readonly Leaf[] = [...archive.tensors.values()].map(entry => ({ ...entry, dtype: 'f32' }))
    const original = await right(openCheckpoint(golden))
    const hash = await right(hashOf(original))
    await original.close()
    assert.match(hash, /^[0-9a-f]{64}$/)

    await put(directory, 'config.json', JSON.stringify(goldenConfig))
    const [a, b] = [leaves.slice(0, 7), leaves.slice(7)]
    await put(directory, 'a.safetensors', await collect(safetensorsBytes(a)))
    await put(directory, 'b.safetensors', await collect(safetensorsBytes(b)))
    const weight_map = Object.fromEntries([
      ...a.map(({ name }) => [name, 'a.safetensors']),
      ...b.map(({ name }) => [name, 'b.safetensors']),
    ])
    await put(directory, 'model.safetensors.index.json', JSON.stringify({ weight_map }))
    const sharded = await right(openCheckpoint(directory))
    assert.equal(await right(hashOf(sharded)), hash)
    await sharded.close()

    for (const changed of leaves) {
      // one bit of the first number
      const bytes = await collect(
        safetensorsBytes(
          leaves.map(leaf =>
            leaf.name !== changed.name
              ? leaf
              : {
                  ...leaf,
                  read: async () => {
                    const value = await leaf.read()
                    new Uint8Array(value.data.buffer)[0]! ^= 1
                    return value
                  },
                },
          ),
        ),
      )
      await put(directory, 'model.safetensors', bytes)
      const checkpoint = await right(openCheckpoint(directory))
      assert.notEqual(await right(hashOf(checkpoint)), hash, changed.name)
      await checkpoint.close()
    }
    await archive.close()
  }))

// --- GGUF

const tiny = { vocab: 6, hidden: 8, ffn: 12, layers: 2, heads: 2, kvHeads: 1, headDim: 4 }
/** Row r of a weight holds 1000 · r + column, so that a row can be recognised. */
const rowed = (rows: number, width: number): Buffer =>
  floats(...Array.from({ length: rows * width }, (_, i) => 1000 * Math.floor(i / width) + (i % width)))
/** llama.cpp's order, as convert_hf_to_gguf.py makes it: reshape(heads, 2, headDim / 2, in).swapaxes(1, 2). */
const permuted = (heads: number, headDim: number, width: number): Buffer => {
  const rows: number[] = []
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < headDim / 2; j++) for (let h = 0; h < 2; h++) rows.push(head * headDim + (h * headDim) / 2 + j)
  }
  return floats(...rows.flatMap(row => Array.from({ length: width }, (_, column) => 1000 * row + column)))
}
const numbersOf = (bytes: Buffer): Float32Array =>
  Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
const { vocab, hidden, ffn, heads, kvHeads, headDim } = tiny
const weight = (name: string, ...sizes: readonly number[]) => ({
  name,
  sizes,
  type: 0,
  data: rowed(sizes.length === 1 ? 1 : sizes[0]!, sizes.at(-1)!),
})
const tensors = [
  weight('token_embd.weight', vocab, hidden),
  weight('output_norm.weight', hidden),
  ...[0, 1].flatMap(i => [
    weight(`blk.${i}.attn_norm.weight`, hidden),
    weight(`blk.${i}.ffn_norm.weight`, hidden),
    { ...weight(`blk.${i}.attn_q.weight`, heads * headDim, hidden), data: permuted(heads, headDim, hidden) },
    { ...weight(`blk.${i}.attn_k.weight`, kvHeads * headDim, hidden), data: permuted(kvHeads, headDim, hidden) },
    weight(`blk.${i}.attn_v.weight`, kvHeads * headDim, hidden),
    weight(`blk.${i}.attn_output.weight`, hidden, heads * headDim),
    weight(`blk.${i}.ffn_gate.weight`, ffn, hidden),
    weight(`blk.${i}.ffn_up.weight`, ffn, hidden),
    weight(`blk.${i}.ffn_down.weight`, hidden, ffn),
  ]),
]
const pairs: Readonly<Record<string, Buffer>> = {
  'general.architecture': gguf.string('general.architecture', 'llama'),
  'llama.block_count': gguf.number('llama.block_count', tiny.layers),
  'llama.embedding_length': gguf.number('llama.embedding_length', hidden),
  'llama.feed_forward_length': gguf.number('llama.feed_forward_length', ffn),
  'llama.attention.head_count': gguf.number('llama.attention.head_count', heads),
  'llama.attention.head_count_kv': gguf.number('llama.attention.head_count_kv', kvHeads),
  'llama.attention.layer_norm_rms_epsilon': gguf.float('llama.attention.layer_norm_rms_epsilon', 2 ** -16),
  'llama.rope.freq_base': gguf.float('llama.rope.freq_base', 500000),
  'llama.context_length': gguf.number('llama.context_length', 64),
  'tokenizer.ggml.eos_token_id': gguf.number('tokenizer.ggml.eos_token_id', 2),
}
const tinyFile = (changes: Readonly<Record<string, Buffer | undefined>> = {}, more: typeof tensors = []): Buffer =>
  gguf.file(
    Object.values({ ...pairs, ...changes }).filter(pair => pair !== undefined),
    [...tensors, ...more],
  )

test('a LLaMA in a GGUF file has Hugging Face names, sizes, row order and config fields', () =>
  inDirectory(async directory => {
    const checkpoint = await right(openCheckpoint(await put(directory, 'm.gguf', tinyFile())))
    assert.equal(checkpoint.kind, 'gguf')
    assert.deepEqual(checkpoint.config, {
      model_type: 'llama',
      architectures: ['LlamaForCausalLM'],
      vocab_size: 6,
      hidden_size: 8,
      intermediate_size: 12,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      head_dim: 4,
      rms_norm_eps: 2 ** -16,
      rope_theta: 500000,
      rope_scaling: { rope_type: 'default' },
      tie_word_embeddings: true,
      max_position_embeddings: 64,
      bos_token_id: [],
      eos_token_id: [2],
    })
    assert.equal(checkpoint.metadata.get('general.architecture'), 'llama')
    for (const [name, entry] of checkpoint.tensors) {
      assert.equal(entry.name, name)
      const rows = entry.sizes.length === 1 ? 1 : entry.sizes[0]!
      assert.deepEqual(await right(entry.readF32()), numbersOf(rowed(rows, entry.sizes.at(-1)!)), name)
    }
    await checkpoint.close()
    const untied = await right(
      openCheckpoint(await put(directory, 'm.gguf', tinyFile({}, [weight('output.weight', vocab, hidden)]))),
    )
    assert.equal(ofText(untied).config.tie_word_embeddings, false)
    assert.ok(untied.tensors.has('lm_head.weight'))
    await untied.close()
  }))

test("undoing the row order of q and k undoes llama.cpp's; leaving it alone does not (mutant)", () => {
  const rows = numbersOf(permuted(3, 6, 2))
  const due = numbersOf(rowed(18, 2))
  assert.deepEqual(unpermuteRows(rows, 3, 6), due)
  assert.notDeepEqual(rows, due)
})

test('rope scaling of a GGUF file: keys, or the divisors of Llama 3.1', () =>
  inDirectory(async directory => {
    const open = async (changes: Readonly<Record<string, Buffer>>, more: typeof tensors = []) => {
      const checkpoint = await right(openCheckpoint(await put(directory, 'm.gguf', tinyFile(changes, more))))
      await checkpoint.close()
      return ofText(checkpoint).config.rope_scaling
    }
    assert.deepEqual(
      await open({
        type: gguf.string('llama.rope.scaling.type', 'linear'),
        factor: gguf.float('llama.rope.scaling.factor', 4),
      }),
      { rope_type: 'linear', factor: 4 },
    )
    assert.deepEqual(
      await open({
        type: gguf.string('llama.rope.scaling.type', 'none'),
        factor: gguf.float('llama.rope.scaling.factor', 4),
      }),
      { rope_type: 'default' },
    )
    const llama3 = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    } as const
    const divisors = {
      name: 'rope_freqs.weight',
      sizes: [64],
      type: 0,
      data: floats(...llama3Divisors(500000, 128, llama3)),
    }
    const wide = { 'llama.attention.key_length': gguf.number('llama.attention.key_length', 128) }
    const config = async (more: typeof tensors) => {
      const archive = await right(openGguf(await put(directory, 'm.gguf', tinyFile(wide, more))))
      const { config: found } = await ggufModel(archive).finally(archive.close)
      return found
    }
    assert.deepEqual((await config([divisors])).rope_scaling, llama3)
    const others = { ...divisors, data: floats(...Array.from({ length: 64 }, (_, i) => i + 1)) }
    await assert.rejects(config([others]), /rope_freqs\.weight is not the llama3 rope scaling/)
    const divided = llama3Divisors(500000, 128, llama3)
    assert.equal(divided[0], 1)
    assert.equal(divided.at(-1), 8)
  }))

test('a GGUF file that is no supported LLaMA is refused with its key', () =>
  inDirectory(async directory => {
    const said = async (changes: Readonly<Record<string, Buffer | undefined>>, more: typeof tensors = []) =>
      message(openCheckpoint(await put(directory, 'm.gguf', tinyFile(changes, more))))
    assert.match(
      await said({ 'general.architecture': gguf.string('general.architecture', 'gemma2') }),
      /m\.gguf: general\.architecture is "gemma2"; only "llama", "qwen2" and "qwen3" are supported/,
    )
    assert.match(await said({ 'llama.embedding_length': undefined }), /m\.gguf: llama\.embedding_length is missing/)
    assert.match(
      await said({ 'llama.embedding_length': gguf.string('llama.embedding_length', '8') }),
      /llama\.embedding_length is "8"/,
    )
    assert.match(
      await said({ 'llama.attention.layer_norm_rms_epsilon': undefined }),
      /llama\.attention\.layer_norm_rms_epsilon/,
    )
    assert.match(
      await said({ 'llama.block_count': gguf.number('llama.block_count', 3) }),
      /tensors model\.layers\.2\.input_layernorm\.weight, .* and 1 more are missing$/,
    )
    assert.match(await said({ split: gguf.number('split.count', 2) }), /one of 2 parts/)
    assert.match(await said({ experts: gguf.number('llama.expert_count', 8) }), /mixtures of experts/)
    assert.match(
      await said({ dims: gguf.number('llama.rope.dimension_count', 2) }),
      /llama\.rope\.dimension_count is 2/,
    )
    assert.match(
      await said({ type: gguf.string('llama.rope.scaling.type', 'yarn') }),
      /the rope type "yarn" in llama\.rope\.scaling is not supported/,
    )
    assert.match(
      await said({}, [weight('blk.0.attn_q.bias', 8)]),
      /tensor blk\.0\.attn_q\.bias: projections with a bias/,
    )
  }))

const smollm2 = join(cacheDirectory(), smolLM2.file)
const without = existsSync(smollm2) ? false : `left out: ${smolLM2.name} is not in the cache (npm start downloads it)`
test('SmolLM2: every parameter is there and is read in seconds', { skip: without }, async () => {
  const checkpoint = await right(openCheckpoint(smollm2))
  let count = 0
  const start = performance.now()
  for (const entry of checkpoint.tensors.values()) count += (await right(entry.readF32())).length
  assert.equal(count, 134515008)
  assert.ok(performance.now() - start < 10000)
  await right(hashOf(checkpoint))
  await checkpoint.close()
})
