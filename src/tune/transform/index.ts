/** Gradient transforms: pure functions of symbolic trees, and the schedules of their settings. */
export { accumulate, type Accumulate, type AccumulateState } from './accumulate.ts'
export {
  adafactor,
  scaleByFactoredRms,
  scaleByParameterRms,
  type Adafactor,
  type AdafactorOptions,
  type FactoredRmsOptions,
  type FactoredRmsState,
  type ScaleByFactoredRms,
} from './adafactor.ts'
export {
  adam,
  adamDefaults,
  adamw,
  nadam,
  nadamw,
  scaleByAdam,
  type Adam,
  type AdamOptions,
  type AdamState,
  type AdamW,
  type ScaleByAdam,
} from './adam.ts'
export { adamax, scaleByAdamax } from './adamax.ts'
export { chain, namedChain, type Chain, type NamedChain } from './chain.ts'
export { clipByGlobalNorm, clipByRms, clipByValue, globalNorm } from './clip.ts'
export { columnNorms, type ByColumn, type ColumnNorms, type ColumnNormsState } from './column-norms.ts'
export { addDecayedWeights } from './decay.ts'
export type { Decay, Decayed, Descent } from './descent.ts'
export { averageWeights, ema, type AverageWeights, type AverageWeightsState, type Ema, type EmaState } from './ema.ts'
export { applyIfFinite, zeroNaNs, type ApplyIfFinite, type ApplyIfFiniteState } from './finite.ts'
export { inject, settingsIn, type Inject, type InjectState, type Settings, type SettingsIn } from './inject.ts'
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
export { lookahead, sam, type LookaheadOptions, type Returning, type ReturningState } from './lookahead.ts'
export { masked, type Chosen, type Masked, type Selected, type Sparse, type Subtree } from './masked.ts'
export type { Moments } from './moment.ts'
export { monitorDescent, type MonitorDescent, type MonitorDescentState } from './monitor-descent.ts'
export {
  muon,
  orthogonalized,
  scaleByMuon,
  type Muon,
  type MuonOptions,
  type MuonState,
  type Orthogonalized,
  type ScaleByMuon,
} from './muon.ts'
export { addNoise, type NoiseOptions } from './noise.ts'
export { optimizerNames, optimizers, type Optimizer, type OptimizerName, type OptimizerSettings } from './optimizers.ts'
export { multiTransform, scaleByLeaf, type Partition } from './partition.ts'
export { radam, scaleByRadam, type RadamOptions } from './radam.ts'
export {
  adadelta,
  adagrad,
  rmsprop,
  scaleByAdadelta,
  scaleByRms,
  scaleByRss,
  scaleByStddev,
  type AdaGrad,
  type Adadelta,
  type AdadeltaState,
  type RmsOptions,
  type RmsProp,
  type RmsState,
  type RssOptions,
  type RssState,
  type ScaleByAdadelta,
  type ScaleByRms,
  type ScaleByRss,
  type ScaleByStddev,
  type StddevState,
} from './rms.ts'
export { scale, scaleByLearningRate, scaleBySchedule, setToZero, type Rate } from './scale.ts'
export {
  constant,
  cosine,
  exponential,
  join,
  linear,
  piecewise,
  polynomial,
  type Cosine,
  type Exponential,
  type LearningRate,
  type Piecewise,
  type Polynomial,
  type Schedule,
} from './schedule.ts'
export {
  interpolated,
  oneCycle,
  restarts,
  slice,
  warmupConstant,
  warmupCosine,
  warmupExponential,
  warmupStableDecay,
  type Interpolated,
  type Interpolation,
  type OneCycle,
  type Warmup,
  type WarmupCosine,
  type WarmupStableDecay,
} from './schedule-phases.ts'
export type { Setting } from './setting.ts'
export { sgd, type Sgd, type SgdOptions } from './sgd.ts'
export { centralize, scaleBySign, signSgd } from './sign.ts'
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
export { lamb, lars, scaleByTrustRatio, type Lamb, type Lars, type LarsOptions, type TrustRatio } from './trust.ts'
