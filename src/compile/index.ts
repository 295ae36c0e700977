/** Turns a pure step into lists of instructions: rewriting, preparing, planning, certifying. */
export { bindDims, checkFits, DimsError, given, sizing } from './bind.ts'
export { callsOf } from './blocks.ts'
export { footprintOf, type Footprint } from './footprint.ts'
export {
  explain,
  explainPrograms,
  explanationText,
  type Explanation,
  type Kept,
  type KeptByLayer,
  type Stored,
} from './explain.ts'
export { faultsOf } from './check.ts'
export { countedBy, indexedBy, overflowOf, type CountedVector, type Indexed } from './indices.ts'
export { namesIn } from './names.ts'
export { bytesOf, type InPlace, type Instruction, type Plan, type Slot } from './plan.ts'
export * from './chunk/index.ts'
export * from './loop/index.ts'
export { type Prepared } from './prepare.ts'
export { describe, print, type Names } from './print.ts'
export { type CompilerOptions, type Program, type Traits } from './pipeline.ts'
export { programsOf, randomKeyPath, type Programs, type Replacing, type Size, type Trained } from './step-programs.ts'
export * from './rewrite/index.ts'
export { inputGroups } from './shared-inputs.ts'
export { type StateOf, type Step } from './step.ts'
