import type { InPlace, Slot } from '../../compile/index.ts'
import type { composites, Dim, DType, Node, primitives } from '../../tensor/index.ts'
import type { TensorInfo } from './wasm/index.ts'

/** One instruction, with everything that is known before it runs. */
export interface Call {
  readonly node: Node
  readonly inputs: readonly Slot[]
  readonly output: Slot
  readonly size: (dim: Dim) => number
}

/**
 * Computes the result from the inputs, each time an instruction runs: in a new buffer or, if the table allows it for
 * the op, in the given buffer, which is that of an input.
 */
export type Run = (inputs: readonly TensorInfo[], into?: TensorInfo) => TensorInfo

/** The same for an op that needs numbers on the host, which not every device can provide at once. */
export interface Reading {
  /** Positions of the inputs whose numbers the op needs. */
  readonly reads: readonly number[]
  readonly run: (numbers: readonly ArrayLike<number>[], inputs: readonly TensorInfo[], into?: TensorInfo) => TensorInfo
}

/** Prepares an instruction once. */
export interface Lowering {
  (call: Call): Run | Reading
  /** Positions of the inputs whose buffers can hold a float32 result. */
  readonly inPlace?: readonly number[]
}

/**
 * A lowering that reads an element, or a whole row, before it writes it, so that it can use the buffers of some inputs.
 */
export const writingInto = (inPlace: readonly number[], lowering: Lowering): Lowering =>
  Object.assign((call: Call) => lowering(call), { inPlace })

export type OpName = keyof typeof primitives | keyof typeof composites | 'steps'
/**
 * A lowering for every primitive on a tfjs backend: a missing entry is a compile error. A composite without one is
 * expanded.
 */
export type Lowerings = { readonly [K in keyof typeof primitives]: Lowering } & {
  readonly [K in keyof typeof composites]?: Lowering
}

/** The inputs whose buffers the lowerings of a table can write to, by op. */
export const inPlaceIn = (lowerings: Lowerings): InPlace =>
  new Map(
    Object.entries(lowerings).flatMap(([name, lowering]: readonly [string, Lowering]) =>
      lowering.inPlace ? [[name, lowering.inPlace] as const] : [],
    ),
  )

/** The kernels of a tfjs backend by name, and data in. Data is read through the device, which may have to wait. */
export interface Kernels {
  readonly run: (name: string, inputs: object, attributes?: object) => TensorInfo
  readonly make: (data: Float32Array | Int32Array | Uint8Array, sizes: readonly number[], dtype: DType) => TensorInfo
  readonly free: (x: TensorInfo) => void
}

/** tfjs's names of dtypes; 16-bit data has none. */
export const tfjsDType = { f32: 'float32', i32: 'int32', bool: 'bool' } as const
export type TfjsDType = keyof typeof tfjsDType

/** The attributes of a node whose op is known from the key in the table. */
export const attributesOf = <A>(node: Node): A => node.attributes as A
