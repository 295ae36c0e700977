import { model, type Model, type Shape, type Tensor, type WithBuffers } from '../../tensor/index.ts'
import { leaves, mapTree, tensorsOf } from '../../tune/index.ts'
import { classifier, type ImageBatch, type ImageMetric, type ImageOutputs } from '../images/classifier.ts'
import type { ImageConfig } from '../images/config.ts'
import { classify, type Rates, type Style } from './forward.ts'
import { declareLayers, type Layers } from './layers.ts'
import { isName, namesOf, type Named, type Names } from './names.ts'
import type { Network } from './networks.ts'

/** An implementation of networks: the names of its tensors, and its choices. */
export interface Implementation extends Style {
  readonly names: Names
}
/** The sizes of an EfficientNet's images, its classes, and the rates at which its training drops. */
export interface EfficientNetConfig extends ImageConfig, Rates {}

/** Tensors under the names that checkpoints have for them. */
export type NamedTensors = Readonly<Record<string, Tensor<Shape>>>
export type EfficientNet = Model<NamedTensors, ImageBatch, ImageOutputs, ImageMetric, NamedTensors>

/**
 * An EfficientNet as one of its implementations has it. Parameters are flat, under the names of their tensors there;
 * the running statistics of the norms are the buffers.
 * @example efficientNet(efficientNetLite0, liteStyle, config).params['_fc.weight']
 */
export const efficientNet = (
  network: Network,
  { names, ...style }: Implementation,
  config: EfficientNetConfig,
): EfficientNet => {
  const layers = declareLayers(network, config.num_channels)
  const named: Named<Layers> = namesOf(layers, names)
  const nameAt = new Map(leaves(named, isName))
  const isBuffer = (place: string): boolean => place.includes('.running.')
  const byName = (tree: unknown, isWanted: (place: string) => boolean): NamedTensors =>
    Object.fromEntries(
      tensorsOf(tree).flatMap(([place, tensor]) => (isWanted(place) ? [[nameAt.get(place)!, tensor]] : [])),
      // all leaves are floats
    ) as NamedTensors
  const { frozenStatistics: frozen = false } = config
  const { batch, loss, metrics } = classifier(config.image_size, config.num_channels)
  return model<NamedTensors, ImageBatch, WithBuffers<ImageOutputs, NamedTensors>, ImageMetric, NamedTensors>({
    batch,
    params: byName(layers, place => !isBuffer(place)),
    buffers: byName(layers, isBuffer),
    dims: { classes: config.labels.length },
    forward: (p, { images }, statistics) => {
      const found = { ...p, ...statistics }
      // each name is replaced by its tensor: the structure is that of the layers
      const own = mapTree(named, isName, name => found[name]) as Layers
      const { logits, running } = classify(network, { ...style, frozen }, config, own, images)
      return { outputs: { logits }, buffers: byName(running, isBuffer) }
    },
    loss,
    metrics,
  })
}
