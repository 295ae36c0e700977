import { forwardOf, scalar, show, ShapeMismatch, sumAndCount, type Node, type SumAndCount } from '../tensor/index.ts'
import { isTensor, placesOf, tensorsOf, type Tuned } from '../tune/index.ts'

/** A model's functions, applied to its parameters and its batch. */
export interface Traced {
  /** The tree of weights that the parameters represent. */
  readonly weights: unknown
  /** The outputs as the model declares them: a tensor, or a tree of tensors. */
  readonly outputs: unknown
  /** The leaves of the outputs, by path; the path of a single tensor is empty. */
  readonly outputLeaves: readonly (readonly [path: string, output: Node])[]
  /** Undefined for a model that only predicts. */
  readonly loss: SumAndCount | undefined
  readonly metrics: readonly (readonly [name: string, metric: SumAndCount])[]
  /** The buffers after a training step, in the order of the declared ones. */
  readonly buffers: readonly Node[]
}

/** The name of a buffer in messages and reports. @example bufferPath('norm.mean') is 'buffers.norm.mean' */
export const bufferPath = (path: string): string => (path === '' ? 'buffers' : `buffers.${path}`)

/** The buffers that a forward returns, in the order of the declared ones. */
const nextBuffers = (declared: unknown, returned: unknown): readonly Node[] => {
  const {
    places,
    others: [other],
  } = placesOf(declared, returned)
  if (other !== undefined)
    throw new ShapeMismatch(`the forward returns ${bufferPath(other)}, which the model does not declare`)
  return places.map(({ path, leaf, found }) => {
    if (!isTensor(found)) throw new ShapeMismatch(`the forward returns no ${bufferPath(path)}`)
    if (found.dtype !== leaf.dtype || show(found.shape) !== show(leaf.shape))
      throw new ShapeMismatch(
        `the forward returns ${bufferPath(path)} as ${found.dtype} ${show(found.shape)}, and it is ${leaf.dtype} ${show(leaf.shape)}`,
      )
    return found
  })
}

/**
 * Applies the functions of a tuned model to the weights that its parameters represent.
 * @throws {ShapeMismatch} if its outputs are no tensors, its loss or a metric is no average, or its buffers differ from
 * those that it declares
 */
export const declaredOf = <P, Q, M, B, O, K extends string, U>({
  model,
  weight,
  params,
}: Pick<Tuned<P, Q, M, B, O, K, U>, 'model' | 'weight' | 'params'>): Traced => {
  const weights = weight(params)
  const { outputs, buffers } = forwardOf(model, weights)
  const outputLeaves = tensorsOf(outputs)
  if (outputLeaves.length === 0)
    throw new ShapeMismatch('the forward of a model gives a tensor, or a tree of tensors: it gives none')
  return {
    weights,
    outputs,
    outputLeaves,
    loss: model.loss && sumAndCount('the loss', model.loss(outputs, model.batch, weights)),
    metrics: Object.entries<(outputs: O, batch: B, params: P) => unknown>(model.metrics ?? {}).map(([name, metric]) => [
      name,
      sumAndCount(`the metric ${name}`, metric(outputs, model.batch, weights)),
    ]),
    buffers: nextBuffers(model.buffers, buffers),
  }
}

/** The sum and the count of a loss; both are 0 if there is none, so that a step has nothing to learn from. */
export const lossOrNothing = ({ loss }: Pick<Traced, 'loss'>): SumAndCount =>
  loss ?? { sum: scalar(0), count: scalar(0) }
