import {
  bodyOf,
  is,
  isApplied,
  isShared,
  loopOp,
  rebuild,
  topological,
  withBody,
  type Applied,
  type Block,
  type Node,
} from '../tensor/index.ts'

/**
 * Replaces every block, of calls and of loops, by a changed one; each is changed once. Blocks within a block come
 * first: `change` receives the block with these replaced, and the block as it was.
 */
export const mapBlocks = (
  roots: readonly Node[],
  change: (block: Block, old: Block) => Block,
  changed: Map<Block, Block> = new Map(),
): readonly Node[] => {
  const changedOnce = (old: Block): Block => {
    const outputs = mapBlocks(old.outputs, change, changed)
    return change(outputs.every((output, i) => output === old.outputs[i]) ? old : { ...old, outputs }, old)
  }
  return roots.map(
    rebuild(roots, rebuilt => {
      const block = bodyOf(rebuilt)
      if (block === undefined) return rebuilt
      const next = changed.get(block) ?? changedOnce(block)
      changed.set(block, next)
      return next === block ? rebuilt : withBody(rebuilt, next)
    }),
  )
}

/**
 * Removes the arguments that blocks do not read: a program must not require inputs that a rewriting has made
 * superfluous. What a loop carries stays, since it determines the results of the loop.
 */
export const withoutUnread = (roots: readonly Node[]): readonly Node[] => {
  const pruned = new Map<Block, { readonly block: Block; readonly kept: readonly number[] }>()
  const prune = (application: Applied, block: Block) => {
    const read = new Set(topological(block.outputs))
    const isCarried = (i: number): boolean =>
      is(application, loopOp) && application.attributes.feeds[i]!.kind === 'carried'
    const kept = block.parameters.flatMap((p, i) => (read.has(p) || isCarried(i) ? [i] : []))
    return {
      kept,
      block:
        kept.length === block.parameters.length ? block : { ...block, parameters: kept.map(i => block.parameters[i]!) },
    }
  }
  return roots.map(
    rebuild(roots, rebuilt => {
      if (!isApplied(rebuilt)) return rebuilt
      const { block } = rebuilt.attributes
      const { block: next, kept } = pruned.get(block) ?? prune(rebuilt, block)
      pruned.set(block, { block: next, kept })
      return next === block ? rebuilt : withBody(rebuilt, next, kept)
    }),
  )
}

/** Every call and every loop of every block, in order; blocks within blocks included. */
export const callsOf = (roots: readonly Node[]): ReadonlyMap<Block, readonly Node[]> => {
  const calls = new Map<Block, Node[]>()
  const visit = (of: readonly Node[]): void => {
    for (const n of topological(of)) {
      const block = bodyOf(n)
      if (block === undefined) continue
      const known = calls.get(block)
      calls.set(block, [...(known ?? []), n])
      if (known === undefined) visit(block.outputs)
    }
  }
  visit(roots)
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
      block.parameters.map((_, i) => calls.every(call => isShared(call, i) && isStatic(call.inputs[i]!))),
    ]),
  )
