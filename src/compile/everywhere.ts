import { deduplicated, type Block, type Dim, type Node } from '../tensor/index.ts'
import { mapBlocks, staticParameters, withoutUnread } from './blocks.ts'
import { rewrite, weighing, type Rule } from './rewrite/index.ts'

/** Sizes, and a test for leaves that do not change while a program runs. */
interface Leaves {
  readonly size: (dim: Dim) => number
  readonly isStaticLeaf: (n: Node) => boolean
}

/** Tests which parameters of a block are weights in every call. */
export const weightsIn = (roots: readonly Node[], { isStaticLeaf }: Pick<Leaves, 'isStaticLeaf'>) => {
  const flags = staticParameters(roots, weighing(isStaticLeaf))
  return (block: Block) =>
    (n: Node): boolean =>
      flags.get(block)?.[block.parameters.indexOf(n)] === true
}

/** Applies rules to expressions and to every block that they call, in which the weights are known too. */
export const rewriteEverywhere = (
  roots: readonly Node[],
  rules: readonly Rule[],
  { size, isStaticLeaf }: Leaves,
): readonly Node[] => {
  const nothing = (): boolean => false
  const weights = weightsIn(roots, { isStaticLeaf })
  return withoutUnread(
    mapBlocks(rewrite(roots, rules, { size, isStatic: nothing, isWeight: isStaticLeaf }), (block, old) => ({
      ...block,
      outputs: deduplicated(rewrite(block.outputs, rules, { size, isStatic: nothing, isWeight: weights(old) })),
    })),
  )
}
