/** The work of each command, for any front end: the command line parses arguments and prints events. */
export * as commands from './commands.ts'
export { adapterUse, loadAdapters, type AdapterUse, type BoundAdapters } from './adapter-arguments.ts'
export { readColumns } from './columns-file.ts'
export { compare, type CompareEvent, type CompareRun, type RunCommand } from './compare/compare.ts'
export { titleOf, type CompareOptions, type Contender, type RatedContender } from './compare/contenders.ts'
export { comparisonTable, type CompareRow } from './compare/table.ts'
export { doctor, type Doctor, type TargetReport } from './doctor.ts'
export { evaluate, type EvaluateOptions, type EvaluateResult } from './evaluate.ts'
export { explainModel, type ExplainOptions } from './explain.ts'
export { exportAdapter, exportFormats, type ExportFormat, type ExportOptions, type ExportResult } from './export.ts'
export { finetune, type DoneEvent, type FinetuneEvent, type StartEvent } from './finetune.ts'
export { continuePrompt, promptIds, type ContinueOptions, type ContinueResult } from './generate.ts'
export { keep, type KeptWork } from './keep.ts'
export {
  methodOptions,
  supports,
  selectionRules,
  type MethodChoice,
  type MethodOptions,
  type SelectionRule,
} from './method.ts'
export {
  openFrozen,
  openModel,
  readRowsFor,
  rowWarnings,
  type FrozenSession,
  type PretrainedModel,
  type RunOptions,
} from './pretrained.ts'
export {
  humanReport,
  jsonReport,
  showBytes,
  showSeconds,
  stepDisplay,
  type StepDisplay,
  type Terminal,
} from './progress.ts'
export type { FinetuneOptions } from './request.ts'
export { checkSelectSteps, defaultSelectSteps, selectColumns, type SelectionOptions } from './selection.ts'
export { parameterCounts, type MaskedParams } from './counts.ts'
export { linearModules, targetsOf, tuneModel, type Beginning, type Targets, type TunedModel } from './tune.ts'
export {
  certificateFile,
  checkFile,
  pictureFile,
  type VerifyModelEvent,
  type VerifyModelOptions,
  verifyModel,
} from './verify.ts'
