import type { Shape, Value } from '../../tensor/index.ts'

/** The element types of a tensor that was read. */
export type StoredDType = 'f32' | 'i32' | 'bf16' | 'f16'
/** A tensor that was read from a file. Its dims are plain numbers, because names come from the model. */
export type StoredValue = { readonly [D in StoredDType]: Value<Shape, D> }[StoredDType]
