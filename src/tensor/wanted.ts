import type { Node } from './node.ts'

/**
 * A wanted gradient: the leaf, and the part of its cotangent that is kept (a mask's `get`). Two focuses of one kind
 * differ only in their index, which is data, so their blocks are shared.
 */
export interface Wanted {
  readonly leaf: Node
  readonly kind: string
  readonly index: readonly Node[]
  readonly get: (cotangent: Node, index: readonly Node[]) => Node
}

/** The whole gradient of a leaf. */
export const whole = (leaf: Node): Wanted => ({ leaf, kind: 'all', index: [], get: cotangent => cotangent })

/** The nodes, in topological order, through which a derivative flows to some leaves. */
export const activeFrom = (
  order: readonly Node[],
  leaves: { readonly has: (n: Node) => boolean },
): ReadonlySet<Node> => {
  const active = new Set<Node>()
  for (const n of order)
    if (
      leaves.has(n) ||
      (n.dtype === 'f32' && n.op.name !== 'stopGradient' && n.inputs.some(input => active.has(input)))
    )
      active.add(n)
  return active
}
