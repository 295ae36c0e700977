import type { Derived, LeafKind, StoredLeaf } from '../architecture.ts'
import type { CausalArchitecture, GgufNames } from './architecture.ts'
import type { CheckpointConfig } from './config.ts'
import type { CausalConfig } from './lm.ts'

/** The names that all causal language models share, in Hugging Face's checkpoints and in GGUF files. */

const embedding = 'model.embed_tokens'
const head = 'lm_head'

const kindOf = (path: string): LeafKind => {
  if (path === embedding) return 'embedding'
  if (path === head) return 'head'
  return path.endsWith('.bias') ? 'bias' : path.endsWith('norm') ? 'norm' : 'linear'
}

/**
 * The place of a leaf: PyTorch's modules name their tensors `weight` or `bias`, and a bias's own path already ends that
 * way.
 */
const stored = (path: string): StoredLeaf => {
  const kind = kindOf(path)
  const layout = kind === 'linear' || kind === 'head' ? 'linear' : 'same'
  return { kind, name: kind === 'bias' ? path : `${path}.weight`, layout }
}

const frequencies = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/

/** The frequencies of rope, which earlier versions of transformers saved. */
const derived = (name: string, { head_dim: headDim, rope_theta: theta }: CausalConfig): Derived | undefined =>
  frequencies.test(name)
    ? {
        values: Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim)),
        what: `the frequencies that rope_theta (${theta}) gives`,
      }
    : undefined

/** The facts about an architecture that concern names. */
export const causalNames = {
  roots: ['model', head],
  stored,
  embedding,
  head,
  layers: 'model.layers',
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  peftTask: 'CAUSAL_LM',
  derived,
} as const satisfies Partial<CausalArchitecture>

/**
 * The names of a causal language model in a GGUF file; no rows are reordered. Source: github.com/ggml-org/llama.cpp,
 * gguf-py/gguf/constants.py.
 */
export const causalGguf: GgufNames<CheckpointConfig> = {
  blocks: {
    attn_norm: 'input_layernorm',
    attn_q: 'self_attn.q_proj',
    attn_k: 'self_attn.k_proj',
    attn_v: 'self_attn.v_proj',
    attn_output: 'self_attn.o_proj',
    attn_q_norm: 'self_attn.q_norm',
    attn_k_norm: 'self_attn.k_norm',
    ffn_norm: 'post_attention_layernorm',
    ffn_gate: 'mlp.gate_proj',
    ffn_up: 'mlp.up_proj',
    ffn_down: 'mlp.down_proj',
  },
  outer: { token_embd: embedding, output_norm: 'model.norm', output: head },
  keys: {
    model_type: 'general.architecture',
    hidden_size: '*.embedding_length',
    intermediate_size: '*.feed_forward_length',
    num_hidden_layers: '*.block_count',
    num_attention_heads: '*.attention.head_count',
    num_key_value_heads: '*.attention.head_count_kv',
    head_dim: '*.attention.key_length',
    rms_norm_eps: '*.attention.layer_norm_rms_epsilon',
    rope_theta: '*.rope.freq_base',
    max_position_embeddings: '*.context_length',
    bos_token_id: 'tokenizer.ggml.bos_token_id',
    eos_token_id: 'tokenizer.ggml.eos_token_id',
  },
  reordered: () => 0,
}
