/**
 * The parts of `partensor`, for adding an op, a method, a transform, a rewrite or a target. CONTRIBUTING lists the
 * files to write for each.
 * @packageDocumentation
 */

// ── Expressions: an op is a record, a node an op with its inputs ────────────────────────────────────────────────────
export { node, is, isNode, typed, rebuild, substitute, topological, walk, labelOf } from './tensor/index.ts'
export { primitives, composites, composite, reduction, placeholder, deduplicated, structureOf } from './tensor/index.ts'
export { kernel, inputsAxis } from './tensor/index.ts'
export type { Kernel, InputsAxis } from './tensor/index.ts'
export { interpret, call, inlined, fitsByShape, dequantize, randomBits, inputDropout } from './tensor/index.ts'
export { DataMismatch, u, noDims, inOnePiece, broadcasting } from './tensor/index.ts'
export type { Along, Cheap, Elementwise, Kind, Operand, Part } from './tensor/index.ts'
export type { Op, NodeOf, Bound, Numbers, Signature, Composite, Block, Placeholder } from './tensor/index.ts'
export type { Cumulation, Ordering, PlaceAttributes, LogSumExpAttributes } from './tensor/index.ts'
export type { Contraction, Loop, Feed } from './tensor/index.ts'
export type {
  Axes,
  StandardizeAttributes,
  ReductionFacets,
  TakeAttributes,
  SliceAttributes,
  Start,
  RandomBitsAttributes,
} from './tensor/index.ts'
export type {
  RollAttributes,
  SplitAttributes,
  ConvAttributes,
  StrideAttributes,
  WindowAttributes,
} from './tensor/index.ts'
export type { Quantization } from './tensor/index.ts'
export type { RmsNormAttributes, RopeAttributes, Squares, PackedNodes } from './tensor/index.ts'

// ── Sizes of dims ───────────────────────────────────────────────────────────────────────────────────────────────────
export { bind, unify, unifyAll, sizesOf, factors, product, show, count, bytesPerElement } from './tensor/index.ts'
export type { Environment, Source } from './tensor/index.ts'

// ── Derivatives ─────────────────────────────────────────────────────────────────────────────────────────────────────
export { gradients, whole, directional, alongGradient, innerProduct } from './tensor/index.ts'
export type { Gradients, Wanted, Partition } from './tensor/index.ts'

// ── Random numbers that every target draws alike ────────────────────────────────────────────────────────────────────
export { permutation, chooseColumns, philox, randomWords } from './tensor/index.ts'
export type { PhiloxKey, PhiloxWords, Draw } from './tensor/index.ts'

// ── Trees of parameters, and masks: lenses on their trained parts ───────────────────────────────────────────────────
export { leaves, mapTree, tensorsOf, isTensor, isValue, isLazyLeaf, AmbiguousTree } from './tune/index.ts'
export { all as everything, frozen, columns, entries, focus, putFocus, lensOf, maskedLeaves } from './tune/index.ts'
export type { Tree, LazyLeaf, LeafMask, All, Columns, Entries, Dynamic, Focus, Lens, TrainedBy } from './tune/index.ts'

// ── Methods ─────────────────────────────────────────────────────────────────────────────────────────────────────────
export { inputBlocks, methods, methodNames, recordOf, targeted, isTarget, UnknownTarget } from './tune/index.ts'
export { selectByScore, selectByWeight, squaredNorms, carryState, quantizeNF4, dequantizeNF4 } from './tune/index.ts'
export type { MethodRecord, Methods, RankFacet, Reach, SavedModule, TunedModule, KeptTensor } from './tune/index.ts'
export type { KeptIndex } from './tune/index.ts'
export type { Tensors, TensorsOf, Form, Forms, Word, LowRank, PeftForm, PeftTensor, PeftField } from './tune/index.ts'
export type { HeldSetting, PeftRefusal } from './tune/index.ts'
export type { MethodName, MethodArguments, Addition, IndexChoice, Reparametrised } from './tune/index.ts'
export type { DoraLeaf, MissLeaf, MosLoraLeaf, VeraLeaf, WithFactors, WithMagnitude, WithBlock } from './tune/index.ts'
export type { WithMixer, WithVectors, Extend, Select, LeafFunction, TargetError } from './tune/index.ts'
export type { MaskedLeaf, PackedNF4, Selection } from './tune/index.ts'

