import {
  call,
  carriedOutputs,
  is,
  loopOp,
  rebuild,
  resultOp,
  topological,
  u,
  type Dim,
  type Loop,
  type Node,
  type NodeOf,
} from '../tensor/index.ts'
import { mapBlocks } from './blocks.ts'

/**
 * Writes loops over time as one call of their block for each step, for targets whose plans know all sizes. The block is
 * planned once, however many steps there are. A stack that only other loops read is never assembled.
 * @example unrolled([last, outputs], size)
 */
export const unrolled = (roots: readonly Node[], size: (dim: Dim) => number): readonly Node[] =>
  mapBlocks(written(roots, size), block => {
    const outputs = written(block.outputs, size)
    return outputs === block.outputs ? block : { ...block, outputs }
  })

/** The same without the loops within blocks. */
const written = (roots: readonly Node[], size: (dim: Dim) => number): readonly Node[] => {
  if (!topological(roots).some(n => is(n, loopOp))) return roots
  const results = new Map<Node, readonly Node[]>()
  /** The elements of every stack that was made or read so far. */
  const elements = new Map<Node, readonly Node[]>()
  const elementsOf = (stack: Node, count: Dim): readonly Node[] => {
    const known = elements.get(stack) ?? cut(stack, size(count))
    elements.set(stack, known)
    return known
  }
  const stacked = (parts: readonly Node[], count: Dim): Node => {
    const stack = u.concat(
      parts.map(part => u.reshape(part, [1, ...part.shape])),
      0,
      count,
    )
    elements.set(stack, parts)
    return stack
  }
  const outputsOf = ({ attributes: loop, inputs }: NodeOf<Loop>): readonly Node[] => {
    const carried = carriedOutputs(loop)
    const turns = turnsOf(loop, inputs, size(loop.count), stack => elementsOf(stack, loop.count))
    return loop.block.outputs.map((_, k) =>
      carried.has(k)
        ? turns.at(-1)![k]!
        : stacked(
            (loop.reverse ? turns.toReversed() : turns).map(turn => turn[k]!),
            loop.count,
          ),
    )
  }
  return roots.map(
    rebuild(roots, rebuilt => {
      if (is(rebuilt, loopOp)) results.set(rebuilt, outputsOf(rebuilt))
      const made = is(rebuilt, resultOp) ? results.get(rebuilt.inputs[0]!) : undefined
      return made && is(rebuilt, resultOp) ? made[rebuilt.attributes.index]! : rebuilt
    }),
  )
}

/** The elements of a stack along its first axis. */
const cut = (stack: Node, count: number): readonly Node[] =>
  Array.from({ length: count }, (_, at) =>
    u.reshape(u.slice(stack, 0, { as: 1, start: at === 0 ? [] : [at] }), stack.shape.slice(1)),
  )

/** The outputs of every turn, in the order in which the turns run. */
const turnsOf = (
  { block, feeds, reverse }: Loop,
  inputs: readonly Node[],
  count: number,
  elementsOf: (stack: Node) => readonly Node[],
): readonly (readonly Node[])[] => {
  const turns: (readonly Node[])[] = []
  for (let turn = 0; turn < count; turn++) {
    const at = reverse ? count - 1 - turn : turn
    const given = feeds.map((feed, i) =>
      feed.kind === 'layered'
        ? elementsOf(inputs[i]!)[at]!
        : feed.kind === 'carried' && turn > 0
          ? turns[turn - 1]![feed.output]!
          : inputs[i]!,
    )
    const made = call(block, given)
    // an argument that is an output too needs no handle of its own
    turns.push(block.outputs.map((output, k) => given[block.parameters.indexOf(output)] ?? made[k]!))
  }
  return turns
}
