/** Losses, each with one number for every example, row or element; a model's loss is their mean. */
export { crossEntropy, sigmoidBinaryCrossEntropy, squaredError } from '../nn/loss.ts'
export { focal, hinge, klDivergence, type FocalOptions } from './classification.ts'
export { absoluteError, huber } from './regression.ts'
export { contrastive, cosineDistance } from './similarity.ts'
