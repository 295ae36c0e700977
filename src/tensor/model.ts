import { ShapeMismatch, type Node, type Tensor } from './node.ts'
import type { Shape } from './shape/dim.ts'

/** A sum over what is scored, and its count, so that several batches are divided once, by the sum of their counts. */
export interface Loss {
  readonly sum: Tensor<readonly []>
  readonly count: Tensor<readonly []>
}

/** A mean over named dims of a batch: `{ mean: add(mean(error), penalty), over: 'batch' }`. */
export interface MeanOver {
  readonly mean: Tensor<readonly []>
  readonly over: string | readonly string[]
}

/** Float32 numbers of any shape. */
export type Scores = Node & { readonly dtype: 'f32' }

/**
 * A quantity that is averaged over examples, such as a loss or a metric: one number for each example, in a tensor of
 * any shape; the `mean` of such a tensor; a mean over named dims; or a sum and a count.
 */
export type Averaged = Scores | MeanOver | Loss

/** The buffers that a function of a model takes after its other arguments, if the model declares any. */
export type BuffersGiven<U> = unknown extends U
  ? readonly never[]
  : [U] extends [undefined]
    ? readonly []
    : readonly [buffers: U]
/** The outputs of a model together with its buffers after a training step. */
export interface WithBuffers<O, U> {
  readonly outputs: O
  readonly buffers: U
}
/** A tree of tensors whose records and lists may be readonly. */
export type ReadonlyTree<T> = T extends Node ? T : { readonly [K in keyof T]: ReadonlyTree<T[K]> }
/** The result of a `forward` that is declared: any outputs, and all buffers if there are any. */
export type Returned<U> = [U] extends [undefined] ? unknown : WithBuffers<unknown, ReadonlyTree<U>>
/** The result of `forward`: the outputs, and the next buffers beside them if the model declares buffers. */
export type Forward<O, U> = unknown extends U
  ? O | WithBuffers<O, unknown>
  : [U] extends [undefined]
    ? O
    : WithBuffers<O, U>
/** The outputs in the result of `forward`. */
export type OutputsOf<R, U> = [U] extends [undefined]
  ? R
  : { readonly r: R } extends { readonly r: WithBuffers<infer O, unknown> }
    ? O
    : never

/** One step of generation: the cache of earlier tokens, and the function that reads more of them. */
export interface Decode<P, U = undefined> {
  /** The dims of the cache: keys and values of every layer, `capacity` positions each. */
  readonly cache: unknown
  /** New tokens `[batch, seq]` and the number of positions before them. */
  readonly batch: {
    readonly input_ids: Tensor<readonly ['batch', 'seq'], 'i32'>
    readonly position: Tensor<readonly [], 'i32'>
  }
  readonly step: (
    params: P,
    ...buffers: BuffersGiven<U>
  ) => { readonly logits: Tensor<readonly ['batch', 'seq', 'vocab']>; readonly cache: unknown }
}

/** Metrics by name: functions of the outputs, the batch and the parameters. */
export type Metrics<P, B, O, K extends string> = {
  readonly [N in K]: (outputs: O, batch: B, params: P) => Averaged
}

/**
 * A model: named shapes and pure functions. It knows no adapter and no target. `O` are its outputs, a tensor or a tree
 * of tensors, `K` the names of its metrics, and `U` its buffers.
 */
export interface Model<in out P, in out B, in out O, in K extends string = never, U = undefined> {
  readonly params: P
  /** State that is no parameter, such as running statistics; undefined if there is none. */
  readonly buffers: U
  readonly batch: B
  readonly forward: (params: P, batch: B, ...buffers: BuffersGiven<U>) => Forward<O, U>
  /** Undefined for a model that only predicts. */
  readonly loss?: (outputs: O, batch: B, params: P) => Averaged
  readonly metrics?: Metrics<P, B, O, K>
  /** Sizes that the model fixes. */
  readonly dims?: Readonly<Record<string, number>>
  /** Dims whose size is a product of other dims unless it is specified, such as the capacity for scored positions. */
  readonly capacities?: Readonly<Record<string, Shape>>
  readonly decode?: Decode<P, U>
}

/**
 * Declares a model: its parameters and batch as named shapes, and pure functions of them. `forward` gives the outputs:
 * a tensor, or a tree of tensors with names. `loss` averages over examples; see {@link Averaged}. `metrics` are
 * averaged in the same way when the model is evaluated. `buffers` is a tree of state that is no parameter, such as
 * running statistics. Then `forward` takes the buffers too, and returns `{ outputs, buffers }`; a session keeps these
 * buffers after a training step, and only then.
 * @example model({ params: { w: f32('in', 'out') }, batch: { x: f32('batch', 'in'), y: f32('batch', 'out') }, forward: (p, b) => matmul(b.x, p.w), loss: (out, b) => squaredError(out, b.y) })
 */
export const model = <P, B, R extends Returned<NoInfer<U>>, K extends string = never, U = undefined>(declaration: {
  readonly params: P
  readonly buffers?: U
  readonly batch: B
  readonly forward: (params: NoInfer<P>, batch: NoInfer<B>, buffers: NoInfer<U>) => R
  readonly loss?: (outputs: OutputsOf<R, U>, batch: NoInfer<B>, params: NoInfer<P>) => Averaged
  readonly metrics?: Metrics<NoInfer<P>, NoInfer<B>, OutputsOf<R, U>, K>
  readonly dims?: Readonly<Record<string, number>>
  readonly capacities?: Readonly<Record<string, Shape>>
  readonly decode?: Decode<NoInfer<P>, NoInfer<U>>
}): Model<P, B, OutputsOf<R, U>, K, U> =>
  // `tsc` does not decide for a type parameter if it is undefined
  declaration as unknown as Model<P, B, OutputsOf<R, U>, K, U>

/**
 * Applies the `forward` of any model to parameters: the outputs, and the next buffers, undefined if it has none.
 * @throws {ShapeMismatch} if a model with buffers does not return both
 */
export const forwardOf = <P, B, O, K extends string, U>(
  { batch, buffers, forward }: Pick<Model<P, B, O, K, U>, 'batch' | 'buffers' | 'forward'>,
  params: P,
): { readonly outputs: O; readonly buffers: unknown } => {
  // the form of a call follows from the declaration, of which `tsc` knows nothing here
  const apply = forward as unknown as (params: P, batch: B, buffers?: U) => unknown
  if (buffers === undefined) return { outputs: apply(params, batch) as O, buffers }
  const made = apply(params, batch, buffers)
  if (typeof made === 'object' && made !== null && 'outputs' in made && 'buffers' in made)
    return { outputs: made.outputs as O, buffers: made.buffers }
  throw new ShapeMismatch('the forward of a model with buffers returns { outputs, buffers }')
}
