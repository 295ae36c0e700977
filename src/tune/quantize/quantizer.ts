import { dequantize, f32, i32, type Node, type PackedNodes, type Shape } from '../../tensor/index.ts'
import { dequantizeNF4, quantizeNF4, type PackedNF4 } from './nf4.ts'

/** Vectors that a matrix is packed in, by name. */
export type PackedArrays = Readonly<Record<string, Int32Array | Float32Array>>

/** A way to keep frozen matrices in few bits: how one is packed on the host, and what it is to a program. */
export interface Quantizer {
  readonly name: string
  /** The leaves that a matrix of this shape is packed in. */
  readonly leaves: (shape: Shape) => Readonly<Record<string, Node>>
  /** The matrix of a shape that leaves stand for. */
  readonly dequantize: (shape: Shape, leaves: Readonly<Record<string, Node>>) => Node
  readonly quantize: (matrix: Float32Array) => PackedArrays
  /** The so many numbers that the vectors stand for. */
  readonly restore: (packed: PackedArrays, count: number) => Float32Array
}

/**
 * NormalFloat of 4 bits in blocks of 64 (QLoRA, Dettmers et al. 2023), as bitsandbytes has it: 4.5 bits a weight, or
 * with `double` quantization, where the scales of blocks are quantized too, 4.127.
 * @example quantized(nf4({ double: true }))(lora({ targets: ['q_proj'], rank: 8, seed: 0 }))
 */
export const nf4 = ({ double }: { readonly double: boolean }): Quantizer => ({
  name: 'nf4',
  leaves: shape => {
    // sizes are bound when data arrives: matrices of one shape are packed alike
    const of = shape.join('_').replaceAll('*', '_by_')
    return {
      codes: i32(`nf4_codes_${of}`),
      ...(double
        ? {
            absmax_codes: i32(`nf4_absmax_codes_${of}`),
            nested_absmax: f32(`nf4_nested_absmax_${of}`),
            nested_offset: f32(1),
          }
        : { absmax: f32(`nf4_absmax_${of}`) }),
    }
  },
  // the leaves are those that `leaves` made
  dequantize: (shape, leaves) => dequantize(shape, leaves as unknown as PackedNodes),
  quantize: matrix => quantizeNF4(matrix, { double }),
  // the vectors are those that `quantize` made
  restore: (packed, count) => dequantizeNF4(packed as unknown as PackedNF4, count),
})
