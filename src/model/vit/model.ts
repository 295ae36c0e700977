import {
  add,
  broadcastTo,
  concat,
  gelu,
  leaf,
  model,
  nn,
  repeat,
  reshape,
  slice,
  truncatedNormalInit,
  type Tensor,
} from '../../tensor/index.ts'
import { classifier } from '../images/classifier.ts'
import type { ViTConfig } from './config.ts'

type Hidden = Tensor<readonly ['batch', 'tokens', 'hidden']>

/** A projection with or without a bias. */
const projection = (bias: boolean): nn.Projection<'hidden', 'heads*headDim'> =>
  bias ? nn.Linear('hidden', 'heads*headDim') : nn.Linear('hidden', 'heads*headDim', { bias: false })

/** The parameters of one layer under the names of transformers 5; weights are `[in, out]`. */
const declareLayer = ({ qkv_bias: bias }: ViTConfig) => ({
  attention: {
    q_proj: projection(bias),
    k_proj: projection(bias),
    v_proj: projection(bias),
    o_proj: nn.Linear('heads*headDim', 'hidden'),
  },
  layernorm_before: nn.LayerNorm('hidden'),
  layernorm_after: nn.LayerNorm('hidden'),
  mlp: { fc1: nn.Linear('hidden', 'ffn'), fc2: nn.Linear('ffn', 'hidden') },
})
type Layer = ReturnType<typeof declareLayer>

/** A pre-norm layer: attention to all tokens, and a perceptron. */
const layer = (x: Hidden, { attention, mlp, ...norms }: Layer, eps: number): Hidden => {
  const { q_proj: query, k_proj: key, v_proj: value, o_proj: output } = attention
  const h = add(
    x,
    nn.multiHeadAttention(
      nn.layerNorm(x, norms.layernorm_before, { eps }),
      { query, key, value, output },
      { heads: 'heads', headDim: 'headDim' },
    ),
  )
  return add(h, nn.linear(gelu(nn.linear(nn.layerNorm(h, norms.layernorm_after, { eps }), mlp.fc1)), mlp.fc2))
}

/**
 * A vision transformer that classifies images (Dosovitskiy et al. 2021): patches and a token for the class, with
 * learned positions, through pre-norm layers; the class is read from its token.
 * @example vit(config).params.vit.layers[0].mlp.fc1.weight // Tensor<['hidden', 'ffn']>
 */
export const vit = (config: ViTConfig) => {
  // types only compute with numbers that they know: theirs are those of ViT-B/16, and the shapes have the config's
  const own = config as ViTConfig & { readonly image_size: 224; readonly patch_size: 16; readonly num_channels: 3 }
  const { image_size: image, patch_size: size, num_channels: channels, layer_norm_eps: eps } = own
  const learned = truncatedNormalInit({ std: 0.02 })
  return model({
    params: {
      vit: {
        embeddings: {
          cls_token: leaf(learned, 1, 1, 'hidden'),
          position_embeddings: leaf(learned, 1, 'tokens', 'hidden'),
          patch_embeddings: { projection: nn.PatchEmbedding(channels, 'hidden', { size }) },
        },
        layers: Array.from({ length: config.num_hidden_layers }, () => declareLayer(config)),
        layernorm: nn.LayerNorm('hidden'),
      },
      classifier: nn.Linear('hidden', 'classes'),
    },
    dims: {
      hidden: config.hidden_size,
      ffn: config.intermediate_size,
      heads: config.num_attention_heads,
      headDim: config.hidden_size / config.num_attention_heads,
      tokens: (config.image_size / config.patch_size) ** 2 + 1,
      classes: config.labels.length,
    },
    ...classifier(image, channels),
    forward: ({ vit: p, classifier: head }, { images }) => {
      const patches = nn.patchEmbedding(images, p.embeddings.patch_embeddings.projection)
      const token = broadcastTo(p.embeddings.cls_token, ['batch', 1, 'hidden'])
      const x = add(concat([token, patches], 1, 'tokens'), p.embeddings.position_embeddings)
      const y = repeat(p.layers, x, (h, one) => layer(h, one, eps))
      // the other tokens are not read any more
      const first = reshape(slice(y, 1, { as: 1 }), ['batch', 'hidden'])
      return { logits: nn.linear(nn.layerNorm(first, p.layernorm, { eps }), head) }
    },
  })
}
