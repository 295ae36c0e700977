/** The pure training step, and what goes around it: the loop, evaluation, generation, the programs of the command line. */
export { continuePrompt, promptIds, type ContinueOptions, type ContinueResult } from './continue.ts'
export { doctor, type Doctor, type TargetReport } from './doctor.ts'
export { evaluate, type EvaluateOptions, type EvaluateResult } from './evaluate.ts'
export { explainModel, type ExplainOptions } from './explain.ts'
export { finetune, type DoneEvent, type FinetuneEvent, type FinetuneOptions, type StartEvent } from './finetune.ts'
export { capacityFor, generateText, generateTokens, type Generated, type GenerateOptions } from './generate.ts'
export {
  batchDims, evaluateRows, StepFailed, train,
  type BatchDims, type Evaluable, type Evaluation, type StepEvent, type StopSignal, type Trainable,
} from './loop.ts'
export {
  methodOptions, optimizer, parameterCounts, projections, readColumns, targetWidths, tuneLlama,
  type MethodChoice, type MethodOptions, type TunedLlama,
} from './method.ts'
export { humanReport, jsonReport, showBytes, showSeconds, stepDisplay, type StepDisplay, type Terminal } from './progress.ts'
export { adapterOf, withAdapter, type TrainedParts } from './saved.ts'
export { rateAt, runSchedule, scheduleNames, type ScheduleName, type ScheduleOptions } from './schedule.ts'
export { openFrozen, openModel, readRowsFor, rowWarnings, type FrozenSession, type RunOptions, type PretrainedModel } from './source.ts'
export { trainStep } from './step.ts'
export { version, versions } from './versions.ts'
