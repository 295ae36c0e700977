/** Fusing: neighbouring elementwise and row-wise nodes become one kernel. */
export { fused, type Fusing } from './fuse.ts'
