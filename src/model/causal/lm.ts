import {
  add,
  attention,
  cast,
  cos,
  f32,
  i32,
  integer,
  iota,
  matmul,
  model,
  mul,
  put,
  range,
  repeat,
  reshape,
  rmsNorm,
  rope,
  rsqrt,
  scan,
  silu,
  sin,
  size,
  take,
  transpose,
  vector,
  type Dim,
  type Model,
  type Tensor,
} from '../../tensor/index.ts'
import { causalBatch, causalLoss, type CausalBatch } from './loss.ts'
import { frequencies, type RopeScaling } from './rope-scaling.ts'

/** The sizes and constants of a causal language model under Hugging Face's names; see `config.json`. */
export interface CausalConfig {
  readonly hidden_size: number
  readonly intermediate_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  readonly num_key_value_heads: number
  readonly head_dim: number
  readonly vocab_size: number
  readonly rms_norm_eps: number
  readonly rope_theta: number
  readonly rope_scaling?: RopeScaling
  readonly tie_word_embeddings: boolean
  /** True if all four projections of attention have biases; only some architectures offer it. */
  readonly attention_bias?: boolean
}

type Query = 'kvHeads*group*headDim'
type Key = 'kvHeads*headDim'
type Hidden = Tensor<readonly ['batch', 'seq', 'hidden']>
type Bias<D extends Dim> = Tensor<readonly [D]>

/**
 * The parameters of one layer under Hugging Face's names; weights are `[in, out]`. Biases of the projections, and norms
 * over the features of each query and key, exist in some architectures. A bias is next to its weight: its path is its
 * name in a checkpoint.
 */
export interface CausalLayer {
  readonly input_layernorm: Tensor<readonly ['hidden']>
  readonly self_attn: {
    readonly 'q_proj': Tensor<readonly ['hidden', Query]>
    readonly 'q_proj.bias'?: Bias<Query>
    readonly 'k_proj': Tensor<readonly ['hidden', Key]>
    readonly 'k_proj.bias'?: Bias<Key>
    readonly 'v_proj': Tensor<readonly ['hidden', Key]>
    readonly 'v_proj.bias'?: Bias<Key>
    readonly 'o_proj': Tensor<readonly [Query, 'hidden']>
    readonly 'o_proj.bias'?: Bias<'hidden'>
    readonly 'q_norm'?: Tensor<readonly ['headDim']>
    readonly 'k_norm'?: Tensor<readonly ['headDim']>
  }
  readonly post_attention_layernorm: Tensor<readonly ['hidden']>
  readonly mlp: {
    readonly gate_proj: Tensor<readonly ['hidden', 'ffn']>
    readonly up_proj: Tensor<readonly ['hidden', 'ffn']>
    readonly down_proj: Tensor<readonly ['ffn', 'hidden']>
  }
}

/** A layer without biases and norms of heads. */
export const plainLayer = (): CausalLayer => ({
  input_layernorm: f32('hidden'),
  self_attn: {
    q_proj: f32('hidden', 'kvHeads*group*headDim'),
    k_proj: f32('hidden', 'kvHeads*headDim'),
    v_proj: f32('hidden', 'kvHeads*headDim'),
    o_proj: f32('kvHeads*group*headDim', 'hidden'),
  },
  post_attention_layernorm: f32('hidden'),
  mlp: { gate_proj: f32('hidden', 'ffn'), up_proj: f32('hidden', 'ffn'), down_proj: f32('ffn', 'hidden') },
})

/** The biases of all projections of attention. */
export const attentionBiases = () => ({
  'q_proj.bias': f32('kvHeads*group*headDim'),
  'k_proj.bias': f32('kvHeads*headDim'),
  'v_proj.bias': f32('kvHeads*headDim'),
  'o_proj.bias': f32('hidden'),
})

/** The parameter tree; a tied head is the embedding itself. */
export interface CausalParams {
  readonly model: {
    readonly embed_tokens: Tensor<readonly ['vocab', 'hidden']>
    readonly layers: readonly CausalLayer[]
    readonly norm: Tensor<readonly ['hidden']>
  }
  readonly lm_head?: Tensor<readonly ['hidden', 'vocab']>
}
/** The outputs of a causal language model. */
export interface CausalOutputs {
  readonly logits: Tensor<readonly ['batch', 'seq', 'vocab']>
}
export type CausalLM = Model<CausalParams, CausalBatch, CausalOutputs>

/** Rotary tables for the positions of one program. */
interface Rotary {
  readonly cos: Tensor<readonly ['seq', 'half']>
  readonly sin: Tensor<readonly ['seq', 'half']>
}
/**
 * The keys and values that a layer attends to: those of this program, or a cache with this program's written into it.
 */
type Memory<K extends Dim> = (
  name: 'key' | 'value',
  now: Tensor<readonly ['batch', 'kvHeads', 'seq', 'headDim']>,
) => Tensor<readonly ['batch', 'kvHeads', K, 'headDim']>

/** Applies a linear map to each position. */
const linear = <I extends Dim, O extends Dim>(
  x: Tensor<readonly ['batch', 'seq', I]>,
  weight: Tensor<readonly [I, O]>,
  bias: Bias<O> | undefined,
): Tensor<readonly ['batch', 'seq', O]> => (bias === undefined ? matmul(x, weight) : add(matmul(x, weight), bias))

