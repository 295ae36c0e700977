import { count, nf4Block, packedFault, type Quantization } from '../../tensor/index.ts'
import { blockScales, dequantizeNF4 } from '../../tune/index.ts'
import { SessionError } from '../device.ts'
import { attributesOf, type Call } from './lowering.ts'
import type { Heap, Kernels } from './wasm/index.ts'

interface Surroundings {
  readonly heap: Heap
  readonly kernels: Kernels
  /** The offset of `length` f32 that are valid until the next request. */
  readonly scratchFor: (length: number) => number
}

/**
 * Plans the unpacking of a matrix: whole blocks by a kernel, and the rest of the last one here. Quantized scales are
 * unpacked first.
 */
export const dequantizing = (
  { node, inputs, output: { sizes } }: Call,
  { heap, kernels, scratchFor }: Surroundings,
) => {
  const { double } = attributesOf<Quantization>(node)
  const fault = packedFault(
    sizes,
    inputs.map(input => input.sizes),
    double,
  )
  if (fault !== undefined) throw new SessionError(fault)
  const n = count(sizes)
  const whole = Math.floor(n / nf4Block)
  const rest = n % nf4Block
  const lengths = inputs.map(input => count(input.sizes))
  const words = lengths[0]!
  /** A part of the heap, valid until something is allocated. */
  const floats = (at: number, length: number): Float32Array => heap.views().f32.subarray(at / 4, at / 4 + length)
  const integers = (at: number, length: number): Int32Array => heap.views().i32.subarray(at / 4, at / 4 + length)
  const scalesAt = ([codes, scales, nested, offset]: readonly number[]): number => {
    if (!double) return scales!
    const at = scratchFor(words / 8)
    floats(at, words / 8).set(
      blockScales({
        codes: integers(codes!, words),
        absmax_codes: integers(scales!, lengths[1]!),
        nested_absmax: floats(nested!, lengths[2]!),
        nested_offset: floats(offset!, 1),
      }),
    )
    return at
  }
  return (at: readonly number[], out: number): void => {
    const [codes] = at as readonly [number]
    const absmax = scalesAt(at)
    kernels.dequantizeNF4(codes, absmax, out, whole)
    if (rest > 0)
      floats(out + 4 * whole * nf4Block, rest).set(
        dequantizeNF4({ codes: integers(codes + 32 * whole, 8), absmax: floats(absmax + 4 * whole, 1) }, rest),
      )
  }
}
