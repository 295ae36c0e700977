/** The models of the table, in its order. */
export const modelNames = ['vit', 'lite0'] as const
export type DigitsModel = (typeof modelNames)[number]
/** The ways of fine-tuning, in the table's order. All train the head, which is a new one, whole. */
export const methodNames = ['paca', 'lora', 'full', 'head'] as const
export type DigitsMethod = (typeof methodNames)[number]

interface Adapted {
  readonly targets: readonly string[]
  readonly rank: number
}
interface ModelSettings {
  /** The name in the table. */
  readonly title: string
  /** The modules that a method adapts, and its rank; the ranks are such that PaCA and LoRA train about as much. */
  readonly adapted: Readonly<Record<'paca' | 'lora', Adapted>>
}

const projections = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'fc1', 'fc2']

export const models: Readonly<Record<DigitsModel, ModelSettings>> = {
  vit: {
    title: 'ViT',
    adapted: { paca: { targets: projections, rank: 16 }, lora: { targets: projections, rank: 8 } },
  },
  lite0: {
    title: 'EfficientNet-Lite0',
    // PEFT's LoRA takes no depthwise convolution
    adapted: {
      paca: { targets: ['conv_pw', 'conv_dw', 'conv_pwl'], rank: 16 },
      lora: { targets: ['conv_pw', 'conv_pwl'], rank: 8 },
    },
  },
}

/** The learning rates to choose from: two for each method. */
export const rates: Readonly<Record<DigitsMethod, readonly [number, number]>> = {
  paca: [1e-2, 3e-2],
  lora: [3e-3, 1e-2],
  full: [1e-3, 3e-3],
  head: [1e-2, 3e-2],
}
/** The module of the head, in both models. */
export const headModule = 'classifier'
export const weightDecay = 1e-4
/** The height and width that Lite0 reads digits in. */
export const lite0Side = 48

/** The modules that a method adapts, and its rank; nothing for a method that trains whole modules. */
export const adaptedBy = (model: DigitsModel, method: DigitsMethod): Adapted =>
  method === 'paca' || method === 'lora' ? models[model].adapted[method] : { targets: [], rank: 0 }
