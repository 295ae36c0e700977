import type { Node } from '../../tensor/index.ts'

type Cluster = readonly Node[]

/** All clusters, and nodes on their own, that a cluster is read by, directly or not. */
const after = (from: Cluster, next: (unit: Cluster) => readonly Cluster[]): ReadonlySet<Cluster> => {
  const seen = new Set<Cluster>()
  const waiting = [...next(from)]
  for (let unit = waiting.pop(); unit !== undefined; unit = waiting.pop()) {
    if (seen.has(unit)) continue
    seen.add(unit)
    waiting.push(...next(unit))
  }
  return seen
}

/**
 * Joins small clusters, such as the updates of biases, into one if none depends on another: to call a kernel takes
 * longer than what a small one computes.
 * @param order the nodes, inputs before users
 * @param reads the nodes that a node reads
 * @param isSmall tests for nodes of so few numbers
 */
export const besides = (
  clusters: readonly Cluster[],
  order: readonly Node[],
  reads: (n: Node) => readonly Node[],
  isSmall: (n: Node) => boolean,
): readonly Cluster[] => {
  const small = clusters.filter(members => members.every(isSmall))
  if (small.length < 2) return clusters
  const units = new Map(order.map((n): readonly [Node, Cluster] => [n, [n]]))
  for (const members of clusters) for (const n of members) units.set(n, members)
  const readers = new Map<Node, Node[]>(order.map(n => [n, []]))
  for (const n of order) for (const read of new Set(reads(n))) readers.get(read)?.push(n)
  const next = (unit: Cluster): readonly Cluster[] =>
    unit.flatMap(n => readers.get(n)!.map(reader => units.get(reader)!)).filter(other => other !== unit)
  const afterEach = new Map(small.map(members => [members, after(members, next)]))
  const together = small.reduce<readonly Cluster[]>(
    (chosen, members) =>
      chosen.every(other => !afterEach.get(other)!.has(members) && !afterEach.get(members)!.has(other))
        ? [...chosen, members]
        : chosen,
    [],
  )
  const joined = new Set(together.flat())
  const rest = clusters.filter(members => !joined.has(members[0]!))
  return [...rest, order.filter(n => joined.has(n))]
}
