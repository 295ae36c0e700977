import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openCheckpoint, type Checkpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { saveMerged } from '../../src/io/checkpoint/merged.ts'
import { gguf, inDirectory, message, put, right } from '../support/archives.ts'
import { ofText } from '../support/architectures.ts'

/** Models of other architectures than LLaMA, from Hugging Face's directory and as llama.cpp converts it. */
const golden = join(import.meta.dirname, '../golden/qwen')

/** Tensors under llama.cpp's names: gguf-py/gguf/constants.py, and its convert_hf_to_gguf.py, which turns no rows. */
const parts: Readonly<Record<string, string>> = {
  'input_layernorm': 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'post_attention_layernorm': 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
}
const others: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  'lm_head': 'output',
}
const ggufName = (name: string): string => {
  const [, layer, part = '', ending = ''] = /^(?:model\.layers\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(name)!
  return layer === undefined ? `${others[part]!}.${ending}` : `blk.${layer}.${parts[part]!}.${ending}`
}

const written = async (
  { tensors, config, architecture: { name } }: Checkpoint<'text'>,
  more: readonly Buffer[] = [],
): Promise<Buffer> => {
  const key = (of: string): string => `${name}.${of}`
  const pairs = [
    gguf.string('general.architecture', name),
    gguf.number(key('block_count'), config.num_hidden_layers),
    gguf.number(key('context_length'), config.max_position_embeddings),
    gguf.number(key('embedding_length'), config.hidden_size),
    gguf.number(key('feed_forward_length'), config.intermediate_size),
    gguf.number(key('attention.head_count'), config.num_attention_heads),
    gguf.number(key('attention.head_count_kv'), config.num_key_value_heads),
    gguf.float(key('attention.layer_norm_rms_epsilon'), config.rms_norm_eps),
    gguf.float(key('rope.freq_base'), config.rope_theta),
    gguf.number('tokenizer.ggml.bos_token_id', 1),
    gguf.number('tokenizer.ggml.eos_token_id', 2),
    // heads of a size of their own
    ...(config.head_dim * config.num_attention_heads === config.hidden_size
      ? []
      : ['attention.key_length', 'attention.value_length'].map(of => gguf.number(key(of), config.head_dim))),
    ...more,
  ]
  const data = await Promise.all(
    [...tensors].map(async ([own, entry]) => ({
      name: ggufName(own),
      sizes: entry.sizes,
      type: 0,
      data: Buffer.from((await right(entry.readF32())).buffer),
    })),
  )
  return gguf.file(pairs, data)
}

for (const model of ['qwen2-tiny', 'qwen3-tiny']) {
  test(`${model}: a GGUF file has the config and the numbers of the directory, and so has what it is written out as`, () =>
    inDirectory(async directory => {
      const original = ofText(await right(openCheckpoint(join(golden, model))))
      const file = await put(directory, 'm.gguf', await written(original))
      const found = ofText(await right(openCheckpoint(file)))
      const out = join(directory, 'out')
      await right(saveMerged(out, found, []))
      const merged = ofText(await right(openCheckpoint(out)))
      try {
        for (const other of [found, merged]) {
          assert.equal(other.architecture.name, original.architecture.name)
          // numbers of a GGUF file have 32 bits
          assert.deepEqual(other.config, {
            ...original.config,
            rms_norm_eps: Math.fround(original.config.rms_norm_eps),
          })
          assert.deepEqual([...other.tensors.keys()], [...original.tensors.keys()])
          for (const [name, entry] of other.tensors)
            assert.deepEqual(
              await right(entry.readF32()),
              await right(original.tensors.get(name)!.readF32()),
              `${name} of ${other.path}`,
            )
        }
        const plain = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Readonly<Record<string, unknown>>
        assert.deepEqual(plain['architectures'], original.config.architectures)
      } finally {
        for (const { close } of [original, found, merged]) await close()
      }
    }))

  test(`${model}: a GGUF file with a key or a tensor that its architecture does not have is refused by name`, () =>
    inDirectory(async directory => {
      const original = ofText(await right(openCheckpoint(join(golden, model))))
      const { name } = original.architecture
      const said = async (checkpoint: Checkpoint<'text'>, ...more: readonly Buffer[]): Promise<string> =>
        message(openCheckpoint(await put(directory, 'm.gguf', await written(checkpoint, more))))
      try {
        assert.match(
          await said(original, gguf.number(`${name}.attention.sliding_window`, 16)),
          new RegExp(`m\\.gguf: ${name}\\.attention\\.sliding_window is 16, and that key is not supported$`),
        )
        const [bias, norm] = ['model.layers.0.self_attn.o_proj.bias', 'model.layers.0.self_attn.q_norm.weight']
        const extra = original.tensors.has(norm) ? bias : norm
        const entry = original.tensors.get('model.norm.weight')!
        const tensors = new Map(original.tensors).set(extra, entry)
        assert.match(
          await said({ ...original, tensors }),
          extra === bias
            ? /tensor blk\.0\.attn_output\.bias: projections with a bias are not supported$/
            : /tensor model\.layers\.0\.self_attn\.q_norm\.weight: the model that the config describes has no such parameter$/,
        )
      } finally {
        await original.close()
      }
    }))
}
