import {
  adamw,
  adapt,
  alsoTraining,
  chain,
  clipByGlobalNorm,
  init,
  tensor,
  trainStep,
  uniform,
  type Method,
  type Opaque,
  type Values,
} from '../src/index.ts'
import { methods, programsOf, sizing, type MethodArguments, type Plan } from '../src/compiler.ts'
import { imageArchitectures, type ImageBatch } from '../src/model.ts'
import { wasmTarget } from './tasks/plan.ts'

const still = { drop_rate: 0, drop_path_rate: 0, num_classes: 10 }

/** Networks whose steps are measured on wasm, by name: architecture, config and images of a batch. */
export const imageNetworks = {
  'ViT-B/16, 3 layers': {
    architecture: 'vit',
    config: { num_labels: 10, image_size: 224, num_hidden_layers: 3 },
    batch: 4,
  },
  'EfficientNet-Lite0, 96²': { architecture: 'tf_efficientnet_lite0', config: { ...still, image_size: 96 }, batch: 32 },
  'EfficientNetV2-S, 128²': { architecture: 'tf_efficientnetv2_s', config: { ...still, image_size: 128 }, batch: 8 },
} as const
export type ImageNetwork = keyof typeof imageNetworks

export interface ImageOptions {
  readonly network: ImageNetwork
  readonly method: 'paca' | 'full'
}

const rank = 16

/** A network with random weights, and a step that trains it: all of it, or 16 columns of its layers, and its head. */
export const imageStep = ({ network, method }: ImageOptions) => {
  const { architecture: name, config: json, batch } = imageNetworks[network]
  const architecture = imageArchitectures.find(one => one.name === name)!
  const config = architecture.config(json, network)
  if (config._tag === 'Left') throw new Error(config.left.message)
  const model = architecture.model(config.right)
  const { make }: { readonly make: (options: MethodArguments) => Method<Opaque> } = methods[method]
  const made = make({ targets: method === 'full' ? ['all'] : architecture.targets, rank, seed: 0 })
  const applied = method === 'full' ? made : alsoTraining([architecture.head])(made)
  return {
    batch,
    sizes: { ...model.dims, batch },
    step: trainStep(adapt(model, applied), chain(clipByGlobalNorm(1), adamw({ lr: 1e-4 }))),
    values: () => ({
      weights: init.params(model, { seed: 0 }),
      ...(model.buffers === undefined ? {} : { buffers: init.buffers(model) }),
    }),
    data: images(batch, config.right.image_size, config.right.labels.length),
  }
}

/** Random images and classes. */
const images = (batch: number, size: number, classes: number): Values<Pick<ImageBatch, 'images' | 'labels'>> => {
  const sizes: readonly [number, number, number, number] = [batch, size, size, 3]
  const data = uniform(0, 0, batch * size * size * 3).map(x => 2 * x - 1)
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes)
  return {
    images: { shape: ['batch', size, size, 3], sizes, dtype: 'f32', data },
    labels: tensor(labels, ['batch']),
  }
}

/** The plan of the gradients of a step, as the wasm target compiles it. */
export const gradientsOf = async (options: ImageOptions): Promise<Plan> => {
  const { step, sizes } = imageStep(options)
  return programsOf(step, await wasmTarget()).gradients(sizing(sizes)).plan
}
