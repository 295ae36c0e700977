export { accountant, type Account, type Accountant, type AccountOptions, type KeptByOp } from './account.ts'
export { NoAccount } from './fold.ts'