// ── Transforms of gradients: the parts of an optimizer ──────────────────────────────────────────────────────────────
export {
  scaleByAdam,
  scaleByAdamax,
  scaleByRadam,
  scaleByLion,
  scaleByMuon,
  orthogonalized,
  scaleByRms,
  scaleByStddev,
  scaleByRss,
  scaleByAdadelta,
  scaleByFactoredRms,
  scaleByParameterRms,
  scaleByTrustRatio,
  scaleBySign,
  centralize,
  zeroNaNs,
  addNoise,
  ema,
  trace,
  clipByValue,
  clipByRms,
  addDecayedWeights,
  scale,
  scaleByLearningRate,
} from './tune/index.ts'
export { scaleBySchedule, setToZero, identity, columnNorms, applyUpdates, globalNorm } from './tune/index.ts'
export type { AdamState, TraceState, AccumulateState, MonitorDescentState, ColumnNormsState } from './tune/index.ts'
export type { Apply, Count, Counted, Evaluated, ScaleByAdam, ScaleByLion, LionState, Rate } from './tune/index.ts'
export type { ColumnNorms, RmsState, StddevState, RssState, AdadeltaState, FactoredRmsState } from './tune/index.ts'
export type { ScaleByRms, ScaleByStddev, ScaleByRss, ScaleByAdadelta, ScaleByFactoredRms } from './tune/index.ts'
export type {
  MuonState,
  ScaleByMuon,
  Ema,
  EmaState,
  NoiseOptions,
  AverageWeightsState,
  ReturningState,
} from './tune/index.ts'
export type { ApplyIfFiniteState, InjectState, Sparse } from './tune/index.ts'

// ── Rewrites ────────────────────────────────────────────────────────────────────────────────────────────────────────
export { rewrite, simplifications, layoutRules, movementRules, takeRules, distribute } from './compile/index.ts'
export { associate } from './compile/index.ts'
export { scaleProduct, lowRankNorm, keepInput, dropInput, expansion, print } from './compile/index.ts'
export type { Rule, Context, Surroundings } from './compile/index.ts'
export type { Names } from './compile/index.ts'

// ── Programs and plans ──────────────────────────────────────────────────────────────────────────────────────────────
export { programsOf, wholePrograms, variablesOf, footprintOf, faultsOf, inputGroups } from './compile/index.ts'
export { bindDims, sizing, DimsError, explainPrograms, explanationText } from './compile/index.ts'
export type { Program, Programs, Plan, Instruction, Slot, InPlace, Footprint, Prepared } from './compile/index.ts'
export type { Kept, KeptByLayer, Variable, Variables, WholePrograms } from './compile/index.ts'
export type { WholeOptions, Size, Stored } from './compile/index.ts'

// ── What PyTorch would keep ─────────────────────────────────────────────────────────────────────────────────────────
export { accountant, NoAccount } from './compile/index.ts'
export type { Account, Accountant, AccountOptions, KeptByOp, Pass, StepWork, Work } from './compile/index.ts'
export type { Autograd, Saved, Places, Required } from './tensor/index.ts'

// ── Targets ─────────────────────────────────────────────────────────────────────────────────────────────────────────
export { registeredTargets, targetNames, precisions, chooseTarget, openSession, deviceEngine } from './backend/index.ts'
export { referenceDevice, explainOn, plan } from './backend/index.ts'
export type { DevicePlan, Fit, NamedBuffer, PlanOptions, PlanTarget, StepPlan } from './backend/index.ts'
export type { Target, Opening, Explaining, Choice, ExplainTarget, Device, PromptDevice } from './backend/index.ts'
export type { Buffer, Held } from './backend/index.ts'
export type { Engine, EngineDecoder, OpenEngine, Loading, FedBatch, Stepped, Sums } from './backend/index.ts'
export type { OpenOptions } from './backend/index.ts'
