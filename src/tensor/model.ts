import type { Tensor } from './node.ts'
import type { Shape } from './shape/dim.ts'

/** A loss is a sum and a count, so that accumulation divides once. */
export interface Loss {
  readonly sum: Tensor<readonly []>
  readonly count: Tensor<readonly []>
}

/** One step of generation: the cache of earlier tokens, and the function that reads more of them. */
export interface Decode<P> {
  /** The dims of the cache: keys and values of every layer, `capacity` positions each. */
  readonly cache: unknown
  /** New tokens `[batch, seq]` and the number of positions before them. */
  readonly batch: {
    readonly input_ids: Tensor<readonly ['batch', 'seq'], 'i32'>
    readonly position: Tensor<readonly [], 'i32'>
  }
  readonly step: (params: P) => { readonly logits: Tensor<readonly ['batch', 'seq', 'vocab']>; readonly cache: unknown }
}

/** A model: named shapes and pure functions. It knows no adapter and no target. */
export interface Model<P, B, L extends Shape> {
  readonly params: P
  readonly batch: B
  readonly logits: (params: P, batch: B) => Tensor<L>
  readonly loss: (logits: Tensor<L>, batch: B) => Loss
  /** Sizes that the model fixes. */
  readonly dims?: Readonly<Record<string, number>>
  /** Dims whose size is a product of other dims unless it is specified, such as the capacity for scored positions. */
  readonly capacities?: Readonly<Record<string, Shape>>
  readonly decode?: Decode<P>
}

/**
 * Declares a model: its parameters and batch as named shapes, logits and loss as pure functions of them.
 * @example model({ params: { w: f32('in', 'out') }, batch: { x: f32('batch', 'in') }, logits: (p, b) => matmul(b.x, p.w), loss: … })
 */
export const model = <P, B, L extends Shape>(declaration: {
  readonly params: P
  readonly batch: B
  readonly logits: (params: NoInfer<P>, batch: NoInfer<B>) => Tensor<L>
  readonly loss: (logits: Tensor<L>, batch: NoInfer<B>) => Loss
  readonly dims?: Readonly<Record<string, number>>
  readonly capacities?: Readonly<Record<string, Shape>>
  readonly decode?: Decode<NoInfer<P>>
}): Model<P, B, L> => declaration
