import type { Programs, WholePrograms } from '../../compile/index.ts'
import type { Node } from '../../tensor/index.ts'
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
export const inputOf = ({ dtype, shape }: Node): Input => ({
  type: dtype === 'i32' ? 'i32' : 'f32',
  rank: shape.length,
})

/** The name of the input for a leaf of a batch. */
export const batchInput = (path: string): string => `batch/${path}`
export const batchInputs = ({ batch }: Programs): Inputs =>
  Object.fromEntries(batch.map(([path, leaf]) => [batchInput(path), inputOf(leaf)]))
/** The values fed for the leaves of a batch. */
export const fedBatch = ({ batch }: Programs, given: Refs): ReadonlyMap<Node, Ref> =>
  new Map(batch.map(([path, leaf]) => [leaf, given[batchInput(path)]!]))

export const asF32 = (body: Body, x: Ref): Ref => body.cast(x, 'f32')
