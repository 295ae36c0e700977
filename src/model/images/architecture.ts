import type { Node } from '../../tensor/index.ts'
import type { Architecture } from '../architecture.ts'
import type { ImageConfig } from './config.ts'
import type { ImageBatch, ImageMetric, ImageOutputs } from './classifier.ts'

/** An architecture of image classifiers. Its configs, parameters and buffers are its own, and opaque to others. */
export type ImageArchitecture = Architecture<ImageConfig, unknown, ImageBatch, ImageOutputs, ImageMetric, unknown>

/** A batch whose images have sizes that its type knows. */
export type SizedBatch = Pick<ImageBatch, 'labels'> & { readonly images: Node }

/**
 * An architecture of image classifiers among others, whose configs, sizes, parameters and buffers no one else needs to
 * know.
 * @example const vitArchitecture = imageArchitecture({ name: 'vit', config: vitConfig, model: vit, … })
 */
export const imageArchitecture = <C extends ImageConfig, P, B extends SizedBatch, U>(
  own: Architecture<C, P, B, ImageOutputs, ImageMetric, U>,
): ImageArchitecture =>
  // a config reaches only the architecture that has read it, and parameters only the model that has declared them
  own as unknown as ImageArchitecture
