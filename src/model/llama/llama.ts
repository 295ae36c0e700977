import {
  add,
  attention,
  cast,
  cos,
  crossEntropy,
  f32,
  i32,
  integer,
  iota,
  less,
  lessEqual,
  matmul,
  maximum,
  model,
  mul,
  nonzero,
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
  sub,
  sum,
  take,
  transpose,
  vector,
  type Dim,
  type Loss,
  type Model,
  type Tensor,
} from '../../tensor/index.ts'
import { frequencies, type RopeScaling } from './rope-scaling.ts'

/** What a LLaMA is made of, in Hugging Face's words; see `config.json`. */
export interface LlamaConfig {
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
}

type Key = 'kvHeads*headDim'
type Hidden = Tensor<readonly ['batch', 'seq', 'hidden']>

/** The parameters of one layer, under Hugging Face's names; weights are `[in, out]`. */
const layerParams = () => ({
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
type Layer = ReturnType<typeof layerParams>

/** The parameter tree; a tied head is the embedding itself. */
export interface LlamaParams {
  readonly model: {
    readonly embed_tokens: Tensor<readonly ['vocab', 'hidden']>
    readonly layers: readonly Layer[]
    readonly norm: Tensor<readonly ['hidden']>
  }
  readonly lm_head?: Tensor<readonly ['hidden', 'vocab']>
}
const batch = () => ({ input_ids: i32('batch', 'seq'), labels: i32('batch', 'seq') })
export type LlamaBatch = ReturnType<typeof batch>
export type Llama = Model<LlamaParams, LlamaBatch, readonly ['batch', 'seq', 'vocab']>

/** Rotary tables for the positions of one program. */
interface Rotary {
  readonly cos: Tensor<readonly ['seq', 'half']>
  readonly sin: Tensor<readonly ['seq', 'half']>
}
/** Keys and values that a layer has seen: those of this program, or a cache with this program's written in. */
type Memory<K extends Dim> = (
  name: 'key' | 'value',
  now: Tensor<readonly ['batch', 'kvHeads', 'seq', 'headDim']>,
) => Tensor<readonly ['batch', 'kvHeads', K, 'headDim']>

/** Grouped-query attention with rotary positions (Touvron et al. 2023; Ainslie et al. 2023). */
const selfAttention = <K extends Dim>(
  x: Hidden,
  p: Layer['self_attn'],
  { cos, sin }: Rotary,
  memory: Memory<K>,
  offset: Tensor<readonly [], 'i32'>,
): Hidden => {
  const heads = <T extends Tensor<readonly ['batch', 'seq', Key]>>(projected: T) =>
    transpose(reshape(projected, ['batch', 'seq', 'kvHeads', 'headDim']), [0, 2, 1, 3])
  const queries = transpose(
    reshape(matmul(x, p.q_proj), ['batch', 'seq', 'kvHeads', 'group', 'headDim']),
    [0, 2, 3, 1, 4],
  )
  const q = mul(rope(queries, cos, sin), rsqrt(size('headDim')))
  const k = memory('key', rope(heads(matmul(x, p.k_proj)), cos, sin))
  const v = memory('value', heads(matmul(x, p.v_proj)))
  const mixed = transpose(attention(q, k, v, offset), [0, 3, 1, 2, 4])
  return matmul(reshape(mixed, ['batch', 'seq', 'kvHeads*group*headDim']), p.o_proj)
}

/** SwiGLU (Shazeer 2020). */
const mlp = (x: Hidden, p: Layer['mlp']): Hidden =>
  matmul(mul(silu(matmul(x, p.gate_proj)), matmul(x, p.up_proj)), p.down_proj)

const head = (params: LlamaParams, x: Hidden, epsilon: number): Tensor<readonly ['batch', 'seq', 'vocab']> =>
  matmul(rmsNorm(x, params.model.norm, epsilon), params.lm_head ?? transpose(params.model.embed_tokens))

const embed = (params: LlamaParams, ids: Tensor<readonly ['batch', 'seq'], 'i32'>): Hidden =>
  take(params.model.embed_tokens, ids, 0)

/**
 * The loss of a causal language model: position t predicts the label at t + 1; -100 is not scored.
 * The scored positions are taken out of the logits, so that logits need to exist only there.
 */
export const causalLoss = (logits: Tensor<readonly ['batch', 'seq', 'vocab']>, { labels }: LlamaBatch): Loss => {
  const predictable = mul(cast(lessEqual(integer(0), labels), 'f32'), cast(lessEqual(integer(1), iota('seq')), 'f32'))
  const scored = reshape(predictable, ['batch*seq'])
  const count = sum(scored)
  const position = nonzero(scored, 'scored')
  const before = maximum(sub(position, integer(1)), integer(0))
  const rows = take(reshape(logits, ['batch*seq', 'vocab']), before, 0)
  const targets = take(reshape(labels, ['batch*seq']), position, 0)
  // where fewer positions are scored than the capacity holds, the rest weighs nothing
  const weight = cast(less(range('scored'), count), 'f32')
  return { sum: sum(mul(crossEntropy(rows, maximum(targets, integer(0))), weight)), count }
}

/**
 * A LLaMA (Touvron et al. 2023) with grouped queries, rotary positions and a tied or an untied head.
 * @example const smol = llama(config) // smol.params.model.layers[0].mlp.up_proj: Tensor<['hidden', 'ffn']>
 */
export const llama = (config: LlamaConfig): Llama => {
  const { rms_norm_eps: epsilon, head_dim: headDim, num_key_value_heads: kvHeads } = config
  const params: LlamaParams = {
    model: {
      embed_tokens: f32('vocab', 'hidden'),
      layers: Array.from({ length: config.num_hidden_layers }, layerParams),
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
    p: Layer,
    table: Rotary,
    memory: Memory<K>,
    offset: Tensor<readonly [], 'i32'>,
  ): Hidden => {
    const h = add(x, selfAttention(rmsNorm(x, p.input_layernorm, epsilon), p.self_attn, table, memory, offset))
    return add(h, mlp(rmsNorm(h, p.post_attention_layernorm, epsilon), p.mlp))
  }
  const cache = Array.from({ length: config.num_hidden_layers }, () => ({
    key: f32('batch', 'kvHeads', 'capacity', 'headDim'),
    value: f32('batch', 'kvHeads', 'capacity', 'headDim'),
  }))
  const next = { input_ids: i32('batch', 'seq'), position: i32() }
  return model({
    params,
    batch: batch(),
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
    logits: (p, { input_ids }) => {
      const table = rotary(range('seq'))
      const start = integer(0)
      return head(
        p,
        repeat(p.model.layers, embed(p, input_ids), (x, l) => layer(x, l, table, (_, now) => now, start)),
        epsilon,
      )
    },
    loss: causalLoss,
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
