import { interpret, placeholder, type Node, type Numbers } from '../../src/tensor/index.ts'
import { applyUpdates, tensorsOf, unflatten, type Fn, type Transform } from '../../src/tune/index.ts'

/** Dims of the tests are numbers. */
export const size = (dim: number | string): number => Number(dim)

/** Placeholders with the shapes and dtypes of a tree, and its leaves. */
export const placeholders = <T>(tree: T): { readonly tree: T; readonly leaves: readonly Node[] } => {
  const leaves = tensorsOf(tree).map(([, leaf]) => placeholder(leaf.shape, leaf.dtype))
  return { tree: unflatten(tree, leaves) as T, leaves }
}

/**
 * Every iterate of a transform on a loss with the given gradient: the step is traced once, and run in float64.
 * Parameters are the leaves of a tree in their order.
 */
export const trajectory = <F extends Fn, G>(
  transform: Transform<F>,
  params: G,
  gradient: (params: G) => G,
  start: readonly Numbers[],
  steps: number,
  constants: ReadonlyMap<Node, Numbers> = new Map(),
): readonly (readonly Numbers[])[] => {
  const initial = transform.init(params)
  const at = placeholders(params)
  const state = placeholders(initial)
  const [updates, next] = transform.update(gradient(at.tree), state.tree, at.tree)
  const nodes = (tree: unknown): readonly Node[] => tensorsOf(tree).map(([, leaf]) => leaf)
  const outputs = [...nodes(applyUpdates(at.tree, updates)), ...nodes(next)]
  const inputs = [...at.leaves, ...state.leaves]
  let now = [...start, ...interpret(nodes(initial), new Map(), size)]
  return Array.from({ length: steps }, () => {
    now = [...interpret(outputs, new Map([...constants, ...inputs.map((input, i) => [input, now[i]!] as const)]), size)]
    return now.slice(0, start.length)
  })
}
