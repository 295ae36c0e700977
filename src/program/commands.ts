/** The work of each command of `partensor`, as functions for other front ends. */
export { compare } from './compare/compare.ts'
export { doctor } from './doctor.ts'
export { evaluate } from './evaluate.ts'
export { explainModel } from './explain.ts'
export { exportAdapter } from './export.ts'
export { finetune } from './finetune.ts'
export { continuePrompt } from './generate.ts'
export { checkFile, verifyModel } from './verify.ts'
