import { node, typed, ruled, type Op, type Tensor } from '../node.ts'
import { partsDiffer } from '../misfit.ts'
import { split as splitRule, type Fault, type Shape, type Split } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { composite } from './composite.ts'
import { parts } from './slice.ts'
import { positions } from './sum.ts'

/** The axis that is split, the sizes of all its parts, and the number of the part. */
export interface SplitAttributes {
  readonly axis: number
  readonly sizes: Shape
  readonly index: number
}

/**
 * A part of an axis whose parts are all of it: unlike slices, they leave nothing out       dx: dy, padded with zeros
 */
export const splitOp: Op<SplitAttributes> = {
  ...composite<SplitAttributes>({
    name: 'split',
    kind: 'movement',
    dims: ({ sizes }) => sizes,
    expand: ([x], { axis, sizes, index }) => parts.slice(x!, axis, { as: sizes[index]!, start: sizes.slice(0, index) }),
    vjp: ({ inputs: [x], attributes: { axis, sizes, index } }, dy) => [
      parts.pad(dy, axis, { as: x!.shape[axis]!, start: sizes.slice(0, index) }),
    ],
  }),
  misfit: (_, { axis, sizes }, { size, inputs: [x] }) => partsDiffer('split', sizes, x!.shape[axis]!, size),
}

/** The parts of a split as tensors. */
export type PartsOf<Shapes, D extends DType> = { readonly s: Shapes } extends {
  readonly s: infer All extends readonly Shape[]
}
  ? { readonly [K in keyof All]: Tensor<All[K], D> }
  : never

/**
 * The parts of an axis, one after another: a number of equal ones, or those of some sizes, which together are the axis.
 * @throws {ShapeMismatch} if the dim is not certain to have as many equal parts, or the sizes never are the dim
 * @example const [query, key, value] = split(projected, 3, -1)
 */
export const split = <S extends Shape, D extends DType, const P extends number | Shape, const A extends number>(
  x: Tensor<S, D> & Fault<Split<S, NoInfer<A>, P>, S>,
  parts: P,
  axis: A,
): PartsOf<Split<S, A, P>, D> => {
  const shapes = ruled(splitRule(x.shape, axis, parts))
  const place = positions('split', x.shape, axis)[0]!
  const sizes = shapes.map(shape => shape[place]!)
  const made = sizes.map((_, index) => typed(node(splitOp, [x], { axis: place, sizes, index })))
  // one part for each shape of the rule, in its order
  return made as readonly unknown[] as PartsOf<Split<S, A, P>, D>
}
