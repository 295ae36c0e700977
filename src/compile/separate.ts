import { bodyOf, is, placeholderOp, reshapeOp, resultOp, u, type Node } from '../tensor/index.ts'

/** The node whose buffer a value is in: a view has that of the value that it shows, a result of a call maybe an argument's. */
const bufferOf = (n: Node): Node => {
  const [input] = n.inputs
  if (is(n, reshapeOp)) return bufferOf(input!)
  const block = input && is(n, resultOp) ? bodyOf(input) : undefined
  if (block === undefined || !is(n, resultOp)) return n
  const inside = bufferOf(block.outputs[n.attributes.index]!)
  const argument = block.parameters.indexOf(inside)
  return argument < 0 ? n : bufferOf(input!.inputs[argument]!)
}

/**
 * Gives each of some results a buffer of its own, because its reader writes into it: one that shares its buffer with
 * another, or with an input, is copied. Two biases that are added have one gradient, for example.
 */
export const separate = (roots: readonly Node[], isOwn: (index: number) => boolean): readonly Node[] => {
  const taken = new Set<Node>()
  return roots.map((root, i) => {
    const buffer = bufferOf(root)
    const shares = taken.has(buffer) || is(buffer, placeholderOp)
    taken.add(buffer)
    // the larger of a number and itself: exact for all numbers, and never a view
    return isOwn(i) && shares ? u.maximum(root, root) : root
  })
}
