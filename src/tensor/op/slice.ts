import { isView, savesNothing } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { node, typed, type Along, type Bound, type Node, type NodeOf, type Op, type Tensor } from '../node.ts'
import { partsBeyond, partsDiffer } from '../misfit.ts'
import { isSmooth } from '../facets.ts'
import { around, numbers } from '../numbers.ts'
import {
  concat as concatRule,
  show,
  slice as sliceRule,
  type Concat,
  type ConcatError,
  type Dim,
  type Ok,
  type Same,
  type Shape,
  type ShapeError,
  type Slice as SliceShape,
  type SliceError,
} from '../shape/index.ts'
import type { DType } from '../value.ts'
import { positions } from './sum.ts'
import { typesFault } from './types.ts'

/** The start of a slice: the sum of the sizes of some dims, so that the second half of `2*half` begins after `half`. */
export type Start = readonly Dim[]
/** The number of elements before a slice. */
export const startOf = (start: Start, { size }: Pick<Bound, 'size'>): number =>
  start.reduce<number>((sum, dim) => sum + size(dim), 0)

/** The shape of a pad: the one of which its operand is a slice. */
const padRule = (shape: Shape, axis: number, dim: Dim, start: Start): E.Either<string, Shape> => {
  const padded = shape.map((d, i) => (i === axis ? dim : d))
  const part = shape[axis]
  if (part === undefined) return E.left(`pad: axis ${axis} is out of range for ${show(shape)}`)
  return pipe(
    sliceRule(padded, axis, part, start),
    E.mapLeft(text => text.replace(/^slice:/, 'pad:')),
    E.map(() => padded),
  )
}

/** Cuts every input along the axis, unless parts are cut or joined along it. */
const alongOthers = ({ attributes, inputs }: NodeOf<{ readonly axis: number }>, axis: number): Along | undefined =>
  axis === attributes.axis ? undefined : inputs.map(() => axis)

/** The axis of a slice, and the part of it. */
export interface SliceAttributes {
  readonly axis: number
  readonly start: Start
  readonly dim: Dim
}

