import { savesOperand } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, typed, ruled, type Node, type Op, type Tensor } from '../node.ts'
import { inOnePiece, isSmooth, noDims } from '../facets.ts'
import { around, checkIndex, numbers } from '../numbers.ts'
import {
  product,
  put as putRule,
  show,
  take as takeRule,
  type Dim,
  type Ok,
  type PutError,
  type Shape,
  type Take,
  type TakeError,
} from '../shape/index.ts'
import type { DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import { wrapped } from './integer.ts'
import { layouts } from './reshape.ts'
import { positions } from './sum.ts'
import { indexFault, typesFault } from './types.ts'

/** The axis of the slices. */
export interface TakeAttributes {
  readonly axis: number
}

/** The shape rule of the op itself, which takes an index of rank 1. */
const indexed = (x: Node, index: Node, axis: number): E.Either<string, Shape> =>
  index.shape.length === 1
    ? takeRule(x.shape, index.shape, axis)
    : E.left(`take: the index ${show(index.shape)} of a node needs exactly 1 dim`)

const replaced = (shape: Shape, axis: number, dim: Dim): Shape => shape.map((d, i) => (i === axis ? dim : d))

/** y = x[…, index, …] along one axis                    dx: dy added into zeros at the index */
export const takeOp: Op<TakeAttributes> = {
  name: 'take',
  shape: ([x, index], { axis }) =>
    pipe(
      indexFault('take', index!),
      E.flatMap(() => indexed(x!, index!, axis)),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x, index], { axis }, { sizes }) => {
    const [, from, inner] = around(x!.sizes, axis)
    const taken = around(sizes, axis)[1]
    checkIndex('take', index!, from)
    return numbers(
      sizes,
      i =>
        x!.data[
          (Math.floor(i / (taken * inner)) * from + index!.data[Math.floor(i / inner) % taken]!) * inner + (i % inner)
        ]!,
    )
  },
  vjp: ({ inputs: [x, index], attributes: { axis } }, dy) => [
    takes.scatterAdd(index!, dy, axis, x!.shape[axis]!),
    undefined,
  ],
  indices: ([x], { axis }) => [{ index: 1, within: x!.shape[axis]! }],
  flops: () => 0,
  kind: 'movement',
  along: ({ attributes }, axis) => (axis === attributes.axis ? [undefined, 0] : [axis, undefined]),
  dims: noDims,
  smooth: isSmooth,
  autograd: savesOperand(1),
}

/** Zeros, with the slices of x added along one axis at the index                    dx: dy taken at the index */
export const scatterAddOp: Op<TakeAttributes & { readonly dim: Dim }> = {
  name: 'scatterAdd',
  shape: ([index, x], { axis, dim }) =>
    pipe(
      indexFault('scatterAdd', index!),
      E.flatMap(() => typesFault('scatterAdd', [x!], ['f32', 'i32'])),
      E.flatMap(() =>
        index!.shape.length === 1 && index!.shape[0] === x!.shape[axis]
          ? E.right({ shape: replaced(x!.shape, axis, dim), dtype: x!.dtype })
          : E.left(`scatterAdd: the index ${show(index!.shape)} does not go along axis ${axis} of ${show(x!.shape)}`),
      ),
    ),
  misfit: fitsByShape,
  eval: ([index, x], { axis }, { sizes, inputs: [, declared] }) => {
    const y = numbers(sizes, () => 0)
    const [, to, inner] = around(sizes, axis)
    const taken = x!.sizes[axis]!
    checkIndex('scatterAdd', index!, to)
    x!.data.forEach((v, i) => {
      y.data[
        (Math.floor(i / (taken * inner)) * to + index!.data[Math.floor(i / inner) % taken]!) * inner + (i % inner)
      ]! += v
    })
    return declared!.dtype === 'i32' ? { sizes, data: y.data.map(wrapped) } : y
  },
  vjp: ({ inputs: [index], attributes: { axis } }, dy) => [undefined, takes.take(dy, index!, axis)],
  indices: (_, { dim }) => [{ index: 0, within: dim }],
  flops: ([, x]) => x!.reduce((n, size) => n * size, 1),
  kind: 'other',
  along: inOnePiece,
  dims: ({ dim }) => [dim],
  smooth: isSmooth,
  autograd: savesOperand(0),
}

