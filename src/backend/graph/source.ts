import type { Programs, WholePrograms } from '../../compile/index.ts'
import type { Node } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { Define, Refs } from './entry.ts'
import type { Library } from './library.ts'
import type { Input, Inputs } from './packed.ts'
import type { Holdings } from './resources.ts'
import type { Precision, Writing } from './scope.ts'

/** What a graph is made from. */
export interface Source {
  readonly programs: Programs
  readonly whole: WholePrograms
  readonly holdings: Holdings
  readonly writing: Omit<Writing, 'library' | 'resourceOf'>
  /** How values of the forward and backward pass are stored. */
  readonly precision: Precision
}

/** Where questions are defined. */
export interface Defining {
  readonly define: Define
  readonly library: Library
  readonly writing: Writing
}

/** In what is done once an update, everything is in f32. */
export const single: Precision = { compute: 'f32', stored: n => n.dtype }

export const integerInput: Input = { type: 'i32', rank: 0 }
export const realInput: Input = { type: 'f32', rank: 0 }
export const inputOf = ({ dtype, shape }: Node): Input => ({
  type: dtype === 'i32' ? 'i32' : 'f32',
  rank: shape.length,
})

/** The name of an input: a leaf of a batch. */
export const batchInput = (path: string): string => `batch/${path}`
export const batchInputs = ({ batch }: Programs): Inputs =>
  Object.fromEntries(batch.map(([path, leaf]) => [batchInput(path), inputOf(leaf)]))
/** What was given for the leaves of a batch. */
export const fedBatch = ({ batch }: Programs, given: Refs): ReadonlyMap<Node, Ref> =>
  new Map(batch.map(([path, leaf]) => [leaf, given[batchInput(path)]!]))

export const asF32 = (body: Body, x: Ref): Ref => body.cast(x, 'f32')
