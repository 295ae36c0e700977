import { savesOperands } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { hasCorner, inOnePiece, isSmooth, noDims } from '../facets.ts'
import { checkIndex, numbers } from '../numbers.ts'
import { checkShape, type Dim, type Shape, type ShapeFault } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import type { OneDim } from './placeholder.ts'
import { layouts } from './reshape.ts'
import { indexFault } from './types.ts'

/**
 * y[…] = x[…, index[…]]: one element a row                                          dx: dy at the index, zero elsewhere
 */
export const pickOp: Op<object> = {
  name: 'pick',
  shape: ([x, index]) => {
    const rows = x!.shape.slice(0, -1)
    const types = indexFault('pick', index!)
    return E.isLeft(types)
      ? types
      : rows.length === index!.shape.length && rows.every((dim, axis) => dim === index!.shape[axis])
        ? E.right({ shape: rows, dtype: x!.dtype })
        : E.left(`pick: the index [${index!.shape.join(', ')}] is not [${rows.join(', ')}]`)
  },
  misfit: fitsByShape,
  eval: ([x, index], _, { sizes }) => {
    const width = x!.sizes.at(-1)!
    checkIndex('pick', index!, width)
    return numbers(sizes, row => x!.data[row * width + index!.data[row]!]!)
  },
  vjp: ({ inputs: [x, index] }, dy) => [
    pointwise.mul(layouts.reshape(dy, [...dy.shape, 1]), picks.oneHot(index!, x!.shape.at(-1)!)),
    undefined,
  ],
  indices: ([x]) => [{ index: 1, within: x!.shape.at(-1)! }],
  flops: () => 0,
  kind: 'movement',
  along: (_, axis) => [axis, axis],
  dims: noDims,
  smooth: isSmooth,
  autograd: savesOperands,
}

/** 1 at the index, 0 elsewhere, along a new last dim; all 0 if the index is not within the dim. */
export const oneHotOp: Op<{ readonly dim: Dim }> = {
  name: 'oneHot',
  shape: ([index], { dim }) =>
    pipe(
      indexFault('oneHot', index!),
      E.flatMap(() => checkShape([...index!.shape, dim])),
      E.map(shape => ({ shape, dtype: 'f32' })),
    ),
  misfit: fitsByShape,
  eval: ([index], _, { sizes }) =>
    numbers(sizes, i => Number(index!.data[Math.floor(i / sizes.at(-1)!)] === i % sizes.at(-1)!)),
  vjp: () => [],
  flops: () => 0,
  kind: 'other',
  along: ({ inputs: [index] }, axis) => (axis < index!.shape.length ? [axis] : undefined),
  dims: ({ dim }) => [dim],
  smooth: isSmooth,
  cheap: 'of weights',
}

/**
 * The positions of the non-zero elements of a vector, in order, in a declared capacity; unused places are 0. The number
 * of positions depends on the data, so the size must be declared, as in `jnp.nonzero(x, size=…)`. Positions beyond the
 * capacity are dropped; a session refuses a batch with too many.
 */
export const nonzeroOp: Op<{ readonly capacity: Dim }> = {
  name: 'nonzero',
  shape: ([x], { capacity }) =>
    x!.shape.length === 1
      ? pipe(
          checkShape([capacity]),
          E.map(shape => ({ shape, dtype: 'i32' })),
        )
      : E.left(`nonzero: [${x!.shape.join(', ')}] is not a vector`),
  misfit: fitsByShape,
  eval: ([x], _, { sizes }) => {
    const found = Array.from(x!.data.keys()).filter(i => x!.data[i] !== 0)
    return numbers(sizes, i => found[i] ?? 0)
  },
  vjp: () => [],
  flops: () => 0,
  kind: 'other',
  along: inOnePiece,
  dims: ({ capacity }) => [capacity],
  smooth: hasCorner,
}

/** The untyped verbs of single elements. */
export const picks = {
  pick: (x: Node, index: Node): Node => node(pickOp, [x, index], {}),
  oneHot: (index: Node, dim: Dim): Node => node(oneHotOp, [index], { dim }),
  nonzero: (x: Node, capacity: Dim): Node => node(nonzeroOp, [x], { capacity }),
}

/**
 * 1 at each label and 0 elsewhere, along a new last dim, as float32; all 0 for a label that does not lie within the
 * dim.
 * @example oneHot(labels, 'classes')
 */
export const oneHot = <S extends Shape, const N extends OneDim>(
  labels: Tensor<S, 'i32'>,
  ...[dim]: N & ShapeFault<N>
): Tensor<readonly [...S, ...N]> => typed(picks.oneHot(labels, dim))

/** The positions at which a vector is not zero. @example nonzero(mask, 'scored') */
export const nonzero = <N extends Dim, D extends DType, const C extends OneDim>(
  x: Tensor<readonly [N], D>,
  ...[capacity]: C & ShapeFault<C>
): Tensor<Readonly<C>, 'i32'> => typed(picks.nonzero(x, capacity))
