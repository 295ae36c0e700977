/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Partensor: a functional tensor language whose shapes are types and whose training step is compiled to TensorFlow.js.
 * This entry runs in Node and in browsers alike. Pretrained models are in `partensor/model`, files in `partensor/io`,
 * certificates in `partensor/verify`, the commands in `partensor/cli`, and the parts for adding an op, a method, a
 * rewrite or a target in `partensor/compiler`.
 * @packageDocumentation
 */

// ── Tensors: placeholders, numbers, sizes ───────────────────────────────────────────────────────────────────────────
export { f32, i32, scalar, integer, vector, iota, range, size, uniform, ShapeMismatch } from './tensor/index.ts'
export type { Tensor, Shape, Dim, DType, Value, DataOf, Node, OneDim } from './tensor/index.ts'

// ── Values: numbers with names, first weights, batches ──────────────────────────────────────────────────────────────
export { tensor, toArray } from './tensor/index.ts'
export { init } from './tune/index.ts'
export { batches } from './train/index.ts'
export type {
  DataDType,
  DataSource,
  DefaultDType,
  Indices,
  Nested,
  NestedNumbers,
  Rank,
  RankError,
} from './tensor/index.ts'
export type { TypedNumbers } from './tensor/index.ts'
export type { AnyValue, Tree } from './tune/index.ts'
export type { BatchesOf, BatchOptions } from './train/index.ts'

// ── Elementwise ops, with broadcasting ──────────────────────────────────────────────────────────────────────────────
export { add, sub, mul, div, pow, remainder, maximum, minimum, neg, abs, sign, square } from './tensor/index.ts'
export { exp, log, sqrt, rsqrt, sin, cos, tanh, sigmoid, erf, reciprocal, log2, log1p, expm1 } from './tensor/index.ts'
export { tan, asin, acos, atan, atan2, sinh, cosh, asinh, acosh, atanh } from './tensor/index.ts'
export { floor, ceil, round, trunc, clip, cast, select, stopGradient } from './tensor/index.ts'
export { equal, notEqual, less, lessEqual, greater, greaterEqual, isNaN, isFinite } from './tensor/index.ts'
export { and, or, not } from './tensor/index.ts'
export type { Unary, Numeric, NumberFault, Binary, Logical, Select, GeluOptions } from './tensor/index.ts'

// ── Activations; more are in nn ─────────────────────────────────────────────────────────────────────────────────────
export { relu, silu, gelu, logSoftmax } from './tensor/index.ts'

// ── Ops over axes ───────────────────────────────────────────────────────────────────────────────────────────────────
export { matmul, einsum, broadcastTo, reshape, transpose } from './tensor/index.ts'
export { slice, concat, take, takeAlong, put, nonzero, oneHot } from './tensor/index.ts'
export { sum, mean, max, min, prod, any, all, argmax, argmin, variance, std, norm, logSumExp } from './tensor/index.ts'
export { median, quantile, cumsum, cumprod, sort, argsort, topK } from './tensor/index.ts'
export type {
  Reduction,
  Statistic,
  Placing,
  VarianceOptions,
  NormOptions,
  Sortable,
  SortOptions,
  CumulativeOptions,
} from './tensor/index.ts'
export { expandDims, squeeze, stack, split, tile, repeatAlong, flip, roll, pad, stride } from './tensor/index.ts'
export { dynamicSlice, dynamicUpdate, type DynamicStart } from './tensor/index.ts'
export type { PartsOf, Padding, Continuation } from './tensor/index.ts'

// ── Tensors of known numbers, matrices, random numbers ──────────────────────────────────────────────────────────────
export { zeros, ones, fill, zerosLike, onesLike, linspace, type Computed } from './tensor/index.ts'
export { bits, eye, tril, triu, causalMask, linalg, nan, random } from './tensor/index.ts'

// ── Layers and losses ───────────────────────────────────────────────────────────────────────────────────────────────
export { softmax, causalSoftmax, attention, rmsNorm, rope, dropout } from './tensor/index.ts'
export { crossEntropy, squaredError, sigmoidBinaryCrossEntropy } from './tensor/index.ts'
export type { DropoutAttributes, RandomKey, RandomStream } from './tensor/index.ts'

// ── Losses and metrics ──────────────────────────────────────────────────────────────────────────────────────────────
export { loss, metric } from './tensor/index.ts'

// ── Layers: declarations of their parameters, and functions that apply them ─────────────────────────────────────────
export { nn } from './tensor/index.ts'

// ── Models and derivatives ──────────────────────────────────────────────────────────────────────────────────────────
export { model, repeat, scan, jvp, hvp, type Model, type Averaged, type Loss, type MeanOver } from './tensor/index.ts'
export type {
  Scores,
  Metrics,
  Decode,
  BuffersGiven,
  Forward,
  OutputsOf,
  ReadonlyTree,
  Returned,
  WithBuffers,
} from './tensor/index.ts'
export type { ScanOptions, ElementOf, ScanError, StackOf, Environment } from './tensor/index.ts'

