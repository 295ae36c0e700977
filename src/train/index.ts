/** The pure training step and its surroundings: the loop, evaluation, schedules, generation, moments, adapters. */
export { capacityFor, generateText, type Generated, type GenerateOptions } from './generate.ts'
export {
  batchDims,
  evaluateRows,
  StepFailed,
  train,
  type Evaluable,
  type Evaluation,
  type StepEvent,
  type Trainable,
} from './loop.ts'
export { adapterOf, keepsBase, inRange, remembering, withAdapters, type TrainedParts, selectionOf } from './adapter.ts'
export { rateAt, runSchedule, scheduleNames, type ScheduleName, type ScheduleOptions } from './run-schedule.ts'
export * as schedules from './schedules.ts'
export { trainStep } from './step.ts'
export {
  loadMoments,
  momentWarnings,
  momentsFolder,
  momentsOf,
  saveMoments,
  type SavedMoments,
  withMoments,
} from './moments.ts'
export { chooseOptimizer, type ChosenOptimizer, type OptimizerChoice } from './optimizer.ts'
export { continuing } from './joined.ts'
