import type { Shape, Tensor, Value } from '../tensor/index.ts'
import type { AnyValue, Focus, Settings, Tree, Values } from '../tune/index.ts'
import type { StopSignal } from './turn.ts'

/**
 * The report of a step: the mean loss before the update, the norm of the gradient before clipping, the number of scored
 * tokens.
 */
export interface StepResult {
  readonly loss: number
  readonly gradNorm: number
  readonly tokens: number
}

/**
 * A loss over one or several batches: its mean, the sum and the count that it is made of, and the mean of each metric.
 */
export interface Evaluated<K extends string = never> {
  readonly loss: number
  readonly sum: number
  readonly count: number
  readonly metrics: { readonly [N in K]: number }
}

/** Sizes for one call, if they differ from those of the session: `{ scored: 72 }`. */
export type Dims = Readonly<Record<string, number>>

/** The bytes that a step will hold. */
export interface Certificate {
  /** Parameters, in every layout that is kept. */
  readonly weights: number
  readonly state: number
  /** The most that a step holds in addition to weights and state. */
  readonly transient: number
  readonly total: number
  /** The floating-point operations of a step's loss and gradients. */
  readonly flops: number
  /** The same of the plan that recomputes nothing, if the session was asked to recompute or to stay within a budget. */
  readonly instead?: Pick<Certificate, 'total' | 'flops'>
}

/** Generation: every call reads more tokens and returns their logits; earlier tokens are remembered. */
export interface Decoder {
  readonly position: number
  next(tokens: Value<Shape, 'i32'>): Promise<Value<Shape>>
  /** Forgets everything after a position. */
  rewind(position: number): void
  [Symbol.dispose](): void
}

/** The data for a declared tree, of which leaves may be missing. */
export type SomeValues<T> =
  T extends Tensor<infer S, infer D>
    ? Value<S, D>
    : T extends readonly unknown[]
      ? { readonly [I in keyof T]?: SomeValues<T[I]> }
      : { readonly [I in keyof T as Exclude<I, symbol>]?: SomeValues<T[I]> }

/** The state of a session as a tree of values: what `checkpoint` gives and `restore` takes, also after a file. */
export type SavedSession = Tree<AnyValue>

/** One batch after the other. */
export type Batches<B> = Iterable<Values<B>> | AsyncIterable<Values<B>>

/** Runs a step and owns the buffers; every program in it shares one set of weights. */
export interface Session<P, Q, M, S, B, O, K extends string = never, U = unknown> {
  /** The name of the target with its distinguishing settings, such as `tfjs wasm, 2 threads`. */
  readonly target: string
  /** The reason for this target, if `auto` chose it. */
  readonly reason?: string
  /** One update from a batch, or from the summed gradients of micro-batches, divided once by their summed counts. */
  step(batches: Values<B> | readonly Values<B>[], dims?: Dims): Promise<StepResult>
  /** One update for each batch. Once a `signal` is aborted, the iteration ends after the current step. */
  steps(
    batches: Batches<B> | AsyncIterable<readonly Values<B>[]> | Iterable<readonly Values<B>[]>,
    options?: { readonly signal?: StopSignal | undefined },
  ): AsyncIterable<StepResult>
  /** The mean loss and the metrics over one batch, or over all of several. */
  evaluate(batches: Values<B> | Batches<B>, dims?: Dims): Promise<Evaluated<K>>
  /** The outputs of the model; the batch needs only the leaves that they are computed from. */
  predict(batch: SomeValues<B> | Values<B>, dims?: Dims): Promise<Values<O>>
  /** The loss of each example, if the model gives one for each. */
  perExample(batch: Values<B>, dims?: Dims): Promise<Value<Shape>>
  /**
   * The value of an expression of the model's parameters, of a batch and of the buffers, a tensor or a tree of tensors,
   * on the present weights and buffers.
   */
  compute<E>(
    expression: (params: P, batch: B, buffers: U) => E,
    batch?: SomeValues<B> | Values<B>,
    dims?: Dims,
  ): Promise<Values<E>>
  /** All parameters as the model sees them: what a method adds is merged into its weights. */
  params(): Promise<Values<P>>
  /** The present buffers of the model: those after the last step. */
  buffers(): Promise<Values<U>>
  /** Gradients of the mean loss of a batch with respect to the focus. */
  gradients(batch: Values<B>, dims?: Dims): Promise<Values<Focus<Q, M>>>
  /**
   * A Hessian-vector product: the Hessian of the mean loss of a batch, inside the focus, times a tangent with the
   * structure of the focus.
   */
  hvp(batch: Values<B>, tangent: Values<Focus<Q, M>>, dims?: Dims): Promise<Values<Focus<Q, M>>>
  /** A generator over sequences of at most `capacity` tokens. */
  decoder(options: { readonly batch: number; readonly capacity: number }): Decoder
  /** The focus, the optimizer's state, and the buffers of a model that has any. */
  read(): Promise<{ readonly focus: Values<Focus<Q, M>>; readonly state: Values<S>; readonly buffers: Values<U> }>
  /**
   * Replaces the leaves of the focus, of the state and of the buffers that it is given; the others keep their values.
   */
  write(saved: {
    readonly focus?: SomeValues<Focus<Q, M>>
    readonly state?: SomeValues<S>
    readonly buffers?: SomeValues<U>
  }): Promise<void>
  /**
   * Changes settings that `inject` keeps in the optimizer's state, from the next step on. Errors: a setting that no
   * transform has, or one out of its range.
   */
  set(settings: Settings<S>): Promise<void>
  /**
   * All that later steps depend on beside the base weights and the batches: what `read` gives, the selection, and the
   * place in the random numbers. A file holds it bit for bit: `save('run.safetensors', await run.checkpoint())`.
   */
  checkpoint(): Promise<SavedSession>
  /**
   * Goes back, or on, to a checkpoint of a session of the same step and the same base weights: later steps are those of
   * that session, bit for bit on the same target. Errors: it is of another step.
   */
  restore(saved: SavedSession): Promise<void>
  /** The trained columns or entries, by the path of their leaf. */
  readonly selection: ReadonlyMap<string, Int32Array>
  certificate(batch: Dims): Certificate
  /** The most bytes that the target can hold, if there is such a limit. */
  readonly limit: number | undefined
  /** Bytes held now, as the target counts them. */
  bytes(): number
  [Symbol.asyncDispose](): Promise<void>
}
