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

/**
 * One of two trees with the same structure, all of it. @example choose(last, updates, zerosLike(updates))
 */
export const choose = <T>(condition: Node, a: T, b: T): T => combine((x, y) => u.select(condition, x, y!), a, b)

/** Every axis of a tensor. */
export const axesOf = ({ shape }: Node): readonly number[] => shape.map((_, axis) => axis)
/** √Σ x² over all of a leaf. */
export const normOf = (x: Node): Node => u.sqrt(u.sum(u.mul(x, x), axesOf(x)))
/** The mean over axes, which stay with size 1. */
export const meanOver = (x: Node, axes: readonly number[]): Node =>
  u.div(u.sum(x, axes, true), u.size(...axes.map(axis => x.shape[axis]!)))
/** The root of the mean square of a leaf. */
export const rmsOf = (x: Node): Node => u.div(normOf(x), u.sqrt(u.size(...x.shape)))
