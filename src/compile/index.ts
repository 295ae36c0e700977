/** Turns a pure step into lists of instructions: rewriting, preparing, planning, certifying. */
export { bindDims, checkFits, DimsError, given, sizing } from './bind.ts'
export { withinBudget, type Candidate } from './budget.ts'
export { courseOf, type Course, type Moment } from './course.ts'
export { crossing } from './crossing.ts'
export type { Equations } from './equations.ts'
export { flopsOf } from './flops.ts'
export { footprintOf, savedIn, type Footprint, type Sized } from './footprint.ts'
export {
  equationsFor,
  explain,
  explainPrograms,
  explanationText,
  plannedIn,
  recomputation,
  type Explanation,
  type Kept,
  type KeptByLayer,
  type Planned,
  type Stored,
} from './explain.ts'
export { mostInputs, rowsOf, stepRows, stepsOp, sumsRows } from './fuse/index.ts'
export { faultsOf } from './check.ts'
export { accountant, type Account, type Accountant, type AccountOptions, type KeptByOp } from './autograd/index.ts'
export { NoAccount, type Pass, type StepWork, type Work } from './autograd/index.ts'
export { bufferPath, declaredOf, lossOrNothing } from './declared.ts'
export { countedBy, indexedBy, overflowOf } from './indices.ts'
export { namesIn } from './names.ts'
export type { InPlace, Instruction, Plan, Slot } from './plan.ts'
export { chunkOp, pieceDim, type Chunk, type Whole } from './chunk/index.ts'
export {
  peakIn,
  peakOf,
  variablesOf,
  type Variable,
  type Variables,
  wholePrograms,
  type WholeOptions,
  type WholePrograms,
} from './loop/index.ts'
export type { Prepared } from './prepare.ts'
export { describe, print, type Names } from './print.ts'
export type { CompilerOptions, Program, Traits } from './pipeline.ts'
export { drawsAtRandom, streamNumbers, variesInTraining, type FedKey } from './training-dropout.ts'
export { programsOf, type Programs, type Replacing, type Size, type Trained } from './step-programs.ts'
export {
  associate,
  distribute,
  dropInput,
  keepInput,
  layoutRules,
  movementRules,
  isMatrixProduct,
  laidOut,
  lowRankNorm,
  rewrite,
  type Context,
  type Surroundings,
  type Rule,
  scaleProduct,
  expansion,
  simplifications,
  takeRules,
} from './rewrite/index.ts'
export { inputGroups } from './shared-inputs.ts'
export type { StateOf, Step } from './step.ts'
