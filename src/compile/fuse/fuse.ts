import {
  call,
  placeholder,
  structureOf,
  substitute,
  topological,
  walk,
  withInputs,
  type Block,
  type Dim,
  type Node,
} from '../../tensor/index.ts'
import { besides } from './beside.ts'
import { clustersOf } from './clusters.ts'
import { isInline, isMovement, isRowWise, sameRows, withoutBroadcasts } from './fusible.ts'

/** The facts that fusing needs. */
export interface Fusing {
  /** Tests for dims whose size the model fixes: a kernel may hold constants of such sizes. */
  readonly isStaticDim: (dim: Dim) => boolean
  /**
   * Tests for nodes that may be in a kernel: false for those that a target runs by itself. A node that is not row-wise
   * is in no kernel anyway.
   */
  readonly fusible?: (n: Node) => boolean
  /**
   * Tests for nodes of so few numbers that kernels of them are joined into one, if none depends on another; without
   * it, none are.
   */
  readonly isSmall?: (n: Node) => boolean
  /** Fused blocks made so far, by their structure: several bodies that are given the same map share their kernels. */
  readonly blocks?: Map<string, Block>
}

/** Nodes that run as one kernel: the nodes that they read from outside, and those that are read outside. */
interface Cluster {
  readonly inputs: readonly Node[]
  readonly outputs: readonly Node[]
  readonly members: readonly Node[]
}

/**
 * Fuses neighbouring elementwise and row-wise nodes of one body into blocks marked `fused`, each called in their place:
 * values that live only inside are never written to memory. Neighbours are fused along edges from producer to consumer
 * that go over the same rows. A composite becomes a block even alone; a single plain op stays as it is. Called blocks
 * are not changed. Equal clusters share one block.
 * @example fused([rmsNorm(add(x, y), g)], { isStaticDim: dim => dim === 'hidden' }) // one call, of a block with the sum and the norm
 */
export const fused = (
  roots: readonly Node[],
  { isStaticDim, fusible = () => true, isSmall = () => false, blocks = new Map<string, Block>() }: Fusing,
): readonly Node[] => {
  const lean = withoutBroadcasts(roots)
  const order = topological(lean)
  const isFusible = new Map(order.map(n => [n, isRowWise(n, isStaticDim) && fusible(n)]))
  const inline = new Set(order.filter(n => isInline(n, isStaticDim)))
  const behind = (n: Node): readonly Node[] => (inline.has(n) ? n.inputs.flatMap(behind) : [n])
  const reads = (n: Node): readonly Node[] => (isFusible.get(n) === true ? n.inputs.flatMap(behind) : n.inputs)
  const joins = (producer: Node, consumer: Node): boolean =>
    isFusible.get(producer) === true &&
    isFusible.get(consumer) === true &&
    consumer.inputs.every(read => !behind(read).includes(producer) || sameRows(producer, read, consumer))

  const isWorthwhile = (members: readonly Node[]): boolean =>
    isFusible.get(members[0]!) === true &&
    members.some(n => n.op.expand !== undefined || (members.length > 1 && !isMovement(n)))
  const alone = clustersWith(order, reads, joins, isWorthwhile).filter(isWorthwhile)
  const worthwhile = besides(alone, order, reads, isSmall)
  const clusterOf = new Map(
    worthwhile.flatMap(members => members.map((n): readonly [Node, readonly Node[]] => [n, members])),
  )
  // the nodes that need a value of their own: an inline node only if a node outside all clusters reads it
  const needed = new Set<Node>(lean)
  for (const n of order.toReversed()) {
    const own = clusterOf.get(n)
    if (own || needed.has(n))
      for (const read of own ? reads(n) : n.inputs) if (!own || clusterOf.get(read) !== own) needed.add(read)
  }
  return withCalls(
    lean,
    order.filter(n => needed.has(n)),
    worthwhile.map(members => clusterFrom(members, n => needed.has(n), behind)),
    blocks,
  )
}

/**
 * Clusters in which no join that is not worth a kernel has prevented one that is: movements that were joined first may
 * block a worthwhile join, so they are taken apart and the rest is tried again.
 */
const clustersWith = (
  order: readonly Node[],
  reads: (n: Node) => readonly Node[],
  joins: (producer: Node, consumer: Node) => boolean,
  isWorthwhile: (members: readonly Node[]) => boolean,
): readonly (readonly Node[])[] => {
  const clusters = clustersOf(order, reads, joins)
  const vain = clusters.filter(members => members.length > 1 && !isWorthwhile(members))
  if (vain.length === 0) return clusters
  const of = new Map(vain.flatMap(members => members.map((n): readonly [Node, readonly Node[]] => [n, members])))
  const apart = (producer: Node, consumer: Node): boolean => of.has(producer) && of.get(producer) === of.get(consumer)
  return clustersWith(order, reads, (a, b) => !apart(a, b) && joins(a, b), isWorthwhile)
}

const clusterFrom = (
  members: readonly Node[],
  isNeeded: (n: Node) => boolean,
  behind: (n: Node) => readonly Node[],
): Cluster => {
  const inside = new Set(members)
  const outputs = members.filter(isNeeded)
  const outside = new Set(members.flatMap(n => n.inputs.flatMap(behind)).filter(n => !inside.has(n)))
  return { members, outputs, inputs: walk(outputs, outside).filter(n => outside.has(n)) }
}

/** Replaces every cluster by a call. */
const withCalls = (
  roots: readonly Node[],
  needed: readonly Node[],
  clusters: readonly Cluster[],
  blocks: Map<string, Block>,
): readonly Node[] => {
  const clusterOf = new Map(
    clusters.flatMap(cluster => cluster.members.map((n): readonly [Node, Cluster] => [n, cluster])),
  )
  const made = new Map<Node, Node>()
  const make = (n: Node): Node => {
    const known = made.get(n)
    const cluster = clusterOf.get(n)
    if (known) return known
    if (cluster) {
      const results = call(blockFor(cluster, blocks), cluster.inputs.map(make))
      cluster.outputs.forEach((output, i) => made.set(output, results[i]!))
    } else made.set(n, withInputs(n, n.inputs.map(make)))
    return made.get(n)!
  }
  // inputs first, so that the recursion of `make` is never deeper than the inputs that a cluster has in addition to
  // those of its first member
  needed.forEach(make)
  return roots.map(make)
}

/** The block of a cluster: the first one of its structure. */
const blockFor = ({ inputs, outputs }: Cluster, blocks: Map<string, Block>): Block => {
  const structure = structureOf(outputs, inputs)
  const known = blocks.get(structure)
  if (known) return known
  const parameters = inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
  const made = substitute(outputs, new Map(inputs.map((input, i) => [input, parameters[i]!])))
  const block: Block = { name: `fused${blocks.size}`, parameters, outputs: made, fused: true }
  blocks.set(structure, block)
  return block
}
