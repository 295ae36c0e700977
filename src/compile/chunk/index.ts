/** Chunking: what is too large to be whole is made in pieces along its rows. */
export { chunked, type Chunking } from './pass.ts'
export { chunkOp, mapChunks, pieceDim, type Chunk, type Whole } from './op.ts'
