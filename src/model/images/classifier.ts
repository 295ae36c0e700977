import { crossEntropy, f32, i32, metric, type Tensor } from '../../tensor/index.ts'

/**
 * The batch of an image classifier: images `[batch, height, width, channels]`, normalised, and the classes' numbers.
 */
export interface ImageBatch {
  readonly images: Tensor<readonly ['batch', number, number, number]>
  readonly labels: Tensor<readonly ['batch'], 'i32'>
}
/** The outputs of an image classifier. */
export interface ImageOutputs {
  readonly logits: Tensor<readonly ['batch', 'classes']>
}
/** The metrics of an image classifier: the parts of the examples whose class is the first, and among the first five. */
export type ImageMetric = 'top1' | 'top5'

type Labels = Pick<ImageBatch, 'labels'>

/**
 * The parts of a model that all image classifiers share: their batch, their loss, their metrics. `size` is the height
 * and width of an image.
 * @example model({ ...classifier(224, 3), params, forward: (p, { images }) => ({ logits: … }) })
 */
export const classifier = <const S extends number, const C extends number>(size: S, channels: C) => ({
  batch: { images: f32('batch', size, size, channels), labels: i32('batch') },
  loss: ({ logits }: ImageOutputs, { labels }: Labels) => crossEntropy(logits, labels),
  metrics: {
    top1: ({ logits }: ImageOutputs, { labels }: Labels) => metric.accuracy(logits, labels),
    top5: ({ logits }: ImageOutputs, { labels }: Labels) => metric.topK(logits, labels, 5),
  },
})
