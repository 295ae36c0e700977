import { noDims } from '../facets.ts'
import { node, ruled, type Node, type Op, type Tensor } from '../node.ts'
import { composite } from '../op/composite.ts'
import { positions, reducer, type Reduction } from '../op/sum.ts'
import { typesFault } from '../op/types.ts'
import { u } from '../op/untyped.ts'
import {
  product,
  type AxisOrName,
  type Ok,
  type Reduce,
  type ReducedFrom,
  type ReduceError,
  type Shape,
} from '../shape/index.ts'

/** The axis of a place that is sought. */
export interface PlaceAttributes {
  readonly axis: number
  readonly keepDims: boolean
}

/** More than every place. */
const nowhere = 2 ** 31 - 1

const placeOf = (name: string, extreme: 'max' | 'min'): Op<PlaceAttributes> =>
  composite<PlaceAttributes>({
    name,
    kind: 'other',
    dims: noDims,
    expand: ([x], { axis, keepDims }) => {
      const { shape } = x!
      const n = shape[axis]!
      const places = u.reshape(u.iota(n), [n, ...shape.slice(axis + 1).map(() => 1)])
      // what is not itself is NaN, and so is then the extreme
      const odd = u.select(u.equal(x!, x!), u.constant(nowhere, [], 'i32'), places)
      return u.min(u.select(u.equal(x!, u[extreme](x!, [axis], true)), places, odd), [axis], keepDims)
    },
  })

/** x => the first place of its maximum along an axis, or of NaN if there is one. */
export const argmaxOp: Op<PlaceAttributes> = placeOf('argmax', 'max')
/** x => the first place of its minimum along an axis, or of NaN if there is one. */
export const argminOp: Op<PlaceAttributes> = placeOf('argmin', 'min')

/** A function from a tensor to places along one of its axes, or in all its elements in order. */
export interface Placing {
  <
    S extends Shape,
    D extends 'f32' | 'i32',
    const A extends AxisOrName | undefined = undefined,
    K extends boolean = false,
  >(
    x: Tensor<S, D> & ReduceError<S, A, K>,
    axis?: A,
    keepDims?: K,
  ): Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>, 'i32'>
}
const placing =
  (op: Op<PlaceAttributes>): Placing =>
  (x: Node, axis?: AxisOrName, keepDims?: boolean): never => {
    if (axis !== undefined)
      return node(op, [x], { axis: positions('reduce', x.shape, axis)[0]!, keepDims: keepDims ?? false }) as never
    const place = node(op, [u.reshape(x, [ruled(product(x.shape))])], { axis: 0, keepDims: false })
    return (
      keepDims
        ? u.reshape(
            place,
            x.shape.map(() => 1),
          )
        : place
    ) as never
  }

/**
 * The place of the maximum along an axis, or among all elements in order, as int32: the first of equal ones, and that
 * of the first NaN if there is one.
 * @example equal(argmax(logits, -1), labels)
 */
export const argmax = placing(argmaxOp)
/**
 * The place of the minimum along an axis, or among all elements in order, as int32: the first of equal ones, and that
 * of the first NaN if there is one.
 * @example argmin(distances, 'centres')
 */
export const argmin = placing(argminOp)

const truth = (name: string, extreme: 'max' | 'min'): Reduction<'bool'> =>
  reducer<'bool'>((x, axes, keepDims) => {
    ruled(typesFault(name, [x], ['bool']))
    return u.less(0, u[extreme](u.cast(x, 'f32'), axes, keepDims))
  })
/** True if any element is, over axes or of everything. @example any(lessEqual(x, 0), 'batch') */
export const any = truth('any', 'max')
/** True if all elements are, over axes or of everything. @example all(equal(a, b)) */
export const all = truth('all', 'min')
