import { substitute, topological, type Node, type Tensor } from './node.ts'
import { structureOf, walk } from './numbering.ts'
import { call, type Block } from './op/call.ts'
import { placeholder, placeholderOp } from './op/placeholder.ts'
import type { Shape } from './shape/dim.ts'
import { flattened, unflattened } from './trees.ts'

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
): Tensor<S> => {
  // a layer receives the tensor that it returns, and an element of the list
  const step = (state: unknown, parameters: unknown): readonly [Tensor<S>, readonly []] => [
    layer(state as Tensor<S>, parameters as E),
    [],
  ]
  return scanLayers(layers, x, step)[0] as Tensor<S>
}

/** A scan over a list: the last state, and the results of every element. */
export const scanLayers = (
  layers: readonly unknown[],
  initial: unknown,
  layer: (state: unknown, parameters: unknown) => readonly [unknown, unknown],
): readonly [unknown, readonly unknown[]] => {
  const states = flattened('the state', initial)
  const inputs = states.map(({ shape, dtype }) => placeholder(shape, dtype))
  const isInput = new Set(inputs)
  const traced = layers.map(parameters => {
    const [next, results] = layer(unflattened(initial, inputs), parameters)
    return { results, body: [...flattened('the state', next), ...flattened('the results', results)] }
  })
  // every trace makes new nodes, so a node that two layers share existed before them
  const second = new Set<Node>(topological(traced[1]?.body ?? []))
  const captured = new Set(topological(traced[0]?.body ?? []).filter(n => !isInput.has(n) && second.has(n)))
  const blocks = new Map<string, Block>()
  const yields: unknown[] = []
  let current = states
  for (const { body, results } of traced) {
    const leaves = leavesOf(body, n => !isInput.has(n) && (n.op === placeholderOp || captured.has(n)))
    const structure = structureOf(body, [...inputs, ...leaves])
    const block =
      blocks.get(structure) ?? blockFrom(`layer${blocks.size === 0 ? '' : blocks.size}`, body, inputs, leaves)
    blocks.set(structure, block)
    const made = call(block, [...current, ...leaves])
    current = made.slice(0, states.length)
    yields.push(unflattened(results, made.slice(states.length)))
  }
  return [unflattened(initial, current), yields]
}

/** The outermost nodes that become arguments, in the order in which the body reads them. */
const leavesOf = (body: readonly Node[], isLeaf: (n: Node) => boolean): readonly Node[] => {
  const stop = new Set(topological(body).filter(isLeaf))
  return walk(body, stop).filter(n => stop.has(n))
}

const blockFrom = (name: string, body: readonly Node[], inputs: readonly Node[], leaves: readonly Node[]): Block => {
  const parameters = leaves.map(leaf => placeholder(leaf.shape, leaf.dtype))
  return {
    name,
    parameters: [...inputs, ...parameters],
    outputs: substitute(body, new Map(leaves.map((leaf, i) => [leaf, parameters[i]!]))),
  }
}