/** Grouped-query attention with rotary positions (Touvron et al. 2023; Ainslie et al. 2023). */
const selfAttention = <K extends Dim>(
  x: Hidden,
  p: CausalLayer['self_attn'],
  epsilon: number,
  { cos, sin }: Rotary,
  memory: Memory<K>,
  offset: Tensor<readonly [], 'i32'>,
): Hidden => {
  const heads = <T extends Tensor<readonly ['batch', 'seq', Key]>>(projected: T) =>
    transpose(reshape(projected, ['batch', 'seq', 'kvHeads', 'headDim']), [0, 2, 1, 3])
  const queries = transpose(
    reshape(linear(x, p.q_proj, p['q_proj.bias']), ['batch', 'seq', 'kvHeads', 'group', 'headDim']),
    [0, 2, 3, 1, 4],
  )
  const q = mul(rope(p.q_norm ? rmsNorm(queries, p.q_norm, epsilon) : queries, cos, sin), rsqrt(size('headDim')))
  const keys = heads(linear(x, p.k_proj, p['k_proj.bias']))
  const k = memory('key', rope(p.k_norm ? rmsNorm(keys, p.k_norm, epsilon) : keys, cos, sin))
  const v = memory('value', heads(linear(x, p.v_proj, p['v_proj.bias'])))
  const mixed = transpose(attention(q, k, v, offset), [0, 3, 1, 2, 4])
  return linear(reshape(mixed, ['batch', 'seq', 'kvHeads*group*headDim']), p.o_proj, p['o_proj.bias'])
}

/** SwiGLU (Shazeer 2020). */
const mlp = (x: Hidden, p: CausalLayer['mlp']): Hidden =>
  matmul(mul(silu(matmul(x, p.gate_proj)), matmul(x, p.up_proj)), p.down_proj)

const head = (params: CausalParams, x: Hidden, epsilon: number): Tensor<readonly ['batch', 'seq', 'vocab']> =>
  matmul(rmsNorm(x, params.model.norm, epsilon), params.lm_head ?? transpose(params.model.embed_tokens))

const embed = (params: CausalParams, ids: Tensor<readonly ['batch', 'seq'], 'i32'>): Hidden =>
  take(params.model.embed_tokens, ids, 0)

/**
 * A causal language model of pre-norm layers with grouped queries, rotary positions, a gated MLP, and a tied or an
 * untied head; `declareLayer` declares the parameters of one layer.
 * @example const smol = causalLM(config, plainLayer) // smol.params.model.layers[0].mlp.up_proj: Tensor<['hidden', 'ffn']>
 */
export const causalLM = (config: CausalConfig, declareLayer: () => CausalLayer): CausalLM => {
  const { rms_norm_eps: epsilon, head_dim: headDim, num_key_value_heads: kvHeads } = config
  const params: CausalParams = {
    model: {
      embed_tokens: f32('vocab', 'hidden'),
      layers: Array.from({ length: config.num_hidden_layers }, declareLayer),
      norm: f32('hidden'),
    },
    ...(config.tie_word_embeddings ? {} : { lm_head: f32('hidden', 'vocab') }),
  }
  const turns = vector(frequencies(headDim, config.rope_theta, config.rope_scaling), 'half')
  const rotary = (position: Tensor<readonly ['seq']>): Rotary => {
    const angle = mul(reshape(position, ['seq', 1]), turns)
    return { cos: cos(angle), sin: sin(angle) }
  }
  const layer = <K extends Dim>(
    x: Hidden,
    p: CausalLayer,
    table: Rotary,
    memory: Memory<K>,
    offset: Tensor<readonly [], 'i32'>,
  ): Hidden => {
    const h = add(x, selfAttention(rmsNorm(x, p.input_layernorm, epsilon), p.self_attn, epsilon, table, memory, offset))
    return add(h, mlp(rmsNorm(h, p.post_attention_layernorm, epsilon), p.mlp))
  }
  const cache = Array.from({ length: config.num_hidden_layers }, () => ({
    key: f32('batch', 'kvHeads', 'capacity', 'headDim'),
    value: f32('batch', 'kvHeads', 'capacity', 'headDim'),
  }))
  const next = { input_ids: i32('batch', 'seq'), position: i32() }
  return model({
    params,
    batch: causalBatch(),
    dims: {
      hidden: config.hidden_size,
      ffn: config.intermediate_size,
      vocab: config.vocab_size,
      kvHeads,
      group: config.num_attention_heads / kvHeads,
      headDim,
      half: headDim / 2,
    },
    capacities: { scored: ['batch', 'seq'] },
    forward: (p, { input_ids }) => {
      const table = rotary(range('seq'))
      const start = integer(0)
      const x = repeat(p.model.layers, embed(p, input_ids), (h, l) => layer(h, l, table, (_, now) => now, start))
      return { logits: head(p, x, epsilon) }
    },
    loss: ({ logits }, rows) => causalLoss(logits, rows),
    decode: {
      cache,
      batch: next,
      step: p => {
        const at = add(iota('seq'), next.position)
        const table = rotary(cast(at, 'f32'))
        const [x, seen] = scan(
          p.model.layers.map((l, i) => ({ l, past: cache[i]! })),
          embed(p, next.input_ids),
          (h, { l, past }) => {
            const written = { ...past }
            const y = layer(h, l, table, (name, now) => (written[name] = put(past[name], at, now, 2)), next.position)
            return [y, [written.key, written.value]]
          },
        )
        return { logits: head(p, x, epsilon), cache: seen.map(([key, value]) => ({ key, value })) }
      },
    },
  })
}
