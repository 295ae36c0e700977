/** Gradient transforms: pure functions of symbolic trees, and the schedules of their settings. */
export { accumulate, type Accumulate, type AccumulateState } from './accumulate.ts'
export {
  adam,
  adamDefaults,
  adamw,
  scaleByAdam,
  type Adam,
  type AdamState,
  type AdamW,
  type Moments,
  type ScaleByAdam,
} from './adam.ts'
export { chain, namedChain, type Chain, type NamedChain } from './chain.ts'
export { clipByGlobalNorm, clipByValue, globalNorm } from './clip.ts'
export { columnNorms, type ByColumn, type ColumnNorms, type ColumnNormsState } from './column-norms.ts'
export { addDecayedWeights } from './decay.ts'
export { combine, zerosLike } from './leafwise.ts'
export {
  lion,
  lionDefaults,
  scaleByLion,
  type Lion,
  type LionOptions,
  type LionState,
  type ScaleByLion,
} from './lion.ts'
export { masked, type Chosen, type Masked, type Selected, type Subtree } from './masked.ts'
export { monitorDescent, type MonitorDescent, type MonitorDescentState } from './monitor-descent.ts'
export { optimizerNames, optimizers, type Optimizer, type OptimizerName, type OptimizerSettings } from './optimizers.ts'
export { scale, scaleByLearningRate, scaleBySchedule, setToZero, type Rate } from './scale.ts'
export {
  constant,
  cosine,
  exponential,
  join,
  linear,
  piecewise,
  polynomial,
  warmupCosine,
  type Cosine,
  type Exponential,
  type LearningRate,
  type Piecewise,
  type Polynomial,
  type Schedule,
  type WarmupCosine,
} from './schedule.ts'
export { sgd, type Sgd, type SgdOptions } from './sgd.ts'
export { trace, type Trace, type TraceState } from './trace.ts'
export {
  applyUpdates,
  identity,
  type Apply,
  type Count,
  type Counted,
  type Evaluated,
  type Fn,
  type Stateless,
  type Transform,
} from './transform.ts'
