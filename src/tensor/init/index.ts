/** First values of leaves: pure functions of a seed, a path and sizes. */
export type { FanOptions } from './fans.ts'
export type { FirstLeaf, Initializer } from './initializer.ts'
export {
  constant,
  glorotNormal,
  glorotUniform,
  heNormal,
  heUniform,
  lecunNormal,
  lecunUniform,
  normal,
  ones,
  truncatedNormal,
  uniform,
  varianceScaling,
  zeros,
  type TruncatedNormalOptions,
  type VarianceScaling,
} from './initializers.ts'
export { deltaOrthogonal, orthogonal } from './orthogonal.ts'
