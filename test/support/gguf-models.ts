import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { random } from './adapters.ts'
import { gguf } from './archives.ts'
import { tinyMetadata } from './tokenizers.ts'

/** Writes a LLaMA of one layer with a byte-level tokenizer as a GGUF file, and returns its path. */
export const writeTinyGguf = async (directory: string, pre = 'smollm'): Promise<string> => {
  const hidden = 8
  const metadata = tinyMetadata()
  const tokens = metadata.get('tokenizer.ggml.tokens') as readonly string[]
  const vocab = tokens.length
  const texts = (items: readonly string[]): Buffer =>
    Buffer.concat([gguf.u32(8), gguf.u64(items.length), ...items.map(gguf.text)])
  const pairs = [
    gguf.string('general.architecture', 'llama'),
    gguf.number('llama.embedding_length', hidden),
    gguf.number('llama.feed_forward_length', 12),
    gguf.number('llama.block_count', 1),
    gguf.number('llama.attention.head_count', 2),
    gguf.float('llama.attention.layer_norm_rms_epsilon', 1e-5),
    gguf.number('llama.context_length', 64),
    gguf.string('tokenizer.ggml.model', 'gpt2'),
    gguf.string('tokenizer.ggml.pre', pre),
    gguf.pair('tokenizer.ggml.tokens', 9, texts(tokens)),
    gguf.pair('tokenizer.ggml.merges', 9, texts(metadata.get('tokenizer.ggml.merges') as readonly string[])),
    gguf.pair(
      'tokenizer.ggml.token_type',
      9,
      Buffer.concat([
        gguf.u32(5),
        gguf.u64(vocab),
        Buffer.from((metadata.get('tokenizer.ggml.token_type') as Int32Array).buffer),
      ]),
    ),
    gguf.number('tokenizer.ggml.bos_token_id', 1),
    gguf.number('tokenizer.ggml.eos_token_id', 2),
    gguf.string('tokenizer.chat_template', metadata.get('tokenizer.chat_template') as string),
  ]
  const tensor = (name: string, seed: number, ...sizes: readonly number[]) => {
    const { data } = random(seed, ...sizes)
    return { name, sizes, type: 0, data: Buffer.from(data.buffer) }
  }
  const file = join(directory, `${pre}.gguf`)
  await writeFile(
    file,
    gguf.file(pairs, [
      tensor('token_embd.weight', 1, vocab, hidden),
      tensor('output_norm.weight', 2, hidden),
      tensor('blk.0.attn_norm.weight', 3, hidden),
      tensor('blk.0.ffn_norm.weight', 4, hidden),
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name, i) =>
        tensor(`blk.0.${name}.weight`, 5 + i, hidden, hidden),
      ),
      tensor('blk.0.ffn_gate.weight', 10, 12, hidden),
      tensor('blk.0.ffn_up.weight', 11, 12, hidden),
      tensor('blk.0.ffn_down.weight', 12, hidden, 12),
    ]),
  )
  return file
}
