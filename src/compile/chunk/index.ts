/** Chunking: computes values that are too large to be whole in pieces along their rows. */
export { inCalls } from './calls.ts'
export { chunked, type Chunking } from './pass.ts'
export { chunkOp, mapChunks, pieceDim, type Chunk, type Whole } from './op.ts'
