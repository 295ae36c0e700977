import { scalar, u, type Node } from '../../tensor/index.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'

/**
 * Combines trees of one structure leaf by leaf; leaves are paired by their paths. Throws a `TypeError` if a tree lacks
 * a leaf of the first: a programmer's error, since the type checker refuses such trees.
 * @example combine((g, p) => plus(g, times(p!, 0.01)), gradient, params)
 */
export const combine = <G>(
  f: (leaf: Node, ...others: readonly Node[]) => Node,
  tree: G,
  ...others: readonly G[]
): G => {
  const byPath = others.map(other => new Map(tensorsOf(other)))
  // mapTree keeps the structure, and the result for a leaf has the leaf's shape, because each f here is elementwise
  return mapTree(tree, isTensor, (leaf, path) =>
    f(
      leaf,
      ...byPath.map(leaves => {
        const other = leaves.get(path)
        if (other === undefined) throw new TypeError(`the trees differ: one has no leaf at ${path}`)
        return other
      }),
    ),
  ) as G
}

/** A tree of symbolic zeros with the shapes and dtypes of another. */
export const zerosLike = <G>(tree: G): G =>
  combine(leaf => u.cast(u.broadcastTo(scalar(0), leaf.shape), leaf.dtype), tree)
