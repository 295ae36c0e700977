export { accountOf, type Account, type AccountOptions, type KeptByOp } from './account.ts'
export { NoAccount } from './fold.ts'