/** y = x[…, start : start + dim, …]                     dx: dy, padded with zeros */
export const sliceOp: Op<SliceAttributes> = {
  name: 'slice',
  shape: ([x], { axis, start, dim }) =>
    pipe(
      sliceRule(x!.shape, axis, dim, start),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: (_, { axis, start, dim }, { size, inputs: [x] }) =>
    partsBeyond('slice', [...start, dim], x!.shape[axis]!, size),
  eval: ([x], { axis, start }, bound) => {
    const [, from, inner] = around(x!.sizes, axis)
    const size = bound.sizes[axis]!
    const begin = startOf(start, bound)
    return numbers(
      bound.sizes,
      i =>
        x!.data[
          (Math.floor(i / (size * inner)) * from + begin + (Math.floor(i / inner) % size)) * inner + (i % inner)
        ]!,
    )
  },
  vjp: ({ inputs: [x], attributes: { axis, start } }, dy) => [parts.pad(dy, axis, { as: x!.shape[axis]!, start })],
  flops: () => 0,
  kind: 'movement',
  along: alongOthers,
  dims: ({ start, dim }) => [...start, dim],
  smooth: isSmooth,
  cheap: true,
  autograd: isView,
}

/** Zeros of size dim along an axis, with x from start on                            dx: that slice of dy */
export const padOp: Op<SliceAttributes> = {
  name: 'pad',
  shape: ([x], { axis, dim, start }) =>
    pipe(
      padRule(x!.shape, axis, dim, start),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: (_, { axis, start, dim }, { size, inputs: [x] }) =>
    partsBeyond('pad', [...start, x!.shape[axis]!], dim, size),
  eval: ([x], { axis, start }, bound) => {
    const y = numbers(bound.sizes, () => 0)
    const [, size, inner] = around(x!.sizes, axis)
    const to = bound.sizes[axis]!
    const begin = startOf(start, bound)
    x!.data.forEach((v, i) => {
      y.data[(Math.floor(i / (size * inner)) * to + begin + (Math.floor(i / inner) % size)) * inner + (i % inner)] = v
    })
    return y
  },
  vjp: ({ inputs: [x], attributes: { axis, start } }, dy) => [parts.slice(dy, axis, { as: x!.shape[axis]!, start })],
  flops: () => 0,
  kind: 'movement',
  along: alongOthers,
  dims: ({ start, dim }) => [...start, dim],
  smooth: isSmooth,
  cheap: true,
  autograd: savesNothing,
}

/** Inputs concatenated along an axis; the sum of their dims has a name. dx: slices of dy */
export const concatOp: Op<{ readonly axis: number; readonly dim: Dim }> = {
  name: 'concat',
  shape: (inputs, { axis, dim }) =>
    pipe(
      concatRule(
        inputs.map(x => x.shape),
        axis,
        dim,
      ),
      E.tap(() => typesFault('concat', inputs, ['f32', 'i32', 'bool'])),
      E.map(shape => ({ shape, dtype: inputs[0]!.dtype })),
    ),
  misfit: (_, { axis, dim }, { size, inputs }) =>
    partsDiffer(
      'concat',
      inputs.map(x => x.shape[axis]!),
      dim,
      size,
    ),
  eval: (inputs, { axis }, { sizes }) => {
    const y = numbers(sizes, () => 0)
    const [outer, to, inner] = around(sizes, axis)
    let begin = 0
    for (const x of inputs) {
      const block = x.sizes[axis]! * inner
      for (let o = 0; o < outer; o++) y.data.set(x.data.subarray(o * block, (o + 1) * block), (o * to + begin) * inner)
      begin += x.sizes[axis]!
    }
    return y
  },
  vjp: ({ inputs, attributes: { axis } }, dy) =>
    inputs.map((x, i) =>
      parts.slice(dy, axis, { as: x.shape[axis]!, start: inputs.slice(0, i).map(before => before.shape[axis]!) }),
    ),
  flops: () => 0,
  kind: 'movement',
  along: alongOthers,
  dims: ({ dim }) => [dim],
  smooth: isSmooth,
  cheap: true,
  autograd: savesNothing,
}

/** A part of an axis: the name of its size, and the sizes before it. */
export interface Part {
  readonly as: Dim
  readonly start?: Start
}

/** The untyped verbs of parts of an axis. In a pad, `as` names the whole size. */
export const parts = {
  slice: (x: Node, axis: number, { as, start = [] }: Part): Node => node(sliceOp, [x], { axis, start, dim: as }),
  pad: (x: Node, axis: number, { as, start = [] }: Part): Node => node(padOp, [x], { axis, start, dim: as }),
  concat: (all: readonly Node[], axis: number, as: Dim): Node => node(concatOp, all, { axis, dim: as }),
}

/**
 * A contiguous part of an axis: `as` names its size, `start` the sizes before it.
 * @example slice(x, -1, { as: 'half', start: ['half'] })
 */
export const slice = <
  S extends Shape,
  D extends DType,
  const A extends number,
  const N extends Dim,
  const B extends Shape = readonly [],
>(
  x: Tensor<S, D> & SliceError<S, NoInfer<A>, NoInfer<N>, B>,
  axis: A,
  part: { readonly as: N; readonly start?: B },
): Tensor<Ok<SliceShape<S, A, N, B>, S>, D> => typed(parts.slice(x, positions('slice', x.shape, axis)[0]!, part))

/** `unknown`, or the reason why parts of two dtypes are refused. */
export type DTypesFault<T extends readonly Node[], Op extends string = 'concat'> = T extends readonly [
  infer A extends Node,
  infer B extends Node,
  ...infer Rest extends readonly Node[],
]
  ? Same<A['dtype'], B['dtype']> extends true
    ? DTypesFault<readonly [A, ...Rest], Op>
    : ShapeError<`${Op}: ${A['dtype']} and ${B['dtype']} differ: cast one`>
  : unknown

/** Concatenates tensors along an axis; `as` names the sum of their dims. @example concat([past, now], 0, 'tokens') */
export const concat = <const T extends readonly Node[], const A extends number, const N extends Dim>(
  all: T & ConcatError<{ readonly [K in keyof T]: T[K]['shape'] }, NoInfer<A>, NoInfer<N>> & DTypesFault<T>,
  axis: A,
  as: N,
): Tensor<
  Ok<Concat<{ readonly [K in keyof T]: T[K]['shape'] }, A, N>, T>,
  T[0] extends { readonly dtype: infer D extends DType } ? D : never
> => typed(parts.concat(all, positions('concat', all[0]!.shape, axis)[0]!, as))
