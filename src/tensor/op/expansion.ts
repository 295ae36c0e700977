import { is, ShapeMismatch, topological, type Along, type Node, type NodeOf } from '../node.ts'
import { factors, type Dim } from '../shape/index.ts'
import { placeholder, placeholderOp } from './placeholder.ts'

/** The facets of a composite that follow from its expansion. */

type Expand<A> = (inputs: readonly Node[], attributes: A) => Node

/** The cuts of all nodes in an expression for which its root is cut along an axis; a node that stays whole has none. */
const cutsFrom = (root: Node, axis: number): ReadonlyMap<Node, number | undefined> | undefined => {
  const cuts = new Map<Node, number | undefined>([[root, axis]])
  for (const n of topological([root]).toReversed()) {
    const cut = cuts.get(n)
    const along = cut === undefined ? n.inputs.map(() => undefined) : n.op.along(n, cut)
    if (is(n, placeholderOp)) continue
    if (along === undefined) return undefined
    for (const [i, input] of n.inputs.entries()) {
      if (cuts.has(input) && cuts.get(input) !== along[i]) return undefined
      cuts.set(input, along[i])
    }
  }
  return cuts
}

/** A name that occurs in none of the shapes. */
const unusedName = (nodes: readonly Node[]): string => {
  const names = new Set(nodes.flatMap(({ shape }) => shape.flatMap(factors)))
  let name = 'piece'
  while (names.has(name)) name += '_'
  return name
}

/** Tests whether a node depends on a dim only as the axis along which it is cut. */
const isCutAlone = (n: Node, cut: number | undefined, piece: Dim): boolean => {
  const names = (dims: readonly Dim[]): boolean => dims.some(dim => factors(dim).includes(piece))
  const dims = n.op.dims(n.attributes)
  return (
    !names(n.shape.filter((_, axis) => axis !== cut)) &&
    // a node whose attributes repeat the whole shape of its result gets the shape of the piece
    (!names(dims) || (cut !== undefined && dims.join() === n.shape.join()))
  )
}

/**
 * The `along` of a composite: cuts are followed through its expansion, which is then computed from the pieces alone,
 * and must not depend on the size of a piece elsewhere.
 */
export const alongExpansion = <A>(expand: Expand<A>, node: NodeOf<A>, axis: number): Along | undefined => {
  const leavesFor = (dimsOf: (input: number) => readonly Dim[]): readonly Node[] =>
    node.inputs.map(({ dtype }, i) => placeholder(dimsOf(i), dtype))
  const cutLeaves = (leaves: readonly Node[]) => {
    const cuts = cutsFrom(expand(leaves, node.attributes), axis)
    return cuts && { cuts, along: leaves.map(leaf => cuts.get(leaf)) }
  }
  const whole = cutLeaves(leavesFor(i => node.inputs[i]!.shape))
  if (whole === undefined) return undefined
  const piece = unusedName([node, ...node.inputs])
  try {
    const pieces = cutLeaves(
      leavesFor(i => {
        const { shape } = node.inputs[i]!
        const cut = whole.along[i]
        return cut === undefined ? shape : shape.with(cut, piece)
      }),
    )
    return pieces !== undefined &&
      pieces.along.join() === whole.along.join() &&
      [...pieces.cuts].every(([n, cut]) => isCutAlone(n, cut, piece))
      ? whole.along
      : undefined
  } catch (error) {
    // the composite needs the whole of an input that was cut
    if (error instanceof ShapeMismatch) return undefined
    throw error
  }
}

/** The `smooth` of a composite: all parts of its expansion that depend on its float32 inputs are smooth. */
export const smoothExpansion = <A>(expand: Expand<A>, node: NodeOf<A>): boolean => {
  const leaves = node.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
  const reached = new Set(leaves.filter(({ dtype }) => dtype === 'f32'))
  return topological([expand(leaves, node.attributes)]).every(n => {
    if (!n.inputs.some(input => reached.has(input))) return true
    reached.add(n)
    return n.op.smooth(n)
  })
}
