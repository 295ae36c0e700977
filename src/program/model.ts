/** Opening a pretrained model, and figures of it. */
export { openModel, type PretrainedModel } from './pretrained.ts'
export { promptIds } from './generate.ts'
export { parameterCounts, type MaskedParams, type TunedFacts } from './counts.ts'
export type { MethodChoice } from './method.ts'
export type { TunedModel, TunedClassifier } from './tune.ts'
export {
  baseOf,
  classifierAdapter,
  openClassifier,
  tuneClassifier,
  type Classifier,
  type ClassifierOptions,
  type TrainedSession,
  type TunedImages,
} from './classifier.ts'
