export {
  adapt,
  type Method,
  type FaultOf,
  type Addition,
  type FirstValue,
  type Given,
  type IndexChoice,
  type MaskOf,
  type Opaque,
  type ParamsOf,
  type RandomSource,
  type Reparametrisation,
  type Reparametrised,
  type Tuned,
} from './method.ts'
export { type Leafwise } from './leafwise.ts'
export {
  isTarget,
  leafName,
  moduleOf,
  targeted,
  UnknownTarget,
  type Extend,
  type Select,
  type LeafFunction,
  type RankOf,
  type Ranks,
  type TargetError,
  type TargetFault,
  type TargetsOf,
} from './targets.ts'
export { biases } from './biases.ts'
export type { NamedWhole } from './whole-leaves.ts'
export { dora, type Dora, type DoraLeaf, type WithMagnitude } from './dora.ts'
export { full, type Full } from './full.ts'
export { ia3, type Ia3 } from './ia3.ts'
export { lora, lorafa, type LoraLeaf, type LoraMask, type LoraOptions, type WithFactors } from './lora.ts'
export { miss, type Miss, type MissLeaf, type MissMask, type WithBlock } from './miss.ts'
export { moslora, type MosLora, type MosLoraLeaf, type WithMixer } from './moslora.ts'
export { norms } from './norms.ts'
export { paca, type Paca, type PacaOptions } from './paca.ts'
export { inputBlocks, s2ft, type S2ft } from './s2ft.ts'
export { shira, type Shira } from './shira.ts'
export { vera, type Vera, type VeraLeaf, type WithVectors } from './vera.ts'
export { quantized } from './quantized.ts'
export { alsoTraining, type AlsoTraining } from './also-training.ts'
export { startingFrom } from './starting-from.ts'
export {
  comparedMethods,
  defaultMethod,
  lowRankMethod,
  type LowRankMethod,
  methodNames,
  methods,
  recordOf,
  type MethodName,
  type Methods,
} from './registry.ts'
export {
  type Form,
  type Forms,
  type KeptIndex,
  type KeptTensor,
  type Tensors,
  type TensorsOf,
  type Word,
} from './kept.ts'
export { addProduct, type LowRank } from './low-rank.ts'
export type { HeldSetting, PeftField, PeftForm, PeftRefusal, PeftTensor } from './peft-form.ts'
export type { MethodArguments, MethodRecord, RankFacet, Reach, SavedModule, TunedModule } from './record.ts'
