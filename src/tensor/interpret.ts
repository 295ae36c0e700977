import type { Node, Numbers } from './node.ts'
import { is, topological } from './node.ts'
import { blockOf, resultOp } from './op/call.ts'
import type { Dim } from './shape/dim.ts'

/**
 * The meaning of expressions in float64: every op's own `eval`, every block run as a function. The oracle of all targets.
 * @example interpret([y], new Map([[x, { sizes: [2], data: Float64Array.of(1, 2) }]]), size)
 */
export const interpret = (roots: readonly Node[], feeds: ReadonlyMap<Node, Numbers>, size: (dim: Dim) => number): readonly Numbers[] => {
  const values = new Map<Node, Numbers>(feeds), results = new Map<Node, readonly Numbers[]>()
  for (const node of topological(roots)) {
    if (values.has(node)) continue
    const block = blockOf(node)
    if (block) {
      results.set(node, interpret(block.outputs, new Map(block.parameters.map((p, i) => [p, values.get(node.inputs[i]!)!])), size))
    } else if (is(node, resultOp)) {
      values.set(node, results.get(node.inputs[0]!)![node.attributes.index]!)
    } else {
      values.set(node, node.op.eval(node.inputs.map(input => values.get(input)!), node.attributes, { sizes: node.shape.map(size), size, inputs: node.inputs }))
    }
  }
  return roots.map(root => values.get(root)!)
}
