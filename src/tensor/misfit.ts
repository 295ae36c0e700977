import { topological, type Bound, type Node, type Op } from './node.ts'
import type { Dim, Shape } from './shape/index.ts'
import { showSum } from './shape/sum.ts'

type Size = Bound['size']

const sumOf = (parts: Shape, size: Size): number => parts.reduce<number>((sum, dim) => sum + size(dim), 0)

/** A dim with its size. @example sized('hidden', size) is 'hidden, which is 2' */
export const sized = (dim: Dim, size: Size): string =>
  typeof dim === 'number' ? String(dim) : `${dim}, which is ${size(dim)}`

/**
 * The reason why parts do not lie within a dim, if they do not.
 * @example partsBeyond('slice', ['half', 'half'], 'hidden', size) is 'slice: half + half, which is 6, is beyond hidden, which is 5'
 */
export const partsBeyond = (op: string, parts: Shape, dim: Dim, size: Size): string | undefined => {
  const end = sumOf(parts, size)
  const shown = showSum(parts)
  return end <= size(dim)
    ? undefined
    : `${op}: ${shown === String(end) ? shown : `${shown}, which is ${end},`} is beyond ${sized(dim, size)}`
}

/**
 * The reason why the sum of parts is not a dim, if it is not.
 * @example partsDiffer('concat', ['past', 'seq'], 'tokens', size) is 'concat: past + seq is 7, not tokens, which is 8'
 */
export const partsDiffer = (op: string, parts: Shape, dim: Dim, size: Size): string | undefined => {
  const sum = sumOf(parts, size)
  return sum === size(dim) ? undefined : `${op}: ${showSum(parts)} is ${sum}, not ${sized(dim, size)}`
}

/** The reason why a node does not fit the sizes of its dims, if it does not. */
export const misfitOf = (n: Node, size: Size): string | undefined => {
  // an op written in JavaScript may lack it
  const op: Partial<Pick<Op, 'misfit'>> = n.op
  return op.misfit?.(
    n.inputs.map(input => input.shape.map(size)),
    n.attributes,
    { sizes: n.shape.map(size), size, inputs: n.inputs },
  )
}

/**
 * The reason why some node does not fit the sizes of its dims, if one does not: that of the first such node, blocks
 * included.
 */
export const misfitIn = (roots: readonly Node[], size: Size): string | undefined => {
  for (const n of topological(roots)) {
    const text = misfitOf(n, size)
    if (text !== undefined) return text
  }
  return undefined
}
