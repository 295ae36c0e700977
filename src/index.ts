/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Partensor: a functional tensor language whose shapes are types and whose training step is compiled to TensorFlow.js.
 * `partensor/compiler` has the parts for adding an op, a method, a rewrite or a target.
 * @packageDocumentation
 */

// ── Tensors: placeholders, numbers, sizes ───────────────────────────────────────────────────────────────────────────
export { f32, i32, scalar, integer, vector, iota, range, size, uniform, ShapeMismatch } from './tensor/index.ts'
export type { Tensor, Shape, Dim, DType, Value, DataOf, Node, OneDim } from './tensor/index.ts'

// ── Elementwise ops, with broadcasting ──────────────────────────────────────────────────────────────────────────────
export { add, sub, mul, div, pow, neg, abs, sign, square, exp, log, sqrt, rsqrt, sin, cos } from './tensor/index.ts'
export { tanh, sigmoid, relu, erf, maximum, minimum, equal, less, lessEqual, select, cast } from './tensor/index.ts'
export { stopGradient, type Unary, type Binary } from './tensor/index.ts'

// ── Ops over axes ───────────────────────────────────────────────────────────────────────────────────────────────────
export { matmul, einsum, sum, mean, max, broadcastTo, reshape, transpose } from './tensor/index.ts'
export { slice, concat, take, put, nonzero, type Reduction } from './tensor/index.ts'

// ── Layers and losses ───────────────────────────────────────────────────────────────────────────────────────────────
export { softmax, causalSoftmax, attention, rmsNorm, rope, silu, gelu, dropout } from './tensor/index.ts'
export { crossEntropy, squaredError, sigmoidBinaryCrossEntropy } from './tensor/index.ts'
export type { DropoutAttributes, RandomKey, RandomStream } from './tensor/index.ts'

// ── Models and derivatives ──────────────────────────────────────────────────────────────────────────────────────────
export { model, repeat, scan, jvp, hvp, type Model, type Loss, type Decode } from './tensor/index.ts'

// ── Shape rules as types: the shape of a result, or the sentence with the reason why there is none ───────────────────
export type { MatMul, Einsum, Broadcast, BroadcastTo, Reduce, Reshape, Transpose, Slice } from './tensor/index.ts'
export type { Concat } from './tensor/index.ts'
export type { Take, Put, Product, Factors, Axis, Ok, Fault, ShapeError, ShapeFault, IsLiteral } from './tensor/index.ts'
export type { MatMulError, EinsumError, BroadcastError, BroadcastToError, ReduceError } from './tensor/index.ts'
export type { ReshapeError, TransposeError, SliceError, ConcatError, TakeError, PutError } from './tensor/index.ts'
export type { DTypesFault } from './tensor/index.ts'

// ── Methods of fine-tuning ──────────────────────────────────────────────────────────────────────────────────────────
export { adapt, paca, lora, dora, lorafa, moslora, vera, miss, shira, full } from './tune/index.ts'
export { ia3, s2ft, biases, norms } from './tune/index.ts'
export { quantized, nf4, startingFrom, alsoTraining } from './tune/index.ts'
export type { Method, Tuned, Reparametrisation, ParamsOf, MaskOf, FaultOf, FirstValue, Opaque } from './tune/index.ts'
export type { Paca, Dora, Full, Miss, MosLora, Shira, Vera, Leafwise, LoraLeaf, LoraMask } from './tune/index.ts'
export type { Ia3, S2ft, NamedWhole } from './tune/index.ts'
export type { Frozen } from './tune/index.ts'
export type { PacaOptions, LoraOptions, Ranks, RankOf, TargetsOf, AlsoTraining, Quantizer } from './tune/index.ts'

// ── Optimizers ──────────────────────────────────────────────────────────────────────────────────────────────────────
export { sgd, adam, adamw, lion, chain, namedChain, clipByGlobalNorm, accumulate, masked } from './tune/index.ts'
export { monitorDescent } from './tune/index.ts'
export { schedules, type ScheduleOptions } from './train/index.ts'
export type { Transform, Fn, Stateless, Sgd, SgdOptions, Trace, Adam, AdamW, Lion, LionOptions } from './tune/index.ts'
export type { Moments, Chain, NamedChain } from './tune/index.ts'
export type { Accumulate, Masked, Subtree, MonitorDescent, LearningRate, Schedule } from './tune/index.ts'
export type { Cosine, Exponential, Polynomial, Piecewise, WarmupCosine } from './tune/index.ts'

// ── From a step to a session ────────────────────────────────────────────────────────────────────────────────────────
export { trainStep, train, evaluateRows, generateText, capacityFor } from './train/index.ts'
export type { Trainable, Evaluable, StepEvent, Evaluation, Generated, GenerateOptions } from './train/index.ts'
export { compile, SessionError, type Session, type SessionOptions, type TargetOptions } from './backend/index.ts'
export type { StepResult, Certificate, Decoder, Dims, TargetName, Precision, StopSignal } from './backend/index.ts'
export { explain, type Explanation, type Step, type StateOf } from './compile/index.ts'
export type { CompilerOptions, Traits } from './compile/index.ts'
export type { Values, Lazy } from './tune/index.ts'

// ── Pretrained models, data and adapters ────────────────────────────────────────────────────────────────────────────
export { fetchModel, hashOf, readRows, encodeChat, batches, loadAdapter, saveAdapter } from './io/index.ts'
export type { FetchOptions, Checkpoint, Tokenizer, Message, ChatOptions, Row, Rows, RowOptions } from './io/index.ts'
export type { BatchPlan, BatchLayout, MicroBatch, Adapter, AdapterOrigin } from './io/index.ts'
export { openModel, promptIds, parameterCounts } from './program/index.ts'
export type { PretrainedModel, TunedModel, MaskedParams } from './program/index.ts'
export { adapterOf, type TrainedParts } from './train/index.ts'
export { orThrow, type IoError } from './text/index.ts'
export { versions } from './host/index.ts'
export type { ResolvedModule } from './tune/index.ts'

// ── Convergence, measured and proved ────────────────────────────────────────────────────────────────────────────────
export { verify, checkCertificate, certificateText } from './verify/index.ts'
export type { VerifyOptions, ConvergenceCertificate, CertificateReport, ProofChecker } from './verify/index.ts'

// ── The commands of the command line, as functions ──────────────────────────────────────────────────────────────────
export { commands } from './program/index.ts'
export type { FinetuneOptions, FinetuneEvent, EvaluateOptions, EvaluateResult } from './program/index.ts'
export type { ContinueOptions } from './program/index.ts'
export type { ContinueResult, CompareOptions, CompareEvent, RunCommand, ExplainOptions } from './program/index.ts'
export type { ExportOptions, ExportResult, VerifyModelOptions, VerifyModelEvent, Doctor } from './program/index.ts'
