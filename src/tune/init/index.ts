/** First values: initializers, `params`, which applies them to a model, and `buffers` for those of its buffers. */
export {
  constantInit as constant,
  deltaOrthogonalInit as deltaOrthogonal,
  glorotNormalInit as glorotNormal,
  glorotUniformInit as glorotUniform,
  heNormalInit as heNormal,
  heUniformInit as heUniform,
  lecunNormalInit as lecunNormal,
  lecunUniformInit as lecunUniform,
  leaf,
  normalInit as normal,
  onesInit as ones,
  orthogonalInit as orthogonal,
  truncatedNormalInit as truncatedNormal,
  uniformInit as uniform,
  varianceScalingInit as varianceScaling,
  zerosInit as zeros,
  type FanOptions,
  type FirstLeaf,
  type Initializer,
  type TruncatedNormalOptions,
  type VarianceScaling,
} from '../../tensor/index.ts'
export { buffers } from './buffers.ts'
export { params, type InitOptions } from './params.ts'
