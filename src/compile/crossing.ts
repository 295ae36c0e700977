import { is, placeholderOp, reshapeOp, resultOp, topological, type Node } from '../tensor/index.ts'

/**
 * The values that a program computes for its first outputs and reads again for the others, each once: those that live
 * from the forward to the backward pass. Leaves are not among them.
 * @example crossing(program.outputs.slice(0, 2), program.outputs)
 */
export const crossing = (forward: readonly Node[], all: readonly Node[]): readonly Node[] => {
  const before = new Set(topological(forward))
  /** Results of calls that only the backward pass reads are made by the forward pass too. */
  const isBefore = (n: Node): boolean => before.has(n) || (is(n, resultOp) && before.has(n.inputs[0]!))
  const rootOf = (n: Node): Node => (is(n, reshapeOp) ? rootOf(n.inputs[0]!) : n)
  const read = topological(all).flatMap(n => (isBefore(n) ? [] : n.inputs.filter(isBefore)))
  return [...new Set(read.map(rootOf))].filter(n => !is(n, placeholderOp) && n.op.kind !== 'source')
}
