import { count, type Dim, type DType, type Places, type Required, type Shape } from '../../tensor/index.ts'

/** The element types of PyTorch's tensors, as bytes of an element. */
export const elementBytes = { f32: 4, half: 2, i64: 8, bool: 1 } as const
export type Element = keyof typeof elementBytes

/** Memory that one or several tensors lie in. That of parameters is not counted: it is held anyway. */
export interface Storage {
  readonly bytes: number
  readonly isParameter: boolean
}
/** The value of a node as PyTorch has it. */
export interface Held {
  readonly storage: Storage
  readonly element: Element
  /** The part that requires a gradient, if any does. */
  readonly needs: Required | undefined
  /** True for a number without axes, which decides no element type, and is not counted. */
  readonly isNumber: boolean
}

/** Memory of a shape. */
export const storageOf = (shape: Shape, element: Element, size: (dim: Dim) => number): Storage => ({
  bytes: count(shape.map(size)) * elementBytes[element],
  isParameter: false,
})
/** The shape of some places along an axis. */
export const placesOf = (shape: Shape, places: Places | undefined): Shape =>
  places === undefined ? shape : shape.map((dim, axis) => (axis === places.axis ? places.dim : dim))

/** The element type of a value of a dtype, with that of reals. */
export const elementOf = (dtype: DType, real: Element): Element =>
  dtype === 'i32' ? 'i64' : dtype === 'bool' ? 'bool' : real
