import { blockOf, callOp, node, rebuild, topological, type Block, type Node } from '../tensor/index.ts'

/** Puts a changed block in the place of every block, each changed once. */
export const mapBlocks = (roots: readonly Node[], change: (block: Block) => Block): readonly Node[] => {
  const changed = new Map<Block, Block>()
  return roots.map(rebuild(roots, rebuilt => {
    const block = blockOf(rebuilt)
    if (block === undefined) return rebuilt
    const next = changed.get(block) ?? change(block)
    changed.set(block, next)
    return next === block ? rebuilt : node(callOp, rebuilt.inputs, { block: next })
  }))
}

/** Every call of every block, in order. */
export const callsOf = (roots: readonly Node[]): ReadonlyMap<Block, readonly Node[]> => {
  const calls = new Map<Block, Node[]>()
  for (const n of topological(roots)) {
    const block = blockOf(n)
    if (block) calls.set(block, [...(calls.get(block) ?? []), n])
  }
  return calls
}

/** For each parameter of a block, whether every call passes something that does not change while a program runs. */
export const staticParameters = (roots: readonly Node[], isStatic: (n: Node) => boolean): ReadonlyMap<Block, readonly boolean[]> =>
  new Map([...callsOf(roots)].map(([block, calls]) => [block, block.parameters.map((_, i) => calls.every(call => isStatic(call.inputs[i]!)))]))