// ── Shape rules as types: the shape of a result, or the sentence with the reason why there is none ───────────────────
export type { MatMul, Einsum, Broadcast, BroadcastTo, Reduce, Reshape, Transpose, Slice } from './tensor/index.ts'
export type { Concat } from './tensor/index.ts'
export type { ExpandDims, Squeeze, Stack, Split, Tile, RepeatAlong, OnAxis, Pad, Stride } from './tensor/index.ts'
export type { Conv1d, Conv2d, DepthwiseConv2d } from './tensor/index.ts'
export type { DynamicSlice, DynamicUpdate, Triangle, Diagonal, Diag, MatrixTrace, Dot } from './tensor/index.ts'
export type { Take, Put, Product, Factors, Axis, Ok, Fault, ShapeError, ShapeFault, IsLiteral } from './tensor/index.ts'
export type {
  MatMulError,
  EinsumError,
  BroadcastError,
  BroadcastToError,
  ReduceError,
  ReducedFrom,
} from './tensor/index.ts'
export type { ReshapeError, TransposeError, SliceError, ConcatError, TakeError, PutError } from './tensor/index.ts'
export type { TakeAlong, TakeAlongError, TopK, TopKError, AlongAxis, AlongAxisError } from './tensor/index.ts'
export type { AxisOrName, AxisList } from './tensor/index.ts'
export type { DTypesFault } from './tensor/index.ts'

// ── Methods of fine-tuning ──────────────────────────────────────────────────────────────────────────────────────────
export { adapt, paca, lora, dora, lorafa, moslora, vera, miss, shira, full } from './tune/index.ts'
export { ia3, s2ft, biases, norms } from './tune/index.ts'
export { quantized, nf4, startingFrom, alsoTraining } from './tune/index.ts'
export type { Method, Tuned, Reparametrisation, ParamsOf, MaskOf, FaultOf, FirstValue, Opaque } from './tune/index.ts'
export type { Paca, Dora, Full, Miss, MosLora, Shira, Vera, Leafwise, LoraLeaf, LoraMask } from './tune/index.ts'
export type { Ia3, S2ft, NamedWhole } from './tune/index.ts'
export type { Frozen, Dynamic } from './tune/index.ts'
export type { PacaOptions, LoraOptions, Ranks, RankOf, TargetsOf, AlsoTraining, Quantizer } from './tune/index.ts'

// ── Optimizers ──────────────────────────────────────────────────────────────────────────────────────────────────────
export {
  sgd,
  adam,
  adamw,
  nadam,
  nadamw,
  radam,
  adamax,
  lion,
  signSgd,
  rmsprop,
  adagrad,
  adadelta,
} from './tune/index.ts'
export { adafactor, lamb, lars, muon } from './tune/index.ts'
export { chain, namedChain, clipByGlobalNorm, accumulate, masked, multiTransform, scaleByLeaf } from './tune/index.ts'
export { averageWeights, lookahead, sam, applyIfFinite, inject, monitorDescent } from './tune/index.ts'
export { schedule, type ScheduleOptions } from './train/index.ts'
export type { Transform, Fn, Stateless, Sgd, SgdOptions, Trace, Adam, AdamW, Lion, LionOptions } from './tune/index.ts'
export type { Moments, AdamOptions, Chain, NamedChain, Setting, Decay, Decayed, Descent } from './tune/index.ts'
export type { RmsProp, RmsOptions, AdaGrad, RssOptions, Adadelta, Adafactor, AdafactorOptions } from './tune/index.ts'
export type { FactoredRmsOptions, RadamOptions, Lamb, Lars, LarsOptions, TrustRatio, Muon } from './tune/index.ts'
export type { MuonOptions, Orthogonalized, Partition, AverageWeights, Returning } from './tune/index.ts'
export type { LookaheadOptions, ApplyIfFinite, Inject, Settings, SettingsIn } from './tune/index.ts'
export type { Accumulate, Masked, Subtree, MonitorDescent, LearningRate, Schedule } from './tune/index.ts'
export type { Cosine, Exponential, Polynomial, Piecewise, Warmup, WarmupCosine } from './tune/index.ts'
export type { WarmupStableDecay, OneCycle, Interpolated } from './tune/index.ts'

// ── From a step to a session ────────────────────────────────────────────────────────────────────────────────────────
export { trainStep, generateTokens, capacityFor } from './train/index.ts'
export type { StepOptions, TrainedWhole, GenerateOptions } from './train/index.ts'
export { compile, SessionError, type Session, type SessionOptions, type TargetOptions } from './backend/index.ts'
export type {
  SavedSession,
  StepResult,
  Evaluated,
  Batches,
  SomeValues,
  Certificate,
  Decoder,
  Dims,
} from './backend/index.ts'
export type { TargetName, Precision, StopSignal } from './backend/index.ts'
export { explain, type Explanation, type Step, type StateOf } from './compile/index.ts'
export type { CompilerOptions, Traits } from './compile/index.ts'
export type { Values, Lazy } from './tune/index.ts'

// ── Errors as values: what other entries return ─────────────────────────────────────────────────────────────────────
export { orThrow, type IoError } from './text/index.ts'
export type { Either, TaskEither, Left, Right } from './either/index.ts'
