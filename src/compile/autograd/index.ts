export { accountant, type Account, type Accountant, type AccountOptions, type KeptByOp } from './account.ts'
export { NoAccount } from './fold.ts'
export type { Pass, StepWork, Work } from './work.ts'
