import { dequantize, f32, i32, type Node, type PackedNodes, type Shape } from '../../tensor/index.ts'
import { dequantizeNF4, quantizeNF4, type PackedNF4 } from './nf4.ts'

/** The vectors that a matrix is packed into, by name. */
export type PackedArrays = Readonly<Record<string, Int32Array | Float32Array>>

/**
 * A way to store frozen matrices in few bits: how the host packs one, and the expression that unpacks it in a program.
 */
export interface Quantizer {
  readonly name: string
  /** The leaves that a matrix of this shape is packed into. */
  readonly leaves: (shape: Shape) => Readonly<Record<string, Node>>
  /** The matrix of this shape that the leaves represent. */
  readonly dequantize: (shape: Shape, leaves: Readonly<Record<string, Node>>) => Node
  readonly quantize: (matrix: Float32Array) => PackedArrays
  /** The first `count` values that the packed vectors decode to. */
  readonly restore: (packed: PackedArrays, count: number) => Float32Array
}

/**
 * NormalFloat of 4 bits in blocks of 64 (QLoRA, Dettmers et al. 2023), as in bitsandbytes: 4.5 bits per weight, or
 * 4.127 with `double` quantization, which quantizes the scales of blocks too.
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
  // the leaves were made by `leaves`
  dequantize: (shape, leaves) => dequantize(shape, leaves as unknown as PackedNodes),
  quantize: matrix => quantizeNF4(matrix, { double }),
  // the vectors were made by `quantize`
  restore: (packed, count) => dequantizeNF4(packed as unknown as PackedNF4, count),
})
