/** Upper bounds of the curvature inside a mask, proved and not estimated. */
export type { NoBound } from './abstract.ts'
export { dependents, headOf, lossOf, type Features, type Head, type RowLosses } from './head.ts'
export { largestEigenvalueBound, provesBelow, type Enclosure } from './eigenvalue.ts'
export { gramMatrix, type WeightedRows } from './gram.ts'
export { checkProved, provedCurvature } from './proved.ts'
export type { Run as CurvatureRun } from './evaluate.ts'
