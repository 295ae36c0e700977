import {
  adamw,
  adapt,
  alsoTraining,
  init,
  tensor,
  trainStep,
  uniform,
  type Lazy,
  type Method,
  type Node,
  type Opaque,
  type Values,
} from '../src/index.ts'
import { inputsAxis, isTensor, mapTree, methods, tensorsOf, type MethodArguments } from '../src/compiler.ts'
import { imageArchitectures, type ImageBatch, type ImageModel, type LeafKind } from '../src/model.ts'

/** A network to measure: its architecture and config, and what a method adapts. */
interface Network {
  readonly architecture: string
  readonly config: Readonly<Record<string, unknown>>
  readonly adapted: readonly LeafKind[]
}
const still = { drop_rate: 0, drop_path_rate: 0, num_classes: 1000 }
const everyConvolution = ['convolution', 'linear'] as const

/** The networks by name, at their usual size and, for a smoke run, small. */
export const networks = {
  'ViT-B/16': {
    architecture: 'vit',
    config: { num_labels: 1000, image_size: 224 },
    small: {
      num_labels: 1000,
      image_size: 32,
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 2,
      num_attention_heads: 4,
    },
    adapted: ['linear'],
  },
  'EfficientNetV2-S': {
    architecture: 'efficientnet_v2_s',
    config: { ...still, image_size: 224 },
    small: { ...still, image_size: 32 },
    adapted: everyConvolution,
  },
  'EfficientNet-Lite0': {
    architecture: 'tf_efficientnet_lite0',
    config: { ...still, image_size: 224 },
    small: { ...still, image_size: 64 },
    adapted: everyConvolution,
  },
} as const satisfies Readonly<Record<string, Network & { readonly small: Network['config'] }>>
export type NetworkName = keyof typeof networks

/** The config of a network. @example configOf('ViT-B/16', { quick: false }).image_size // 224 */
export const configOf = (name: NetworkName, { quick }: { readonly quick: boolean }): Network['config'] => {
  const { config, small } = networks[name]
  return quick ? small : config
}

/** A network with random weights. The weights are made when they are read, one by one. */
export const imageSubject = (name: NetworkName, options: { readonly quick: boolean }) => {
  const architecture = imageArchitectures.find(one => one.name === networks[name].architecture)!
  const config = architecture.config(configOf(name, options), name)
  if (config._tag === 'Left') throw new Error(config.left.message)
  const model = architecture.model(config.right)
  const { dims = {} } = model
  const weights = mapTree(model.params, isTensor, (leaf, path) => ({
    read: () => Promise.resolve(init.params({ params: { [path]: leaf }, dims }, { seed: 0 })[path]),
  })) as Lazy<ImageModel['params']> // each leaf became what reads it: the structure is that of the parameters
  return {
    architecture,
    model,
    weights,
    adapted: networks[name].adapted,
    imageSize: config.right.image_size,
    classes: config.right.labels.length,
    ...(model.buffers === undefined ? {} : { buffers: init.buffers(model) }),
  }
}
export type ImageSubject = ReturnType<typeof imageSubject>

export type ImageMethod = 'paca' | 'lora' | 'full'
const rank = 16
/** The input features or channels of a weight of fixed size. */
const channelsOf = (leaf: Node): number => Number(leaf.shape[inputsAxis(leaf) ?? 0]) || rank

/**
 * The step that is measured: every parameter; or a method of rank 16, or of as many channels as there are, on all of
 * the network's layers of some kinds, with the classifier trained whole. AdamW with 1e-4.
 */
export const imageStep = ({ architecture, model, adapted }: ImageSubject, method: ImageMethod) => {
  const { make }: { readonly make: (options: MethodArguments) => Method<Opaque> } = methods[method]
  const all = tensorsOf(model.params)
  const isAdapted = (path: string): boolean => adapted.some(kind => kind === architecture.stored(path).kind)
  const targets = method === 'full' ? all : all.filter(([path]) => isAdapted(path))
  // an image has three channels; methods know a weight by its module
  const ranks = new Map(
    targets.map(([path, leaf]) => [path.replace(/\.weight$/, ''), Math.min(rank, channelsOf(leaf))]),
  )
  const made = make({ targets: targets.map(([path]) => path), rank, ranks, alpha: 2 * rank, seed: 0 })
  return trainStep(
    adapt(model, method === 'full' ? made : alsoTraining([architecture.head])(made)),
    adamw({ lr: 1e-4 }),
  )
}

/** Random images and classes. */
export const randomImages = (
  { imageSize, classes }: ImageSubject,
  batch: number,
): Values<Pick<ImageBatch, 'images' | 'labels'>> => {
  const sizes: readonly [number, number, number, number] = [batch, imageSize, imageSize, 3]
  const numbers = uniform(0, 0, batch * imageSize * imageSize * 3).map(x => 2 * x - 1)
  return {
    images: { shape: ['batch', imageSize, imageSize, 3], sizes, dtype: 'f32', data: numbers },
    labels: tensor(
      Int32Array.from({ length: batch }, (_, i) => (7 * i) % classes),
      ['batch'],
    ),
  }
}
