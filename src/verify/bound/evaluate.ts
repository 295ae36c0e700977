import { bindDims, given, sizing, type Step } from '../../compile/index.ts'
import { compile, type Dims, type TargetName } from '../../backend/index.ts'
import {
  interpret,
  is,
  placeholderOp,
  topological,
  type DType,
  type Node,
  type Numbers,
  type Shape,
  type Tensor,
  type Value,
} from '../../tensor/index.ts'
import { isLazyLeaf, isValue, leaves, mapTree, tensorsOf, type Lazy, type Values } from '../../tune/index.ts'
import { lossOf } from './head.ts'

/** The weights and batches that expressions of a step are evaluated on. */
export interface Run<P, B> {
  readonly weights: Lazy<P>
  readonly batches: readonly Values<B>[]
  readonly dims?: Dims
  readonly target?: TargetName
}

/** An expression's value for each batch, and the selected columns or entries by the path of their leaf. */
export interface Evaluated {
  readonly target: string
  readonly values: readonly Value<Shape>[]
  readonly columns: ReadonlyMap<string, Int32Array>
  /** The sizes of the model's leaves, by path. */
  readonly sizes: Sizes
}
type Sizes = ReadonlyMap<string, readonly number[]>

/**
 * Evaluates an expression of a model's leaves and batch, in float32 on a target. The expression becomes the output of a
 * session without optimizer state, so it is computed exactly as a step computes it.
 */
export const evaluated = async <P, Q, M, S, B, O, K extends string>(
  { tuned }: Step<P, Q, M, S, B, O, K>,
  expression: Node,
  { weights, batches, dims = {}, target = 'auto' }: Run<P, B>,
): Promise<Evaluated> => {
  const sizes = new Map<string, readonly number[]>()
  const note = <V extends Value<Shape, DType>>(path: string, value: V): V => {
    sizes.set(path, value.sizes)
    return value
  }
  // the tree keeps its structure; each leaf only records its sizes when it is read
  const noted = mapTree(weights, isLazyLeaf, (leaf, path) =>
    isValue(leaf) ? note(path, leaf) : { read: async () => note(path, await leaf.read()) },
  ) as Lazy<P>
  const loss = lossOf(tuned)
  const { metrics: _, ...declared } = tuned.model
  // an expression is its own output
  const model = { ...declared, forward: () => expression as Tensor<Shape>, loss: () => loss }
  const derived: Step<P, Q, M, readonly [], B, Tensor<Shape>, never> = {
    tuned: { ...tuned, model },
    state: [],
    update: (gradient, state) => [gradient, state],
  }
  await using session = await compile(derived, { target, weights: noted, dims })
  const values: Value<Shape>[] = []
  for (const batch of batches) values.push(await session.predict(batch))
  return { target: session.target, values, columns: session.selection, sizes }
}

/** Tests whether an expression depends on a batch alone. */
export const isOfBatch = (batch: unknown, expression: Node): boolean => {
  const own = new Set(tensorsOf(batch).map(([, leaf]) => leaf))
  return topological([expression]).every(n => !is(n, placeholderOp) || own.has(n))
}

/** Evaluates expressions of a batch alone, in float64. `known` holds the sizes of the model's leaves. */
export const ofBatch = <P, Q, M, S, B, O, K extends string>(
  { tuned: { model } }: Step<P, Q, M, S, B, O, K>,
  expressions: readonly Node[],
  batch: Values<B>,
  dims: Dims,
  known: Sizes,
): readonly Numbers[] => {
  const values = new Map(leaves<Value<Shape, DType>>(batch, isValue))
  const fed = tensorsOf(model.batch).flatMap(([path, leaf]) => {
    const value = values.get(path)
    return value ? [{ path, leaf, value }] : []
  })
  const said = [
    ...tensorsOf(model.params).flatMap(([where, { shape }]) => {
      const sizes = known.get(where)
      return sizes ? [{ where, shape, sizes }] : []
    }),
    ...fed.map(({ path, leaf, value }) => ({ where: `${path} of the batch`, shape: leaf.shape, sizes: value.sizes })),
  ]
  const size = sizing(
    bindDims([...given('the model', model.dims ?? {}), ...said, ...given('dims', dims)]),
    model.capacities,
  )
  return interpret(
    expressions,
    new Map(fed.map(({ leaf, value: { sizes, data } }) => [leaf, { sizes, data: Float64Array.from(data) }])),
    size,
  )
}
