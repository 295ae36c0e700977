import * as E from '../../either/index.ts'
import {
  around,
  blockDims,
  blockMisfit,
  count,
  interpret,
  is,
  factors,
  node,
  opaque,
  rebuild,
  result,
  type Block,
  type Dim,
  type Node,
  type Numbers,
  type Op,
  type Shape,
} from '../../tensor/index.ts'

/** The dim of the rows of one piece inside the block: `rows`, or the remaining rows in the last piece. */
export const pieceDim = 'piece'

/** The way in which a result is assembled: the rows of the pieces concatenated, or their sum. */
export type Whole = { readonly kind: 'rows'; readonly axis: number } | { readonly kind: 'sum' }

/** A block that is called on a limited number of rows at a time. */
export interface Chunk {
  readonly block: Block
  /** The dim of the rows. */
  readonly dim: Dim
  /** The most rows of one piece. */
  readonly rows: number
  /**
   * For each parameter of the block, the axis along which its input is cut into rows, or undefined if it receives the
   * whole input.
   */
  readonly inputs: readonly (number | undefined)[]
  /** For each output of the block, the way in which it is assembled. */
  readonly outputs: readonly Whole[]
}

const withDim = (shape: Shape, axis: number | undefined, dim: Dim): Shape =>
  axis === undefined ? shape : shape.with(axis, dim)

/** `length` rows of an array from `from` on, along an axis. */
export const rowsOf = (x: Numbers, axis: number, from: number, length: number): Numbers => {
  const [outer, size, inner] = around(x.sizes, axis)
  const data = new Float64Array(outer * length * inner)
  for (let o = 0; o < outer; o++)
    data.set(x.data.subarray((o * size + from) * inner, (o * size + from + length) * inner), o * length * inner)
  return { sizes: x.sizes.with(axis, length), data }
}

const joined = (pieces: readonly Numbers[], axis: number): Numbers => {
  const sizes = pieces[0]!.sizes.with(
    axis,
    pieces.reduce((sum, x) => sum + x.sizes[axis]!, 0),
  )
  const [outer, size, inner] = around(sizes, axis)
  const data = new Float64Array(count(sizes))
  let from = 0
  for (const x of pieces) {
    const length = x.sizes[axis]! * inner
    for (let o = 0; o < outer; o++) data.set(x.data.subarray(o * length, (o + 1) * length), (o * size + from) * inner)
    from += x.sizes[axis]!
  }
  return { sizes, data }
}

const added = (pieces: readonly Numbers[]): Numbers =>
  pieces.reduce((sum, x) => ({ sizes: sum.sizes, data: sum.data.map((v, i) => v + x.data[i]!) }))

/**
 * Calls of one block on the rows of its inputs, a piece at a time, so that a value as long as all rows together is
 * never whole. Its results are those of the block on all rows: concatenated rows, or sums over the pieces.
 */
export const chunkOp: Op<Chunk> = {
  name: 'chunk',
  shape: (inputs, { block, dim, inputs: axes }) => {
    const wrong = block.parameters.findIndex(
      (p, i) => withDim(p.shape, axes[i], dim).join() !== inputs[i]?.shape.join() || p.dtype !== inputs[i].dtype,
    )
    if (wrong < 0 && inputs.length === block.parameters.length) return E.right({ shape: [], dtype: 'f32' })
    const shapeOf = (x: Node | undefined): string => `[${x?.shape.join(', ') ?? ''}]`
    return E.left(
      `chunk ${block.name}: argument ${wrong} is ${shapeOf(inputs[wrong])}, and the parameter ${shapeOf(block.parameters[wrong])}`,
    )
  },
  misfit: (_, { block, dim, rows }, { size }) => {
    const all = size(dim)
    const pieces = [...new Set([Math.min(rows, all), all % rows || Math.min(rows, all)])]
    return pieces
      .map(piece => blockMisfit(block, of => (of === pieceDim ? piece : size(of))))
      .find(text => text !== undefined)
  },
  eval: () => {
    throw new Error('a chunk has several results')
  },
  vjp: () => {
    throw new Error('a chunk is made after differentiation')
  },
  flops: () => 0,
  ...opaque,
  dims: ({ block, dim }) => [
    dim,
    ...blockDims(block)
      .flatMap(factors)
      .filter(factor => factor !== pieceDim),
  ],
  several: {
    signatures: ({ block, dim, outputs }) =>
      block.outputs.map(({ shape, dtype }, k) => {
        const whole = outputs[k]!
        return { shape: whole.kind === 'rows' ? withDim(shape, whole.axis, dim) : shape, dtype }
      }),
    eval: (inputs, { block, dim, rows, inputs: axes, outputs }, size) => {
      const total = size(dim)
      const pieces: (readonly Numbers[])[] = []
      for (let from = 0; from < total; from += rows) {
        const length = Math.min(rows, total - from)
        const given = block.parameters.map((p, i): readonly [Node, Numbers] => {
          const axis = axes[i]
          return [p, axis === undefined ? inputs[i]! : rowsOf(inputs[i]!, axis, from, length)]
        })
        pieces.push(interpret(block.outputs, new Map(given), of => (of === pieceDim ? length : size(of))))
      }
      return outputs.map((whole, k) => {
        const found = pieces.map(results => results[k]!)
        return whole.kind === 'rows' ? joined(found, whole.axis) : added(found)
      })
    },
  },
}

/** The results of a chunk. */
export const chunkResults = (chunk: Chunk, inputs: readonly Node[]): readonly Node[] => {
  const application = node(chunkOp, inputs, chunk)
  return chunk.outputs.map((_, k) => result(application, k))
}

/** Replaces the block of every chunk by a changed one. */
export const mapChunks = (roots: readonly Node[], change: (block: Block) => Block): readonly Node[] =>
  roots.map(
    rebuild(roots, rebuilt =>
      is(rebuilt, chunkOp)
        ? node(chunkOp, rebuilt.inputs, { ...rebuilt.attributes, block: change(rebuilt.attributes.block) })
        : rebuilt,
    ),
  )
