import type { DType } from '../../tensor/index.ts'

/** The types of values in a graph: those of the language, and TensorFlow's own for counts, variables and lists. */
export type GraphType = DType | 'i64' | 'u64' | 'resource' | 'variant'
/** The types of floating-point numbers. */
export type FloatType = 'f32' | 'bf16' | 'f16'

/** TensorFlow's numbers for types (`DataType` in types.proto). */
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
