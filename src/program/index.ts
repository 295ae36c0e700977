/** The work of each command, for any front end: the command line parses arguments and prints events. */
export { compare, type CompareEvent } from './compare/compare.ts'
export { titleOf, type CompareOptions } from './compare/contenders.ts'
export { comparisonTable } from './compare/table.ts'
export { doctor } from './doctor.ts'
export { classify, type ClassifyOptions } from './classify.ts'
export { evaluate, type EvaluateImagesResult, type EvaluateOptions, type EvaluateResult } from './evaluate.ts'
export { explainModel, type ExplainOptions } from './explain.ts'
export { machineNames } from './machines.ts'
export {
  planModel,
  sweeps,
  type ModelPlan,
  type PlanModelOptions,
  type PlanResult,
  type RefusedPlan,
  type SweepPoint,
} from './plan.ts'
export { recomputedText, sizesText } from './plan-words.ts'
export { exportAdapter, exportFormats, type ExportOptions } from './export.ts'
export { finetune } from './finetune.ts'
export type { FinetuneEvent } from './events.ts'
export { logChoice, openFollowing, type LogChoice } from './follow/follow.ts'
export { continuePrompt, type ContinueOptions } from './generate.ts'
export { supports, selectionRules } from './method.ts'
export { humanReport, jsonReport, type Terminal } from './progress.ts'
export type { FinetuneOptions } from './request.ts'
export { checkFile, type VerifyModelEvent, type VerifyModelOptions, verifyModel } from './verify.ts'
export type { Reproduction } from './reproduce/reproduction.ts'
export { reproduce, reproducible } from './reproduce/reproduce.ts'
