import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, is, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { inOnePiece, isSmooth } from '../facets.ts'
import { sized } from '../misfit.ts'
import { numbers } from '../numbers.ts'
import type { Initializer } from '../init/initializer.ts'
import { checkShape, show, type Dim, type Shape, type ShapeFault } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { isInteger } from './integer.ts'

/** The declaration of a leaf. */
export interface Placeholder {
  readonly shape: Shape
  readonly dtype: DType
  /** The first values that are usual for the leaf, if its declaration knows them. */
  readonly usual?: Initializer
  /** The axis of a weight's inputs, if its declaration knows it: see {@link Kernel}. */
  readonly inputs?: number
  /** A leaf that a session itself feeds, because it draws random numbers: a key, or the number of a stream. */
  readonly draws?: 'key' | 'stream'
}

/** An input of a program: a leaf of a parameter tree or of a batch. Two placeholders are always different nodes. */
export const placeholderOp: Op<Placeholder> = {
  name: 'parameter',
  shape: (_, { shape, dtype }) =>
    pipe(
      checkShape(shape),
      E.map(() => ({ shape, dtype })),
    ),
  misfit: fitsByShape,
  eval: () => {
    throw new Error('a placeholder has no value of its own: bind it')
  },
  vjp: () => [],
  flops: () => 0,
  kind: 'other',
  along: inOnePiece,
  dims: ({ shape }) => shape,
  smooth: isSmooth,
}

/** A leaf with a shape and a dtype, which a run feeds. @example placeholder(['batch', 'seq'], 'i32') */
export const placeholder = (shape: Shape, dtype: DType, usual?: Initializer): Node =>
  node(placeholderOp, [], { shape, dtype, ...(usual === undefined ? {} : { usual }) })

declare const inputsOf: unique symbol
/**
 * A weight whose inputs are along its axis A, not along the first one, as those of a convolution. No value has the key.
 */
export interface Kernel<S extends Shape, A extends number> extends Tensor<S> {
  readonly [inputsOf]: A
}
/** The axis of a weight's inputs, as a type: the first unless its declaration has another. */
export type InputsAxis<L> = L extends { readonly [inputsOf]: infer A extends number } ? A : 0
/**
 * The axis of a weight's inputs, its input features, as its declaration has it: the first one of a matrix `[in, out]`
 * or a vector; `undefined` for a leaf of more axes that declares none.
 * @example inputsAxis(nn.Conv2d(3, 'channels', { size: 3 }).weight) // 2
 */
export const inputsAxis = (leaf: Node): number | undefined =>
  (is(leaf, placeholderOp) ? leaf.attributes.inputs : undefined) ?? (leaf.shape.length > 2 ? undefined : 0)

/** Declares a float32 leaf. @example const up = f32('hidden', 'ffn') */
export const f32 = <const S extends Shape>(...shape: S & ShapeFault<S>): Tensor<Readonly<S>> =>
  typed(placeholder(shape, 'f32'))
/**
 * Declares a float32 leaf with the first values that are usual for it.
 * @example const gain = leaf(ones(), 'hidden')
 */
export const leaf = <const S extends Shape>(usual: Initializer, ...shape: S & ShapeFault<S>): Tensor<Readonly<S>> =>
  typed(placeholder(shape, 'f32', usual))
/**
 * Declares a float32 weight with its usual first values and the axis of its inputs.
 * @example const weight = kernel(heNormal(), 1, 'places', 'in', 'out')
 */
export const kernel = <const A extends number, const S extends Shape>(
  usual: Initializer,
  inputs: A,
  ...shape: S & ShapeFault<S>
): Kernel<Readonly<S>, A> =>
  // the axis is a fact of the declaration, which the type repeats
  node(placeholderOp, [], { shape, dtype: 'f32', usual, inputs }) as Node as Kernel<Readonly<S>, A>
/** Declares an int32 leaf. @example const labels = i32('batch', 'seq') */
export const i32 = <const S extends Shape>(...shape: S & ShapeFault<S>): Tensor<Readonly<S>, 'i32'> =>
  typed(placeholder(shape, 'i32'))

