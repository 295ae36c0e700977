import type { Dim, Shape } from '../shape/dim.ts'
import { stridesOf } from '../numbers.ts'
import type { DType, Value } from '../value.ts'
import { bf16ToF32, f16ToF32 } from './half.ts'

/** Arrays nested to any depth. */
export type NestedNumbers<N> = N | readonly NestedNumbers<N>[]
/** Arrays nested as deep as a shape has dims. @example Nested<['batch', 2], number> is readonly (readonly number[])[] */
export type Nested<S extends Shape, N> = S extends readonly []
  ? N
  : S extends readonly [Dim, ...infer Rest extends Shape]
    ? readonly Nested<Rest, N>[]
    : NestedNumbers<N>

const decoded = ({ dtype, data }: { readonly dtype: DType; readonly data: Value<Shape, DType>['data'] }) =>
  data instanceof Uint16Array ? (dtype === 'bf16' ? bf16ToF32(data) : f16ToF32(data)) : data

/**
 * The numbers of a value as nested arrays, one level for each dim; truth values for `bool`, and bf16 and f16 decoded.
 * @example toArray(tensor([[1, 2], [3, 4]], ['batch', 'features'])) // [[1, 2], [3, 4]]
 */
export const toArray = <S extends Shape, D extends DType>(
  value: Value<S, D>,
): Nested<S, D extends 'bool' ? boolean : number> => {
  const { sizes, dtype } = value
  const numbers = decoded(value)
  const strides = stridesOf(sizes)
  const below = (axis: number, offset: number): NestedNumbers<number | boolean> =>
    axis === sizes.length
      ? dtype === 'bool'
        ? numbers[offset] !== 0
        : numbers[offset]!
      : Array.from({ length: sizes[axis]! }, (_, i) => below(axis + 1, offset + i * strides[axis]!))
  // as many levels as the shape has dims, which the type counts
  return below(0, 0) as Nested<S, D extends 'bool' ? boolean : number>
}
