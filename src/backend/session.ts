import type { Shape, Value } from '../tensor/index.ts'
import type { Focus, Values } from '../tune/index.ts'

/**
 * The report of a step: the mean loss before the update, the norm of the gradient before clipping, the number of scored
 * tokens.
 */
export interface StepResult {
  readonly loss: number
  readonly gradNorm: number
  readonly tokens: number
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
}

/** Generation: every call reads more tokens and returns their logits; earlier tokens are remembered. */
export interface Decoder {
  readonly position: number
  next(tokens: Value<Shape, 'i32'>): Promise<Value<Shape>>
  /** Forgets everything after a position. */
  rewind(position: number): void
  [Symbol.dispose](): void
}

/** Runs a step and owns the buffers; every program in it shares one set of weights. */
export interface Session<Q, M, S, B, L extends Shape> {
  /** The name of the target with its distinguishing settings, such as `tfjs wasm, 2 threads`. */
  readonly target: string
  /** The reason for this target, if `auto` chose it. */
  readonly reason?: string
  /** One update from the summed gradients of micro-batches, divided once by their summed counts. */
  step(batches: readonly Values<B>[], dims?: Dims): Promise<StepResult>
  steps(batches: AsyncIterable<readonly Values<B>[]> | Iterable<readonly Values<B>[]>): AsyncIterable<StepResult>
  evaluate(batch: Values<B>, dims?: Dims): Promise<{ readonly sum: number; readonly count: number }>
  /** Gradients of the mean loss of a batch with respect to the focus. */
  gradients(batch: Values<B>, dims?: Dims): Promise<Values<Focus<Q, M>>>
  /**
   * A Hessian-vector product: the Hessian of the mean loss of a batch, inside the focus, times a tangent with the
   * structure of the focus.
   */
  hvp(batch: Values<B>, tangent: Values<Focus<Q, M>>, dims?: Dims): Promise<Values<Focus<Q, M>>>
  logits(batch: Values<B>, dims?: Dims): Promise<Value<L>>
  /** A generator over sequences of at most `capacity` tokens. */
  decoder(options: { readonly batch: number; readonly capacity: number }): Decoder
  read(): Promise<{ readonly focus: Values<Focus<Q, M>>; readonly state: Values<S> }>
  write(saved: { readonly focus: Values<Focus<Q, M>>; readonly state: Values<S> }): Promise<void>
  /** The trained columns or entries, by the path of their leaf. */
  readonly selection: ReadonlyMap<string, Int32Array>
  certificate(batch: Dims): Certificate
  /** The most bytes that the target can hold, if there is such a limit. */
  readonly limit: number | undefined
  /** Bytes held now, as the target counts them. */
  bytes(): number
  [Symbol.asyncDispose](): Promise<void>
}
