/**
 * `partensor/cli`: the commands of the command line as functions, for other front ends. They return or yield the events
 * that the command line prints.
 * @packageDocumentation
 */
export { finetune, evaluate, classify, continuePrompt, exportAdapter, compare } from './program/commands.ts'
export { explainModel, reproduce, doctor } from './program/commands.ts'
export type { Reproducing, Reproduction } from './program/commands.ts'
export { verifyModel, checkFile } from './program/commands.ts'
export { nativeStatus, type NativeStatus } from './backend/native/index.ts'
export type { FinetuneOptions, FinetuneEvent, EvaluateOptions, EvaluateResult } from './program/commands.ts'
export type { EvaluateImagesResult, ClassifyOptions, ClassifyEvent } from './program/commands.ts'
export type { ClassificationReport, ClassReport, Confusion, AugmentChoice, ReadOptions } from './program/commands.ts'
export type { ContinueOptions, ContinueResult, CompareOptions, CompareEvent, RunCommand } from './program/commands.ts'
export type { ExplainOptions, ExportOptions, ExportResult, Doctor } from './program/commands.ts'
export type { VerifyModelOptions, VerifyModelEvent } from './program/commands.ts'
