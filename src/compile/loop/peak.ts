import {
  blockOf,
  is,
  loopOp,
  placeholderOp,
  reshapeOp,
  resultOp,
  sliceOp,
  topological,
  type Block,
  type Dim,
  type Node,
} from '../../tensor/index.ts'
import { chunkOp, pieceDim } from '../chunk/index.ts'
import type { Footprint, Sized } from '../footprint.ts'

/** The facts that the memory of a program depends on. */
export interface Measure {
  readonly size: (dim: Dim) => number
  /** The bytes of a node's value under given sizes. */
  readonly bytes: (n: Node, size: (dim: Dim) => number) => number
}

/** The call at a node: its block, its sizes, and the values that are alive all the time that it runs. */
const calledAt = (
  n: Node,
  { size }: Measure,
): { readonly block: Block; readonly size: (dim: Dim) => number; readonly stacks: boolean } | undefined => {
  const block = blockOf(n)
  if (block) return { block, size, stacks: false }
  if (is(n, loopOp)) return { block: n.attributes.block, size, stacks: true }
  if (!is(n, chunkOp)) return undefined
  const { block: piece, dim, rows } = n.attributes
  const largest = Math.min(rows, size(dim))
  return { block: piece, size: other => (other === pieceDim ? largest : size(other)), stacks: true }
}

/**
 * The most bytes that a program holds beyond its inputs, if every value is freed after its last reader: values within a
 * fused block are never held, those of a loop's turn are held once, and a loop's results are held for all its layers.
 * @example peakOf(program.gradients, { size, bytes })
 */
export const peakOf = (roots: readonly Node[], measure: Measure): number => peakIn(roots, measure).peak

/**
 * The same with the largest value that is there at the peak; results of calls are not among them.
 * @example peakIn(program.gradients, { size, bytes }).largest?.bytes
 */
export const peakIn = (roots: readonly Node[], measure: Measure): Pick<Footprint, 'peak' | 'largest'> => {
  const order = topological(roots)
  const owner = new Map<Node, Node>()
  const lastUse = new Map<Node, number>()
  const ownerOf = (n: Node): Node => owner.get(n) ?? n
  order.forEach((n, at) => {
    // a view shares the memory of the value that it shows
    if (is(n, reshapeOp) || (is(n, sliceOp) && n.attributes.axis === 0)) owner.set(n, ownerOf(n.inputs[0]!))
    for (const input of n.inputs) lastUse.set(ownerOf(input), at)
  })
  for (const root of roots) lastUse.set(ownerOf(root), order.length)
  const held = new Map<Node, number>()
  const { size, bytes } = measure
  let now = 0
  let peak = 0
  let largest: Sized | undefined
  const reach = (amount: number, inner?: Sized): void => {
    if (amount <= peak) return
    peak = amount
    largest = [...held].reduce<Sized | undefined>(
      (most, [node, own]) => (is(node, resultOp) || (most && most.bytes >= own) ? most : { node, bytes: own }),
      inner,
    )
  }
  const hold = (n: Node, amount: number): void => {
    held.set(n, amount)
    now += amount
    reach(now)
  }
  order.forEach((n, at) => {
    const called = calledAt(n, measure)
    if (called) {
      const { block, size: inside, stacks } = called
      const own = n.op.several!.signatures(n.attributes)
      const yielded = order
        .filter(r => is(r, resultOp) && r.inputs[0] === n)
        .reduce((sum, r) => sum + bytes(r, size), 0)
      const inner = block.fused ? undefined : peakIn(block.outputs, { bytes, size: inside })
      // the results of a call are part of its own peak; a loop's stacks exist in addition to a turn's own peak
      reach(now + (inner?.peak ?? 0) + (stacks && own.length > 0 ? yielded : 0), inner?.largest)
    } else if (n.op !== placeholderOp && !owner.has(n)) hold(n, bytes(n, size))
    for (const [node, amount] of held) {
      if ((lastUse.get(node) ?? -1) > at) continue
      held.delete(node)
      now -= amount
    }
  })
  return { peak, largest }
}
