import type { Node } from '../../tensor/index.ts'

interface Group {
  readonly members: Node[]
}

/**
 * Divides a graph into clusters: grows them along edges from producer to consumer, inputs before users, until no edge
 * can be added. An edge is not added if another path leads from one cluster to the other: joined, they would wait for a
 * node that waits for them.
 * @param order the nodes, inputs before users
 * @param reads the nodes that a node reads
 * @param joins tests whether a consumer and a node that it reads belong in one cluster
 */
export const clustersOf = (
  order: readonly Node[],
  reads: (n: Node) => readonly Node[],
  joins: (producer: Node, consumer: Node) => boolean,
): readonly (readonly Node[])[] => {
  const position = new Map(order.map((n, i) => [n, i]))
  const readers = new Map<Node, Node[]>(order.map(n => [n, []]))
  for (const n of order) for (const read of new Set(reads(n))) readers.get(read)!.push(n)
  const groupOf = new Map<Node, Group>(order.map(n => [n, { members: [n] }]))
  const after = (group: Group): readonly Group[] =>
    group.members.flatMap(n => readers.get(n)!.map(reader => groupOf.get(reader)!))

  /** Tests whether a path leads from one group to another through a third. */
  const hasDetour = (from: Group, to: Group): boolean => {
    const seen = new Set<Group>([from])
    const waiting = after(from).filter(group => group !== to)
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (next === to) return true
      if (seen.has(next)) continue
      seen.add(next)
      waiting.push(...after(next))
    }
    return false
  }
  const merge = (into: Group, from: Group): void => {
    for (const n of from.members) {
      into.members.push(n)
      groupOf.set(n, into)
    }
  }

  const edges = order.flatMap(consumer =>
    [...new Set(reads(consumer))]
      .filter(producer => joins(producer, consumer))
      .map(producer => ({ producer, consumer })),
  )
  // a growing cluster may absorb the very detour that prevented an earlier edge
  for (let left = edges, before = Infinity; left.length < before;) {
    before = left.length
    left = left.filter(({ producer, consumer }) => {
      const from = groupOf.get(producer)!
      const to = groupOf.get(consumer)!
      if (from === to) return false
      if (hasDetour(from, to)) return true
      merge(from, to)
      return false
    })
  }
  return [...new Set(groupOf.values())].map(({ members }) =>
    members.sort((a, b) => position.get(a)! - position.get(b)!),
  )
}
