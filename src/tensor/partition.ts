import { is, substitute, topological, type Node } from './node.ts'
import type { Block } from './op/call.ts'
import { placeholder } from './op/placeholder.ts'
import { reshapeOp } from './op/reshape.ts'

/** The options for dividing blocks into a forward and a backward half. */
export interface Partition {
  /** Simplifies outputs and gradients together, before the values to keep between the halves are chosen. */
  readonly optimise?: (roots: readonly Node[], block: Block) => readonly Node[]
  /** Tests which values may be recomputed (default: those of cheap ops). */
  readonly isCheap?: (node: Node) => boolean
  /** Among the values of a block and its gradients, those that both halves have without keeping them. */
  readonly atHand?: (roots: readonly Node[], block: Block) => ReadonlySet<Node>
  /** The bytes of a node's value: the cost of keeping it. */
  readonly bytes?: (node: Node) => number
  /**
   * The values that backward recomputes: none; cheap ones if that keeps fewer bytes (the default); or everything from
   * the block's inputs, which is gradient checkpointing.
   */
  readonly recompute?: 'none' | 'cheap' | 'all'
  /**
   * True if all calls of a block share one backward half, which computes every gradient that any of them needs, so that
   * layers stay alike.
   */
  readonly alike?: boolean
  cache?: WeakMap<Block, Map<string, Halves>>
}

/** A block's outputs and gradients as one expression, before it is divided. */
export interface Joint {
  readonly block: Block
  readonly indices: readonly Node[]
  readonly cotangents: readonly Node[]
  readonly outputs: readonly Node[]
  readonly gradients: readonly Node[]
}

export interface Halves {
  /** (parameters, indices) => (outputs, residuals) */
  readonly forward: Block
  /** (passed inputs, residuals, cotangents) => gradients */
  readonly backward: Block
  /** The inputs of the forward half that the backward half reads as well. */
  readonly passed: readonly number[]
  /** The results of the forward half that are residuals. */
  readonly residuals: readonly number[]
}

/**
 * Divides a block where its cotangents enter. Values that do not depend on a cotangent are forward; the forward values
 * that backward reads are kept between the two, or recomputed.
 */
export const halve = (joint: Joint, partition: Partition): Halves => {
  const { block, indices, cotangents } = joint
  const roots = (partition.optimise ?? (r => r))([...joint.outputs, ...joint.gradients], block)
  const outputs = roots.slice(0, joint.outputs.length)
  const gradients = roots.slice(joint.outputs.length)
  const inputs = [...block.parameters, ...indices]
  const isInput = new Set(inputs)

  const backward = new Set<Node>(cotangents)
  const order = topological(roots)
  const constant = new Set<Node>()
  for (const n of order) {
    if (n.inputs.some(input => backward.has(input))) backward.add(n)
    else if (!isInput.has(n) && n.inputs.every(input => constant.has(input))) constant.add(n)
  }
  const boundary = new Set<Node>(gradients.filter(g => !backward.has(g)))
  for (const n of order)
    if (backward.has(n)) for (const input of n.inputs) if (!backward.has(input)) boundary.add(input)

  const atHand = partition.atHand?.(roots, block)
  const free = (n: Node): boolean => isInput.has(n) || constant.has(n) || atHand?.has(n) === true
  // the same data with another shape is kept once
  const data = (n: Node): Node => (is(n, reshapeOp) && !free(n) ? data(n.inputs[0]!) : n)
  const kept = keep(
    [...new Set([...boundary].map(data))].filter(n => !free(n)),
    free,
    partition,
  )
  const substitutes = new Map(kept.map(n => [n, placeholder(n.shape, n.dtype)]))
  const finished = substitute(gradients, substitutes)
  const read = new Set(topological(finished))
  const passed = inputs.flatMap((input, i) => (read.has(input) ? [i] : []))
  const results = [...outputs, ...kept.filter(n => !outputs.includes(n))]
  return {
    forward: { name: `${block.name}.forward`, parameters: inputs, outputs: results },
    backward: {
      name: `${block.name}.backward`,
      parameters: [...passed.map(i => inputs[i]!), ...substitutes.values(), ...cotangents],
      outputs: finished,
    },
    passed,
    residuals: kept.map(n => results.indexOf(n)),
  }
}

/**
 * Chooses the values to keep: starting from every value that crosses the boundary, it replaces cheap ones by their
 * sources if those have fewer bytes.
 */
const keep = (
  crossing: readonly Node[],
  free: (n: Node) => boolean,
  { recompute = 'cheap', bytes = () => 1, isCheap = n => n.op.cheap === true }: Partition,
): readonly Node[] => {
  if (recompute === 'all') return []
  if (recompute === 'none') return crossing
  let kept: ReadonlySet<Node> = new Set(crossing)
  const total = (set: ReadonlySet<Node>): number => [...set].reduce((sum, n) => sum + bytes(n), 0)
  for (const candidate of crossing.toReversed()) {
    if (!isCheap(candidate)) continue
    const instead = new Set([...kept].filter(n => n !== candidate))
    for (const source of sources(candidate, isCheap, n => free(n) || instead.has(n))) instead.add(source)
    if (total(instead) < total(kept)) kept = instead
  }
  return [...kept]
}

/** The values not at hand from which a cheap value can be computed with cheap ops. */
const sources = (value: Node, isCheap: (n: Node) => boolean, atHand: (n: Node) => boolean): readonly Node[] =>
  value.inputs.flatMap(input => (atHand(input) ? [] : isCheap(input) ? sources(input, isCheap, atHand) : [input]))