/** A number that is known while tracing, or a vector of numbers along a dim. */
export const constantOp: Op<{
  readonly value: number | readonly number[]
  readonly shape: Shape
  readonly dtype: DType
}> = {
  name: 'constant',
  shape: (_, { shape, dtype, value }) => {
    const numbers = typeof value === 'number' ? [value] : value
    const wrong = dtype === 'i32' ? numbers.find(x => !isInteger(x)) : undefined
    return wrong !== undefined
      ? E.left(`constant: ${wrong} is no 32-bit integer`)
      : typeof value === 'number' || shape.length === 1
        ? pipe(
            checkShape(shape),
            E.map(() => ({ shape, dtype })),
          )
        : E.left(`constant: ${value.length} numbers are along one dim, not along ${show(shape)}`)
  },
  misfit: (_, { value, shape: [dim = 1] }, { size }) =>
    typeof value === 'number' || value.length === size(dim)
      ? undefined
      : `constant: there are ${value.length} numbers for ${sized(dim, size)}`,
  eval: (_, { value }, { sizes }) => numbers(sizes, i => (typeof value === 'number' ? value : value[i]!)),
  vjp: () => [],
  flops: () => 0,
  kind: 'source',
  along: ({ attributes: { value } }) => (typeof value === 'number' ? [] : undefined),
  dims: ({ shape }) => shape,
  smooth: isSmooth,
  cheap: true,
}

/** A float32 scalar. @example mul(x, scalar(0.5)) */
export const scalar = (value: number): Tensor<readonly []> =>
  typed(node(constantOp, [], { value, shape: [], dtype: 'f32' }))
/** An int32 scalar. @example add(iota('seq'), integer(1)) */
export const integer = (value: number): Tensor<readonly [], 'i32'> =>
  typed(node(constantOp, [], { value, shape: [], dtype: 'i32' }))

/** One dim as arguments: `tsc` can check a tuple of dims where it cannot check a dim that may be a type parameter. */
export type OneDim = readonly [dim: Dim]

/** Numbers along a dim. @example vector([1, 0.1, 0.01], 'half') */
export const vector = <const N extends OneDim>(
  value: readonly number[],
  ...shape: N & ShapeFault<N>
): Tensor<Readonly<N>> => typed(node(constantOp, [], { value, shape, dtype: 'f32' }))

/** The size of a dim, known once dims are bound, such as the divisor of a mean. */
export const sizeOp: Op<{ readonly dims: Shape }> = {
  name: 'size',
  shape: (_, { dims }) =>
    pipe(
      checkShape(dims),
      E.map(() => ({ shape: [], dtype: 'f32' })),
    ),
  misfit: fitsByShape,
  eval: (_, { dims }, { size }) => numbers([], () => dims.reduce<number>((n, dim) => n * size(dim), 1)),
  vjp: () => [],
  flops: () => 0,
  kind: 'source',
  along: inOnePiece,
  dims: ({ dims }) => dims,
  smooth: isSmooth,
  cheap: true,
}

/** The product of the sizes of dims, as a float32 scalar. @example div(sum(x), size('hidden')) */
export const size = <const S extends Shape>(...dims: S & ShapeFault<S>): Tensor<readonly []> =>
  typed(node(sizeOp, [], { dims }))

/** 0, 1, 2, … along one dim. */
export const iotaOp: Op<{ readonly dim: Dim; readonly dtype: DType }> = {
  name: 'iota',
  shape: (_, { dim, dtype }) =>
    pipe(
      checkShape([dim]),
      E.map(shape => ({ shape, dtype })),
    ),
  misfit: fitsByShape,
  eval: (_, __, { sizes }) => numbers(sizes, i => i),
  vjp: () => [],
  flops: () => 0,
  kind: 'source',
  along: inOnePiece,
  dims: ({ dim }) => [dim],
  smooth: isSmooth,
  cheap: true,
}

/** 0, 1, 2, … as int32. @example iota('seq') */
export const iota = <const N extends OneDim>(...[dim]: N & ShapeFault<N>): Tensor<Readonly<N>, 'i32'> =>
  typed(node(iotaOp, [], { dim, dtype: 'i32' }))
/** 0, 1, 2, … as float32. @example mul(range('seq'), 0.1) */
export const range = <const N extends OneDim>(...[dim]: N & ShapeFault<N>): Tensor<Readonly<N>> =>
  typed(node(iotaOp, [], { dim, dtype: 'f32' }))

/** The untyped verbs of leaves. */
export const sources = {
  parameter: placeholder,
  constant: (value: number | readonly number[], shape: Shape = [], dtype: DType = 'f32'): Node =>
    node(constantOp, [], { value, shape, dtype }),
  size: (...dims: Shape): Node => node(sizeOp, [], { dims }),
  iota: (dim: Dim, dtype: DType = 'i32'): Node => node(iotaOp, [], { dim, dtype }),
}
