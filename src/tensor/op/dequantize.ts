import * as E from '../../either/index.ts'
import { dynamicMap, nf4Block, nf4Codebook, nf4NestedBlock, nf4Place, packedLengths } from '../nf4.ts'
import { node, typed, type Node, type Numbers, type Op, type Tensor } from '../node.ts'
import { inOnePiece, isSmooth } from '../facets.ts'
import { numbers } from '../numbers.ts'
import { checkShape, type Shape, type ShapeFault } from '../shape/index.ts'
import { count, type DType } from '../value.ts'

/**
 * The packing of a matrix, and its shape: blocks run along the flattened `shape`. `double` is true if the scales are
 * quantized too.
 */
export interface Quantization {
  readonly scheme: 'nf4'
  readonly double: boolean
  readonly shape: Shape
}

/** The vectors that a matrix is packed into; their sizes are bound when data arrives. `nf4.ts` describes the layout. */
export type PackedNodes =
  | { readonly codes: Node; readonly absmax: Node }
  | { readonly codes: Node; readonly absmax_codes: Node; readonly nested_absmax: Node; readonly nested_offset: Node }

const inputs: { readonly [double: string]: readonly (readonly [name: string, dtype: DType])[] } = {
  false: [
    ['codes', 'i32'],
    ['absmax', 'f32'],
  ],
  true: [
    ['codes', 'i32'],
    ['absmax_codes', 'i32'],
    ['nested_absmax', 'f32'],
    ['nested_offset', 'f32'],
  ],
}

/** The fault in the sizes of the vectors that a matrix is packed into, if there is one. */
export const packedFault = (
  sizes: readonly number[],
  packed: readonly (readonly number[])[],
  double: boolean,
): string | undefined => {
  const { codes, blocks, absmaxCodes, nestedAbsmax } = packedLengths(count(sizes))
  const due = double ? [codes, absmaxCodes, nestedAbsmax, 1] : [codes, blocks]
  const wrong = due.findIndex((length, i) => packed[i]?.length !== 1 || packed[i][0] !== length)
  return wrong < 0
    ? undefined
    : `dequantize: ${sizes.join(' × ')} elements are packed in ${due[wrong]} ${inputs[String(double)]![wrong]![0]}, not in ${packed[wrong]?.join(' × ')}`
}

/** The scale of every block. */
const scalesOf = ([scales, nestedAbsmax, offset]: readonly Numbers[], double: boolean): ((block: number) => number) =>
  double
    ? block =>
        dynamicMap[(scales!.data[block >> 2]! >>> (8 * (block & 3))) & 255]! *
          nestedAbsmax!.data[Math.floor(block / nf4NestedBlock)]! +
        offset!.data[0]!
    : block => scales!.data[block]!

/** y = codebook[code] · absmax of the block. Packed matrices are frozen: no gradient flows back. */
export const dequantizeOp: Op<Quantization> = {
  name: 'dequantize',
  shape: (packed, { double, shape }) => {
    const due = inputs[String(double)]!
    const wrong = due.findIndex(([, dtype], i) => packed[i]?.shape.length !== 1 || packed[i].dtype !== dtype)
    return wrong < 0 && packed.length === due.length
      ? E.map(checkShape(shape), () => ({ shape, dtype: 'f32' }))
      : E.left(
          `dequantize: ${due[wrong]?.[0] ?? 'what is packed'} is [${packed[wrong]?.shape.join(', ')}] of ${packed[wrong]?.dtype}, not a vector of ${due[wrong]?.[1]}`,
        )
  },
  misfit: (packed, { double }, { sizes }) => packedFault(sizes, packed, double),
  eval: ([codes, ...scales], { double }, { sizes }) => {
    const scaleOf = scalesOf(scales, double)
    return numbers(sizes, i => {
      const { word, shift } = nf4Place(i)
      return nf4Codebook[(codes!.data[word]! >>> shift) & 15]! * scaleOf(Math.floor(i / nf4Block))
    })
  },
  vjp: () => [],
  flops: (_, __, { sizes }) => count(sizes),
  kind: 'other',
  along: inOnePiece,
  dims: ({ shape }) => shape,
  smooth: isSmooth,
  cheap: true,
  unpacks: true,
}

/**
 * Unpacks a matrix where it is used. The first argument is the shape that was packed (`[out, in]` for bitsandbytes'
 * weights). Throws `ShapeMismatch` if something packed is not a vector of its type.
 * @example const w = transpose(dequantize(['ffn', 'hidden'], { codes: i32('words'), absmax: f32('blocks') }), [1, 0])
 */
export const dequantize = <const S extends Shape>(shape: S & ShapeFault<S>, packed: PackedNodes): Tensor<S> => {
  const double = 'absmax_codes' in packed
  return typed(
    node(
      dequantizeOp,
      double
        ? [packed.codes, packed.absmax_codes, packed.nested_absmax, packed.nested_offset]
        : [packed.codes, packed.absmax],
      { scheme: 'nf4', double, shape },
    ),
  )
}
