// The products' module for memory that is not shared.
export { gemmScratch } from './gemm'
export { runAlone } from './job'
