/**
 * The pure training step, and what goes around it: the loop, evaluation, generation, the programs of the command line.
 */
export { continuePrompt, promptIds, type ContinueOptions, type ContinueResult } from './continue.ts'
export { compare, type CompareEvent, type CompareRun, type RunCommand } from './compare.ts'
export { comparisonTable, type CompareRow } from './comparison-table.ts'
export { type CompareOptions, type Contender } from './contenders.ts'
export { doctor, type Doctor, type TargetReport } from './doctor.ts'
export { evaluate, type EvaluateOptions, type EvaluateResult } from './evaluate.ts'
export { explainModel, type ExplainOptions } from './explain.ts'
export { exportAdapter, exportFormats, type ExportFormat, type ExportOptions, type ExportResult } from './export.ts'
export { finetune, type DoneEvent, type FinetuneEvent, type StartEvent } from './finetune.ts'
export { type FinetuneOptions } from './request.ts'
export { capacityFor, generateText, generateTokens, type Generated, type GenerateOptions } from './generate.ts'
export {
  batchDims,
  evaluateRows,
  StepFailed,
  train,
  type BatchDims,
  type Evaluable,
  type Evaluation,
  type StepEvent,
  type Trainable,
} from './loop.ts'
export { keep, type KeptWork } from './keep.ts'
export {
  methodOptions,
  optimizer,
  projections,
  selections,
  type MethodChoice,
  type MethodOptions,
  type Selection,
} from './method.ts'
export { readColumns } from './columns.ts'
export {
  linearModules,
  parameterCounts,
  targetsOf,
  tuneLlama,
  type Beginning,
  type Targets,
  type TunedLlama,
} from './tune.ts'
export {
  humanReport,
  jsonReport,
  showBytes,
  showSeconds,
  stepDisplay,
  type StepDisplay,
  type Terminal,
} from './progress.ts'
export { adapterOf, continuing, inRange, remembering, withAdapter, withAdapters, type TrainedParts } from './saved.ts'
export { checkSelectSteps, defaultSelectSteps, selectColumns, type SelectionOptions } from './selection.ts'
export { rateAt, runSchedule, scheduleNames, type ScheduleName, type ScheduleOptions } from './schedule.ts'
export {
  openFrozen,
  openModel,
  readRowsFor,
  rowWarnings,
  type FrozenSession,
  type RunOptions,
  type PretrainedModel,
} from './source.ts'
export { trainStep } from './step.ts'
export { adapterUse, loadAdapters, type AdapterUse, type BoundAdapters } from './uses.ts'
export { version, versions } from './versions.ts'