/**
 * x with the slices at the index replaced, along one axis. The index names no slice twice.     dx: dy with zeros there;
 * dvalues: dy taken there
 */
export const putOp: Op<TakeAttributes> = {
  name: 'put',
  shape: ([x, index, values], { axis }) =>
    pipe(
      indexFault('put', index!),
      E.flatMap(() => typesFault('put', [x!, values!], ['f32', 'i32', 'bool'])),
      E.flatMap(() => indexed(x!, index!, axis)),
      E.flatMap(() => putRule(x!.shape, index!.shape, values!.shape, axis)),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x, index, values], { axis }, { sizes }) => {
    const [, to, inner] = around(sizes, axis)
    const count = values!.sizes[axis]!
    const data = x!.data.slice()
    checkIndex('put', index!, to)
    values!.data.forEach((v, i) => {
      data[(Math.floor(i / (count * inner)) * to + index!.data[Math.floor(i / inner) % count]!) * inner + (i % inner)] =
        v
    })
    return { sizes, data }
  },
  vjp: ({ inputs: [, index], attributes: { axis } }, dy) => {
    const values = takes.take(dy, index!, axis)
    return [takes.put(dy, index!, pointwise.mul(values, 0), axis), undefined, values]
  },
  indices: ([x], { axis }) => [{ index: 1, within: x!.shape[axis]! }],
  flops: () => 0,
  kind: 'movement',
  // it may be written in place: pieces would copy x
  along: inOnePiece,
  dims: noDims,
  smooth: isSmooth,
  cheap: 'of weights',
  autograd: {
    ...savesOperand(1),
    // what is trained of a weight is written into it
    view: true,
    requires: ({ inputs: [, , values], attributes: { axis } }, [ofX]) =>
      ofX ?? { along: { axis, dim: values!.shape[axis]! } },
  },
}

/** The untyped verbs of slices at an index. */
export const takes = {
  take: (x: Node, index: Node, axis: number): Node => node(takeOp, [x, index], { axis }),
  scatterAdd: (index: Node, x: Node, axis: number, dim: Dim): Node => node(scatterAddOp, [index, x], { axis, dim }),
  put: (x: Node, index: Node, values: Node, axis: number): Node => node(putOp, [x, index, values], { axis }),
}

/**
 * The slices of x at an index of any rank, along an axis: the dims of the index replace that axis.
 * @example take(embedding, ids, 0)
 */
export const take = <S extends Shape, D extends DType, I extends Shape, const A extends number>(
  x: Tensor<S, D> & TakeError<S, I, NoInfer<A>>,
  index: Tensor<I, 'i32'>,
  axis: A,
): Tensor<Ok<Take<S, I, A>, S>, D> => {
  const at = positions('take', x.shape, axis)[0]!
  const length = ruled(product(index.shape))
  // an index of another rank is one of rank 1 between two reshapes, which copy no data
  return typed(
    layouts.reshape(takes.take(x, layouts.reshape(index, [length]), at), x.shape.toSpliced(at, 1, ...index.shape)),
  )
}

/** x with the slices at an index replaced, along an axis. @example put(cache, positions, keys, 2) */
export const put = <S extends Shape, D extends DType, N extends Dim, V extends Shape, const A extends number>(
  x: Tensor<S, D>,
  index: Tensor<readonly [N], 'i32'>,
  values: Tensor<V, D> & PutError<S, readonly [N], V, NoInfer<A>>,
  axis: A,
): Tensor<S, D> => typed(takes.put(x, index, values, positions('put', x.shape, axis)[0]!))
