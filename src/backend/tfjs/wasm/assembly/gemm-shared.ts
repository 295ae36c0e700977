// The products' module for shared memory and several threads.
export { gemmScratch } from './gemm'
export { runAlone } from './job'
export { serve, runTogether } from './pool'
