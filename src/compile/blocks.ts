import { blockOf, callOp, node, rebuild, topological, type Block, type Node } from '../tensor/index.ts'

/** Replaces every block by a changed one; each is changed once. */
export const mapBlocks = (roots: readonly Node[], change: (block: Block) => Block): readonly Node[] => {
  const changed = new Map<Block, Block>()
  return roots.map(
    rebuild(roots, rebuilt => {
      const block = blockOf(rebuilt)
      if (block === undefined) return rebuilt
      const next = changed.get(block) ?? change(block)
      changed.set(block, next)
      return next === block ? rebuilt : node(callOp, rebuilt.inputs, { block: next })
    }),
  )
}

/**
 * Removes the arguments that blocks do not read: a program must not require inputs that a rewriting has made
 * superfluous.
 */
export const withoutUnread = (roots: readonly Node[]): readonly Node[] => {
  const pruned = new Map<Block, { readonly block: Block; readonly kept: readonly number[] }>()
  const prune = (block: Block) => {
    const read = new Set(topological(block.outputs))
    const kept = block.parameters.flatMap((p, i) => (read.has(p) ? [i] : []))
    return {
      kept,
      block:
        kept.length === block.parameters.length ? block : { ...block, parameters: kept.map(i => block.parameters[i]!) },
    }
  }
  return roots.map(
    rebuild(roots, rebuilt => {
      const block = blockOf(rebuilt)
      if (block === undefined) return rebuilt
      const { block: next, kept } = pruned.get(block) ?? prune(block)
      pruned.set(block, { block: next, kept })
      return next === block
        ? rebuilt
        : node(
            callOp,
            kept.map(i => rebuilt.inputs[i]!),
            { block: next },
          )
    }),
  )
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

/** Tests for each parameter of a block whether every call passes a value that does not change while a program runs. */
export const staticParameters = (
  roots: readonly Node[],
  isStatic: (n: Node) => boolean,
): ReadonlyMap<Block, readonly boolean[]> =>
  new Map(
    [...callsOf(roots)].map(([block, calls]) => [
      block,
      block.parameters.map((_, i) => calls.every(call => isStatic(call.inputs[i]!))),
    ]),
  )
