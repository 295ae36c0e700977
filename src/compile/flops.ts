import { bodyOf, is, loopOp, topological, type Dim, type Node } from '../tensor/index.ts'
import { chunkOp, pieceDim } from './chunk/index.ts'

type Size = (dim: Dim) => number

/** The operations of a node, with those of the block that it calls. */
export const flopsAt = (n: Node, size: Size): number => {
  if (is(n, chunkOp)) {
    const { block, dim, rows } = n.attributes
    const all = size(dim)
    const of = (piece: number): number => flopsOf(block.outputs, other => (other === pieceDim ? piece : size(other)))
    const rest = all % rows
    return Math.floor(all / rows) * (all < rows ? 0 : of(rows)) + (rest === 0 ? 0 : of(rest))
  }
  const body = bodyOf(n)
  if (body !== undefined) return flopsOf(body.outputs, size) * (is(n, loopOp) ? size(n.attributes.count) : 1)
  return n.op.flops(
    n.inputs.map(input => input.shape.map(size)),
    n.attributes,
    { sizes: n.shape.map(size), size, inputs: n.inputs },
  )
}

const known = new WeakMap<Size, WeakMap<readonly Node[], number>>()

/**
 * The floating-point operations of a program, with those of all blocks that it calls. Those of a block are counted
 * once, however many layers call it.
 * @example flopsOf(program.outputs, size)
 */
export const flopsOf = (roots: readonly Node[], size: Size): number => {
  const counted = known.get(size) ?? new WeakMap<readonly Node[], number>()
  known.set(size, counted)
  const sum = counted.get(roots) ?? topological(roots).reduce((all, n) => all + flopsAt(n, size), 0)
  counted.set(roots, sum)
  return sum
}
