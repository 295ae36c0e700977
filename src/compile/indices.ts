import {
  bodyOf,
  broadcastToOp,
  concatOp,
  interpret,
  is,
  nonzeroOp,
  placeholderOp,
  reshapeOp,
  sized,
  stopGradientOp,
  topological,
  transposeOp,
  type Dim,
  type Node,
  type Numbers,
} from '../tensor/index.ts'

/** Tests for ops whose result has every element of their operands, and no other. */
const keepsAll = (n: Node): boolean =>
  is(n, reshapeOp) || is(n, transposeOp) || is(n, broadcastToOp) || is(n, concatOp) || is(n, stopGradientOp)

/** A leaf that is used directly as an index, and a dim that all its elements must lie within. */
export interface Indexed {
  readonly leaf: Node
  readonly within: Dim
}

/**
 * The leaves of a batch that expressions use directly as indices, so that their data can be refused before anything
 * runs.
 * @example indexedBy([loss.sum], [input_ids, labels]) is [{ leaf: input_ids, within: 'vocab' }]
 */
export const indexedBy = (roots: readonly Node[], leaves: readonly Node[]): readonly Indexed[] => {
  const found = new Map<string, Indexed>()
  const visit = (from: readonly Node[], given: ReadonlyMap<Node, readonly Node[]>): void => {
    const leavesOf = new Map(given)
    for (const n of topological(from)) {
      const of = n.inputs.map(input => leavesOf.get(input) ?? [])
      const block = bodyOf(n)
      if (keepsAll(n)) leavesOf.set(n, [...new Set(of.flat())])
      for (const { index, within } of n.op.indices?.(n.inputs, n.attributes) ?? []) {
        for (const leaf of of[index] ?? []) found.set(`${leaves.indexOf(leaf)} ${within}`, { leaf, within })
      }
      if (of.every(some => some.length === 0)) continue
      if (block) visit(block.outputs, new Map(block.parameters.map((p, i) => [p, of[i]!])))
      const expanded = n.op.expand?.(n.inputs, n.attributes)
      if (expanded) visit([expanded], leavesOf)
    }
  }
  visit(roots, new Map(leaves.map(leaf => [leaf, [leaf]])))
  return [...found.values()]
}

/** A vector that depends on a batch alone, and the dim that its nonzero elements must fit into. */
export interface CountedVector {
  readonly vector: Node
  readonly within: Dim
}

/**
 * The vectors whose nonzero positions expressions need, if the vectors depend on a batch alone, such as the mask of
 * scored tokens.
 */
export const countedBy = (roots: readonly Node[], leaves: readonly Node[]): readonly CountedVector[] =>
  topological(roots).flatMap((n): readonly CountedVector[] => {
    if (!is(n, nonzeroOp)) return []
    const [vector] = n.inputs as readonly [Node]
    const needs = topological([vector])
    return needs.every(of => bodyOf(of) === undefined && (!is(of, placeholderOp) || leaves.includes(of)))
      ? [{ vector, within: n.attributes.capacity }]
      : []
  })

/** The reason why a batch has more nonzero elements than the capacity, if it has: the op would drop the rest. */
export const overflowOf = (
  { vector, within }: CountedVector,
  feeds: ReadonlyMap<Node, Numbers>,
  size: (dim: Dim) => number,
): string | undefined => {
  const found = interpret([vector], feeds, size)[0]!.data.filter(v => v !== 0).length
  return found <= size(within) ? undefined : `nonzero: ${found} positions do not fit into ${sized(within, size)}`
}
