import type { DType } from '../../tensor/index.ts'

/**
 * Types of values in a graph: those of the language, and what TensorFlow has beside them for counts, variables and
 * lists.
 */
export type GraphType = DType | 'i64' | 'u64' | 'resource' | 'variant'
/** Types in which numbers with a fraction are stored. */
export type FloatType = 'f32' | 'bf16' | 'f16'

/** TensorFlow's numbers of types (`DataType` in types.proto). */
export const dataType: { readonly [K in GraphType]: number } = {
  f32: 1,
  i32: 3,
  i64: 9,
  bool: 10,
  bf16: 14,
  f16: 19,
  resource: 20,
  variant: 21,
  u64: 23,
}

export const isFloat = (type: GraphType): type is FloatType => type === 'f32' || type === 'bf16' || type === 'f16'
