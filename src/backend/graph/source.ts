import type { Programs, WholePrograms } from '../../compile/index.ts'
import { topological, type Node } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { Define, Refs } from './entry.ts'
import type { Library } from './library.ts'
import type { Input, Inputs } from './packed.ts'
import type { Holdings } from './resources.ts'
import type { Precision, Writing } from './scope.ts'

/** The source of a graph: the programs, and the way they are written. */
export interface Source {
  readonly programs: Programs
  readonly whole: WholePrograms
  readonly holdings: Holdings
  readonly writing: Omit<Writing, 'library' | 'resourceOf'>
  /** The precision of values in the forward and backward pass. */
  readonly precision: Precision
}

/** The place where questions are defined. */
export interface Defining {
  readonly define: Define
  readonly library: Library
  readonly writing: Writing
}

/** The precision of work that is done once per update: everything is in f32. */
export const single: Precision = { compute: 'f32', stored: n => n.dtype }

export const integerInput: Input = { type: 'i32', rank: 0 }
export const realInput: Input = { type: 'f32', rank: 0 }
/** Truth values are passed as integers. */
export const inputOf = ({ dtype, shape }: Node): Input => ({
  type: dtype === 'i32' || dtype === 'bool' ? 'i32' : 'f32',
  rank: shape.length,
})

/** The names of what an evaluation, a gradient program and a prediction return, by position. */
export const averageName = (i: number): string => `average/${i}`
export const bufferName = (i: number): string => `buffer/${i}`
export const outputName = (i: number): string => `output/${i}`

/** The name of the input for a leaf of a batch. */
export const batchInput = (path: string): string => `batch/${path}`
type Batch = Pick<Programs, 'batch'>
export const batchInputs = ({ batch }: Batch): Inputs =>
  Object.fromEntries(batch.map(([path, leaf]) => [batchInput(path), inputOf(leaf)]))
/** The values fed for the leaves of a batch. */
export const fedBatch = (body: Body, { batch }: Batch, given: Refs): ReadonlyMap<Node, Ref> =>
  new Map(
    batch.map(([path, leaf]) => {
      const x = given[batchInput(path)]!
      return [leaf, leaf.dtype === 'bool' ? body.cast(x, 'bool') : x]
    }),
  )
/** The leaves of a batch that predictions read. */
export const predictedFrom = ({ batch, declared }: Pick<Programs, 'batch' | 'declared'>): Batch => {
  const read = new Set(topological(declared.outputLeaves.map(([, output]) => output)))
  return { batch: batch.filter(([, leaf]) => read.has(leaf)) }
}

/** A result as a graph returns it: floats in f32, and truth values as integers. */
export const answered = (body: Body, x: Ref): Ref =>
  x.type === 'i32' ? x : body.cast(x, x.type === 'bool' ? 'i32' : 'f32')

export const asF32 = (body: Body, x: Ref): Ref => body.cast(x, 'f32')
