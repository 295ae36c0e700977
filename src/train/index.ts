/** The pure training step and its surroundings: batches of values, schedules, optimizers by name, tokens one by one. */
export { batches, type BatchesOf, type BatchOptions } from './batches.ts'
export { capacityFor, generateTokens, type GenerateOptions } from './generate.ts'
export { rateAt, runSchedule, scheduleNames, type ScheduleName, type ScheduleOptions } from './run-schedule.ts'
export * as schedule from './schedules.ts'
export { trainStep, type StepOptions, type TrainedWhole } from './step.ts'
export { chooseOptimizer, type ChosenOptimizer, type OptimizerChoice } from './optimizer.ts'
