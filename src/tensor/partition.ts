import { keep, type Keeping } from './keep.ts'
import { is, substitute, topological, type Node } from './node.ts'
import type { Block } from './op/call.ts'
import { placeholder } from './op/placeholder.ts'
import { reshapeOp } from './op/reshape.ts'

/** The options for dividing blocks into a forward and a backward half. */
export interface Partition extends Keeping {
  /** Simplifies outputs and gradients together, before the values to keep between the halves are chosen. */
  readonly optimise?: (roots: readonly Node[], block: Block) => readonly Node[]
  /** Among the values of a block and its gradients, those that both halves have without keeping them. */
  readonly atHand?: (roots: readonly Node[], block: Block) => ReadonlySet<Node>
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
  /** The limits of the blocks that it calls; see `Halves`. */
  readonly limits: readonly number[]
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
  /** The limits on recomputation at which the division is another one; see `Kept`. */
  readonly limits: readonly number[]
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
  const crossing = [...new Set([...boundary].map(data))].filter(n => !free(n))
  const { kept, limits } = keep({ crossing, boundary: [...boundary], free, data }, partition)
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
    limits: [...new Set([...joint.limits, ...limits])],
  }
}
