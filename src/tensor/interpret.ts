import { type Node, type Numbers, is, ShapeMismatch, topological } from './node.ts'
import { misfitOf } from './misfit.ts'
import { resultOp } from './op/result.ts'
import type { Dim } from './shape/dim.ts'

/**
 * The meaning of expressions in float64: every op's own `eval`, with every block run as a function. It is the oracle
 * for all targets.
 * @throws {ShapeMismatch} if a node does not fit the sizes of its dims
 * @example interpret([y], new Map([[x, { sizes: [2], data: Float64Array.of(1, 2) }]]), size)
 */
export const interpret = (
  roots: readonly Node[],
  feeds: ReadonlyMap<Node, Numbers>,
  size: (dim: Dim) => number,
): readonly Numbers[] => {
  const values = new Map<Node, Numbers>(feeds)
  const results = new Map<Node, readonly Numbers[]>()
  for (const node of topological(roots)) {
    if (values.has(node)) continue
    const wrong = misfitOf(node, size)
    if (wrong !== undefined) throw new ShapeMismatch(wrong)
    const inputs = (): readonly Numbers[] => node.inputs.map(input => values.get(input)!)
    if (node.op.several) results.set(node, node.op.several.eval(inputs(), node.attributes, size))
    else if (is(node, resultOp)) values.set(node, results.get(node.inputs[0]!)![node.attributes.index]!)
    else
      values.set(
        node,
        node.op.eval(inputs(), node.attributes, { sizes: node.shape.map(size), size, inputs: node.inputs }),
      )
  }
  return roots.map(root => values.get(root)!)
}
