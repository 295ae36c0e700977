import { substitute, topological, typed, type Node, type Tensor } from './node.ts'
import { structureOf, walk } from './identity.ts'
import { call, type Block } from './op/call.ts'
import { parameter, parameterOp } from './op/parameter.ts'
import type { Shape } from './shape/dim.ts'

/**
 * Applies a layer once for each element of `layers`, each to the result of the one before.
 * Layers that are the same function of their parameters share one block, however many there are: it is differentiated,
 * rewritten and planned once. What the layer reads from outside is passed to the block, not computed again.
 * @example repeat(params.layers, x, (h, layer) => add(h, mlp(h, layer)))
 */
export const repeat = <E, S extends Shape>(layers: readonly E[], x: Tensor<S>, layer: (x: Tensor<S>, parameters: E) => Tensor<S>): Tensor<S> => {
  const input = parameter(x.shape, 'f32'), bodies = layers.map(parameters => layer(typed(input), parameters))
  const [first, second] = bodies
  if (first === undefined) return x
  // every trace makes its nodes anew, so a node that two layers share was there before them
  const shared = new Set<Node>(second ? topological([second]) : []), captured = new Set(topological([first]).filter(n => n !== input && shared.has(n)))
  const blocks = new Map<string, Block>()
  return typed(bodies.reduce<Node>((current, body) => {
    const leaves = leavesOf(body, n => n !== input && (captured.has(n) || n.op === parameterOp))
    const structure = structureOf(body, [input, ...leaves])
    const block = blocks.get(structure) ?? blockFrom(`layer${blocks.size === 0 ? '' : blocks.size}`, body, input, leaves)
    blocks.set(structure, block)
    return call(block, [current, ...leaves])[0]!
  }, x))
}

/** The outermost nodes that are to be arguments, in the order in which the body reads them. */
const leavesOf = (body: Node, isLeaf: (n: Node) => boolean): readonly Node[] => {
  const stop = new Set(topological([body]).filter(isLeaf))
  return walk(body, stop).filter(n => stop.has(n))
}

const blockFrom = (name: string, body: Node, input: Node, leaves: readonly Node[]): Block => {
  const parameters = leaves.map(leaf => parameter(leaf.shape, leaf.dtype))
  return { name, parameters: [input, ...parameters], outputs: substitute([body], new Map(leaves.map((leaf, i) => [leaf, parameters[i]!]))) }
}
