/** Fusing: neighbouring elementwise and row-wise nodes become one kernel. */
export { fused, type Fusing } from './fuse.ts'
/** Steps: elementwise instructions of a plan that follow one another become one. */
export { joined, mostInputs, rowsOf, stepRows, stepsOp, sumsRows } from './steps.ts'
/** Repeated operands of elementwise nodes, which repeat them themselves. */
export { withoutBroadcasts } from './fusible.ts'
