import { interpret, placeholder, type Node, type Numbers } from '../../src/tensor/index.ts'
import { applyUpdates, tensorsOf, unflatten, type Fn, type Transform } from '../../src/tune/index.ts'

/** Dims of the tests are numbers. */
export const size = (dim: number | string): number => Number(dim)

/** Placeholders with the shapes and dtypes of a tree, and its leaves. */
export const placeholders = <T>(tree: T): { readonly tree: T; readonly leaves: readonly Node[] } => {
  const leaves = tensorsOf(tree).map(([, leaf]) => placeholder(leaf.shape, leaf.dtype))
  return { tree: unflatten(tree, leaves) as T, leaves }
}

/** The parameters and the state after an update, as leaves in their order. */
interface After {
  readonly params: readonly Numbers[]
  readonly state: readonly Numbers[]
}
type Constants = ReadonlyMap<Node, Numbers>

/**
 * Every iterate of a transform, with its state, on a loss with the given gradient: the step is traced once, and run in
 * float64. Parameters are the leaves of a tree in their order; constants may differ from step to step.
 */
export const history = <F extends Fn, G>(
  transform: Transform<F>,
  params: G,
  gradient: (params: G) => G,
  start: readonly Numbers[],
  steps: number,
  constants: Constants | ((step: number) => Constants) = new Map(),
): readonly After[] => {
  const initial = transform.init(params)
  const at = placeholders(params)
  const state = placeholders(initial)
  const [updates, next] = transform.update(gradient(at.tree), state.tree, at.tree)
  const nodes = (tree: unknown): readonly Node[] => tensorsOf(tree).map(([, leaf]) => leaf)
  const outputs = [...nodes(applyUpdates(at.tree, updates)), ...nodes(next)]
  const inputs = [...at.leaves, ...state.leaves]
  let now = [...start, ...interpret(nodes(initial), new Map(), size)]
  return Array.from({ length: steps }, (_, step) => {
    const given = typeof constants === 'function' ? constants(step) : constants
    now = [...interpret(outputs, new Map([...given, ...inputs.map((input, i) => [input, now[i]!] as const)]), size)]
    return { params: now.slice(0, start.length), state: now.slice(start.length) }
  })
}

/** Every iterate of a transform: see {@link history}. */
export const trajectory = <F extends Fn, G>(
  ...run: Parameters<typeof history<F, G>>
): readonly (readonly Numbers[])[] => history(...run).map(({ params }) => params)
