import {
  call,
  is,
  placeholder,
  rebuild,
  resultOp,
  substitute,
  u,
  type Block,
  type Dim,
  type Node,
  type NodeOf,
} from '../../tensor/index.ts'
import { chunkOp, pieceDim, type Chunk } from './op.ts'

/**
 * Writes chunks as one call of their block for each piece, for targets whose plans know all sizes. Each call adds its
 * sums to those of the calls before, so that they run one after the other, and each frees what it computed.
 * @example inCalls(chunked(outputs, chunking), size)
 */
export const inCalls = (roots: readonly Node[], size: (dim: Dim) => number): readonly Node[] => {
  const results = new Map<Node, readonly Node[]>()
  return roots.map(
    rebuild(roots, rebuilt => {
      if (is(rebuilt, chunkOp)) results.set(rebuilt, resultsOf(rebuilt, size))
      const made = is(rebuilt, resultOp) ? results.get(rebuilt.inputs[0]!) : undefined
      return made && is(rebuilt, resultOp) ? made[rebuilt.attributes.index]! : rebuilt
    }),
  )
}

const resultsOf = ({ attributes, inputs }: NodeOf<Chunk>, size: (dim: Dim) => number): readonly Node[] => {
  const { dim, rows, inputs: axes, outputs } = attributes
  const total = size(dim)
  const pieces: (readonly Node[])[] = []
  const blocks = new Map<string, Block>()
  for (let from = 0; from < total; from += rows) {
    const length = Math.min(rows, total - from)
    const before = pieces.at(-1)
    const key = `${length} ${before === undefined}`
    const block = blocks.get(key) ?? pieceOf(attributes, length, before !== undefined)
    blocks.set(key, block)
    const given = inputs.map((input, i) =>
      axes[i] === undefined ? input : u.slice(input, axes[i], { as: length, start: from === 0 ? [] : [from] }),
    )
    const sums = before?.filter((_, k) => outputs[k]!.kind === 'sum') ?? []
    pieces.push(call(block, [...given, ...sums]))
  }
  return outputs.map((whole, k) =>
    whole.kind === 'sum'
      ? pieces.at(-1)![k]!
      : u.concat(
          pieces.map(piece => piece[k]!),
          whole.axis,
          dim,
        ),
  )
}

/** The block for a piece of some length. After the first piece it also takes the sums so far, and adds its own. */
const pieceOf = ({ block, outputs }: Chunk, length: number, adds: boolean): Block => {
  const parameters = block.parameters.map(p =>
    p.shape.includes(pieceDim) ? placeholder(p.shape.with(p.shape.indexOf(pieceDim), length), p.dtype) : p,
  )
  const made = substitute(block.outputs, new Map(block.parameters.map((p, i) => [p, parameters[i]!])))
  const sums = made.map((output, k) =>
    adds && outputs[k]!.kind === 'sum' ? placeholder(output.shape, output.dtype) : undefined,
  )
  return {
    name: block.name,
    parameters: [...parameters, ...sums.flatMap(sum => sum ?? [])],
    outputs: made.map((output, k) => (sums[k] ? u.add(sums[k], output) : output)),
  }
}
