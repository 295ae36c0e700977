import { addOp, is, topological, type Node } from '../../tensor/index.ts'

const alike = (a: Node, b: Node): boolean => a.shape.join() === b.shape.join()

/** Sums of many terms, which are chains of additions in a program. */
export interface Sums {
  /** All terms of a chain, for its last addition. */
  readonly addends: (n: Node) => readonly Node[] | undefined
  /** The last addition of the chain that an addition belongs to. */
  readonly last: (n: Node) => Node | undefined
}

/** Finds the sums of more than two terms; an addition is a part of a chain only if nothing else reads it. */
export const sumsIn = (roots: readonly Node[]): Sums => {
  const order = topological(roots)
  const readers = new Map<Node, Node[]>()
  const isRoot = new Set(roots)
  for (const n of order) for (const input of n.inputs) readers.set(input, [...(readers.get(input) ?? []), n])
  const isPart = (n: Node, of: Node): boolean =>
    is(n, addOp) && alike(n, of) && readers.get(n)!.length === 1 && !isRoot.has(n)
  const addends = new Map<Node, readonly Node[]>()
  const last = new Map<Node, Node>()
  for (const n of order.toReversed()) {
    if (!is(n, addOp) || last.has(n) || !n.inputs.every(input => alike(input, n))) continue
    const parts: Node[] = []
    const flatten = (part: Node): readonly Node[] => {
      if (part !== n && (!isPart(part, n) || !part.inputs.every(input => alike(input, n)))) return [part]
      parts.push(part)
      return part.inputs.flatMap(flatten)
    }
    const found = flatten(n)
    if (found.length < 3) continue
    addends.set(n, found)
    for (const part of parts) last.set(part, n)
  }
  return { addends: n => addends.get(n), last: n => last.get(n) }
}
