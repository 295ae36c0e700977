import { savesOperand, savesOperands } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { isSmooth, noDims } from '../facets.ts'
import { around, checkIndex, numbers } from '../numbers.ts'
import {
  show,
  takeAlong as takeAlongRule,
  type AxisOrName,
  type Dim,
  type Ok,
  type Shape,
  type TakeAlong,
  type TakeAlongError,
} from '../shape/index.ts'
import { count, type DType } from '../value.ts'
import { wrapped } from './integer.ts'
import { positions } from './sum.ts'
import type { TakeAttributes } from './take.ts'
import { indexFault, typesFault } from './types.ts'

/** The offset of an element in an array whose size along an axis is `n`, of which it has the place `at`. */
const offset = (i: number, taken: number, inner: number, n: number, at: number): number =>
  (Math.floor(i / (taken * inner)) * n + at) * inner + (i % inner)

/** y[…, i, …] = x[…, index[…, i, …], …] along one axis        dx: dy added into zeros at the index */
export const takeAlongOp: Op<TakeAttributes> = {
  name: 'takeAlong',
  shape: ([x, index], { axis }) =>
    pipe(
      indexFault('takeAlong', index!),
      E.flatMap(() => takeAlongRule(x!.shape, index!.shape, axis)),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x, index], { axis }, { sizes }) => {
    const [, n, inner] = around(x!.sizes, axis)
    checkIndex('takeAlong', index!, n)
    return numbers(sizes, i => x!.data[offset(i, sizes[axis]!, inner, n, index!.data[i]!)]!)
  },
  vjp: ({ inputs: [x, index], attributes: { axis } }, dy) => [
    alongs.scatterAlong(index!, dy, axis, x!.shape[axis]!),
    undefined,
  ],
  indices: ([x], { axis }) => [{ index: 1, within: x!.shape[axis]! }],
  flops: () => 0,
  kind: 'movement',
  along: ({ attributes }, axis) => (axis === attributes.axis ? [undefined, axis] : [axis, axis]),
  dims: noDims,
  smooth: isSmooth,
  autograd: savesOperands,
}

/**
 * Zeros of size dim along one axis, with every element of x added at its index               dx: dy taken at the index
 */
export const scatterAlongOp: Op<TakeAttributes & { readonly dim: Dim }> = {
  name: 'scatterAlong',
  shape: ([index, x], { axis, dim }) =>
    pipe(
      indexFault('scatterAlong', index!),
      E.flatMap(() => typesFault('scatterAlong', [x!], ['f32', 'i32'])),
      E.flatMap(() =>
        show(index!.shape) === show(x!.shape)
          ? takeAlongRule(x!.shape.with(axis, dim), index!.shape, axis)
          : E.left(`scatterAlong: the index is ${show(index!.shape)}, not ${show(x!.shape)}`),
      ),
      E.map(() => ({ shape: x!.shape.with(axis, dim), dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([index, x], { axis }, { sizes, inputs: [, declared] }) => {
    const y = numbers(sizes, () => 0)
    const [, n, inner] = around(sizes, axis)
    const taken = x!.sizes[axis]!
    checkIndex('scatterAlong', index!, n)
    x!.data.forEach((v, i) => {
      y.data[offset(i, taken, inner, n, index!.data[i]!)]! += v
    })
    return declared!.dtype === 'i32' ? { sizes, data: y.data.map(wrapped) } : y
  },
  vjp: ({ inputs: [index], attributes: { axis } }, dy) => [undefined, alongs.takeAlong(dy, index!, axis)],
  indices: (_, { dim }) => [{ index: 0, within: dim }],
  flops: ([, x]) => count(x!),
  kind: 'other',
  along: ({ attributes }, axis) => (axis === attributes.axis ? undefined : [axis, axis]),
  dims: ({ dim }) => [dim],
  smooth: isSmooth,
  autograd: savesOperand(0),
}

/** The untyped verbs of elements at indices of their own. */
export const alongs = {
  takeAlong: (x: Node, index: Node, axis: number): Node => node(takeAlongOp, [x, index], { axis }),
  scatterAlong: (index: Node, x: Node, axis: number, dim: Dim): Node => node(scatterAlongOp, [index, x], { axis, dim }),
}

/**
 * The elements of x along an axis at an index of their own, like `take_along_axis` of NumPy and `gather` of PyTorch:
 * the result has the shape of the index, which differs from x on that axis alone. An index beyond the dim is refused.
 * @example takeAlong(logits, best, 'vocab')
 */
export const takeAlong = <S extends Shape, D extends DType, I extends Shape, const A extends AxisOrName>(
  x: Tensor<S, D>,
  index: Tensor<I, 'i32'> & TakeAlongError<S, I, NoInfer<A>>,
  axis: A,
): Tensor<Ok<TakeAlong<S, I, A>, S>, D> => typed(alongs.takeAlong(x, index, positions('takeAlong', x.shape, axis)[0]!))
