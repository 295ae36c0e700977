import { substitute, topological, typed, type Node, type Tensor } from './node.ts'
import { structureOf, walk } from './numbering.ts'
import { call, type Block } from './op/call.ts'
import { placeholder, placeholderOp } from './op/placeholder.ts'
import type { Shape } from './shape/dim.ts'

/**
 * Applies a layer once for each element of `layers`, each to the result of the one before. Layers that are the same
 * function of their parameters share one block, which is differentiated, rewritten and planned once, however many
 * layers there are. Values that the layer reads from outside are passed to the block, not recomputed.
 * @example repeat(params.layers, x, (h, layer) => add(h, mlp(h, layer)))
 */
export const repeat = <E, S extends Shape>(
  layers: readonly E[],
  x: Tensor<S>,
  layer: (x: Tensor<S>, parameters: E) => Tensor<S>,
): Tensor<S> => scan(layers, x, (current, parameters) => [layer(current, parameters), []])[0]

/**
 * The same for a layer that also yields tensors of its own, such as a cache: returns the last result, and the tensors
 * of every layer.
 * @example const [h, caches] = scan(layers, x, (h, layer) => [attention(h, layer), [key, value]])
 */
export const scan = <E, S extends Shape, const Y extends readonly Node[]>(
  layers: readonly E[],
  x: Tensor<S>,
  layer: (x: Tensor<S>, parameters: E) => readonly [Tensor<S>, Y],
): readonly [Tensor<S>, readonly Y[]] => {
  const input = placeholder(x.shape, 'f32')
  const bodies = layers.map((parameters): readonly Node[] => {
    const [carried, yielded] = layer(typed(input), parameters)
    return [carried, ...yielded]
  })
  // every trace makes new nodes, so a node that two layers share existed before them
  const second = new Set<Node>(topological(bodies[1] ?? []))
  const captured = new Set(topological(bodies[0] ?? []).filter(n => n !== input && second.has(n)))
  const blocks = new Map<string, Block>()
  const yields: (readonly Node[])[] = []
  let current: Node = x
  for (const body of bodies) {
    const leaves = leavesOf(body, n => n !== input && (n.op === placeholderOp || captured.has(n)))
    const structure = structureOf(body, [input, ...leaves])
    const block =
      blocks.get(structure) ?? blockFrom(`layer${blocks.size === 0 ? '' : blocks.size}`, body, input, leaves)
    blocks.set(structure, block)
    const [carried, ...yielded] = call(block, [current, ...leaves])
    current = carried!
    yields.push(yielded)
  }
  // the results of a block have the shapes of its outputs, one by one
  return [typed(current), yields as readonly (readonly Node[])[] as readonly Y[]]
}

/** The outermost nodes that become arguments, in the order in which the body reads them. */
const leavesOf = (body: readonly Node[], isLeaf: (n: Node) => boolean): readonly Node[] => {
  const stop = new Set(topological(body).filter(isLeaf))
  return walk(body, stop).filter(n => stop.has(n))
}

const blockFrom = (name: string, body: readonly Node[], input: Node, leaves: readonly Node[]): Block => {
  const parameters = leaves.map(leaf => placeholder(leaf.shape, leaf.dtype))
  return {
    name,
    parameters: [input, ...parameters],
    outputs: substitute(body, new Map(leaves.map((leaf, i) => [leaf, parameters[i]!]))),
  }
}
