import { dynamicMap, nf4Block, nf4Codebook, nf4NestedBlock, type Quantization } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { GraphLowering, Kernel } from './lowering.ts'
import { shapeOf, sizeRef, vectorOf, type Size } from './sizes.ts'
import type { FloatType } from './types.ts'

const integer = (body: Body, value: number): Ref => body.constant(value, 'i32')
const reshaped = (body: Body, x: Ref, sizes: readonly number[]): Ref =>
  body.apply('Reshape', [x, body.constant(sizes, 'i32')])
const gathered = (body: Body, table: Ref, index: Ref): Ref => body.apply('GatherV2', [table, index, integer(body, 0)])

/** Extracts every field of every word; the shifts are broadcast over the words. */
const fields = (body: Body, words: Ref, width: number, sizes: readonly number[]): Ref => {
  const shifts = body.constant(
    Array.from({ length: 32 / width }, (_, i) => i * width),
    'i32',
    sizes,
  )
  return body.apply('BitwiseAnd', [body.apply('RightShift', [words, shifts]), integer(body, 2 ** width - 1)])
}

/** Decodes codes: by a table or, in a kernel, where that is faster, by selecting between numbers. */
type Look = (body: Body, codes: Ref) => Ref
const looked: Look = (body, codes) => gathered(body, body.constant(nf4Codebook, 'f32'), codes)
const chosen: Look = (body, codes) =>
  nf4Codebook
    .slice(1)
    .reduce(
      (below, value, i) =>
        body.apply('SelectV2', [
          body.apply('LessEqual', [integer(body, i + 1), codes]),
          body.constant(value, 'f32'),
          below,
        ]),
      body.constant(nf4Codebook[0]!, 'f32'),
    )

/** The scales of blocks if they are quantized: a multiple of four of them. */
const nestedScales = (body: Body, [codes, absmax, offset]: readonly Ref[]): Ref => {
  const bytes = reshaped(body, fields(body, reshaped(body, codes!, [-1, 1]), 8, [4]), [-1])
  const count = gathered(body, body.apply('Shape', [bytes]), integer(body, 0))
  const block = body.apply('FloorDiv', [
    body.apply('Range', [integer(body, 0), count, integer(body, 1)]),
    integer(body, nf4NestedBlock),
  ])
  const scale = gathered(body, absmax!, block)
  return body.apply('AddV2', [
    body.apply('Mul', [gathered(body, body.constant(dynamicMap, 'f32'), bytes), scale]),
    offset!,
  ])
}

/**
 * The flattened matrix, including the padding of its last block: a block is `[8, 8]`, one field of eight words after
 * the other.
 */
const unpacked =
  (look: Look, type: FloatType) =>
  (body: Body, [codes, absmax]: readonly Ref[]): Ref => {
    const numbers = look(body, fields(body, reshaped(body, codes!, [-1, 1, 8]), 4, [8, 1]))
    return reshaped(body, body.cast(body.apply('Mul', [numbers, reshaped(body, absmax!, [-1, 1, 1])]), type), [-1])
  }

/**
 * Unpacks a matrix in the type of products. If something compiles it, it is one kernel that allocates nothing else of
 * the matrix's size.
 */
export const dequantize: GraphLowering = (node, [codes, ...packed], emit) => {
  const { body, compute, size } = emit
  const { double } = node.attributes as Quantization
  const floats = packed.map(x => (x.type === 'i32' ? x : emit.cast(x, 'f32')))
  const kernel: Kernel = emit.kernel ?? ((_, inputs, write) => write(body, inputs))
  const sizes = node.shape.map(size)
  const n = sizes.reduce<Size>(
    (a, b) => (typeof a === 'number' && typeof b === 'number' ? a * b : times(body, a, b)),
    1,
  )
  const filled = (length: Size, per: number): boolean => typeof length === 'number' && length % per === 0
  const scales = double ? kernel('nf4Scales', floats, nestedScales) : floats[0]!
  // four scales to a word: the last word may hold more scales than there are blocks
  const absmax = !double || filled(n, 4 * nf4Block) ? scales : first(body, scales, blocksOf(body, n))
  const flat = kernel('nf4', [codes!, absmax], unpacked(emit.kernel ? chosen : looked, compute))
  return body.apply('Reshape', [filled(n, nf4Block) ? flat : first(body, flat, n), shapeOf(node.shape, emit)])
}

const times = (body: Body, a: Size, b: Size): Ref => body.apply('Mul', [sizeRef(body, a), sizeRef(body, b)])
const blocksOf = (body: Body, n: Size): Size =>
  typeof n === 'number'
    ? Math.ceil(n / nf4Block)
    : body.apply('FloorDiv', [body.apply('AddV2', [n, integer(body, nf4Block - 1)]), integer(body, nf4Block)])
const first = (body: Body, x: Ref, n: Size): Ref =>
  body.apply('Slice', [x, body.constant([0], 'i32'), vectorOf(body, [n])])
