import type { Slot } from '../../compile/index.ts'
import type { composites, Dim, Node, primitives } from '../../tensor/index.ts'
import type { TensorInfo } from './wasm/index.ts'

/** One instruction, with everything that is known before it runs. */
export interface Call {
  readonly node: Node
  readonly inputs: readonly Slot[]
  readonly output: Slot
  readonly size: (dim: Dim) => number
}

/**
 * Prepares an instruction once; what it returns makes the result from the inputs, each time it runs: in a new buffer,
 * or, where the table says that the op can, in the buffer that it is given, which is that of an input.
 */
export type Lowering = (call: Call) => (inputs: readonly TensorInfo[], into?: TensorInfo) => TensorInfo

export type OpName = keyof typeof primitives | keyof typeof composites
/** How a tfjs backend runs every op: a missing entry is a compile error. A composite may be expanded instead. */
export type Lowerings = { readonly [K in keyof typeof primitives]: Lowering } & {
  readonly [K in keyof typeof composites]: Lowering | 'expand'
}

/** tfjs's names of dtypes; 16-bit data has none. */
export const tfjsDType = { f32: 'float32', i32: 'int32', bool: 'bool' } as const
export type TfjsDType = keyof typeof tfjsDType

/** The attributes of a node whose op is known from the key in the table. */
export const attributesOf = <A>(node: Node): A => node.attributes as A
