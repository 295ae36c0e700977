import type { CompilerOptions, Programs, Step } from '../compile/index.ts'
import type { Environment, Node, Shape } from '../tensor/index.ts'
import type { Buffer } from './device.ts'
import type { Certificate } from './session.ts'
import type { StopSignal } from './turn.ts'

/** What a session reads of the programs that an engine runs. */
export type Declared = Pick<
  Programs,
  | 'params'
  | 'base'
  | 'indices'
  | 'caches'
  | 'trained'
  | 'state'
  | 'batch'
  | 'declared'
  | 'declaredLoss'
  | 'focusTree'
  | 'decode'
>

/** A batch that agrees with its declaration, with the sizes of all dims that a program needs. */
export interface FedBatch {
  readonly values: ReadonlyMap<string, Buffer>
  readonly sizes: Environment
}

/** A loss summed over scored tokens, and their count. */
export interface Sums {
  readonly loss: number
  readonly tokens: number
}
/** The same with the norm of the mean gradient, before clipping. */
export interface Stepped extends Sums {
  readonly gradNorm: number
}

/** What generation needs of an engine: a cache of fixed capacity. */
export interface EngineDecoder {
  /**
   * Writes `[batch, seq]` tokens into the cache from a position on, and returns their logits `[batch, seq, vocab]`;
   * `sizes` has `batch`, `capacity` and `seq`.
   */
  readonly next: (tokens: Buffer, position: number, sizes: Environment) => Promise<Buffer>
  readonly dispose: () => void
}

/**
 * What a target is to a session, which asks one question at a time: it holds a model's weights and an optimizer's
 * state, and runs a step's programs on them. What it is given has been checked; what every target does alike is the
 * session's.
 */
export interface Engine {
  /** The target's name with what distinguishes it, as `tfjs wasm, 2 threads`. */
  readonly name: string
  /** The most bytes that a session may hold, where there is such a limit. */
  readonly limit: number | undefined
  /**
   * One update from the summed gradients of micro-batches. Where `refusal` has something against its result, nothing
   * was updated.
   */
  readonly step: (batches: readonly FedBatch[]) => Promise<Stepped>
  readonly evaluate: (batch: FedBatch) => Promise<Sums>
  /** Sums of gradients, in the order of the trained leaves. */
  readonly gradients: (batch: FedBatch) => Promise<Sums & { readonly sums: readonly Buffer[] }>
  /** The Hessian of the loss sum times a tangent, inside what is trained; both in the order of the trained leaves. */
  readonly hvp: (
    batch: FedBatch,
    tangents: readonly Buffer[],
  ) => Promise<Sums & { readonly products: readonly Buffer[] }>
  readonly logits: (batch: FedBatch) => Promise<Buffer>
  readonly decoder: () => EngineDecoder
  /** The trained parts, in the order of the trained leaves. */
  readonly parts: () => Promise<readonly Buffer[]>
  readonly state: () => Promise<readonly Buffer[]>
  /**
   * Replaces the trained parts and the state, which it has read when it returns its promise: the caller may change them
   * from then on.
   */
  readonly write: (parts: readonly Buffer[], state: readonly Buffer[]) => Promise<void>
  /** What a step on a batch of these sizes will hold. */
  readonly certificate: (sizes: Environment) => Certificate
  /** Bytes held now, as the target's runtime counts them. */
  readonly bytes: () => number
  readonly dispose: () => Promise<void>
}

/** An engine that is still being given its model. */
export interface Loading {
  readonly programs: Declared
  /**
   * Takes a leaf of the parameters, in their order. A chosen index, `[rank]` i32, comes just before the leaf that it
   * belongs to.
   */
  readonly assign: (leaf: Node, value: Buffer) => Promise<void>
  /** Everything is assigned: makes the first optimizer state. `own` are the sizes that do not depend on a batch. */
  readonly start: (own: Environment) => Promise<Engine>
  /** Ends what has not started, or failed to. */
  readonly dispose: () => Promise<void>
}

/** Opens an engine for a step. What fails leaves nothing behind. A signal that is aborted ends its planning. */
export type OpenEngine = <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  compiler: CompilerOptions,
  signal?: StopSignal,
) => Promise<Loading>

/**
 * Why nothing may be updated, if that is so.
 * @example refusal({ loss: 3, tokens: 0 }) is 'the step has no scored token'
 */
export const refusal = ({ loss, tokens, gradNorm = 0 }: Sums & Partial<Stepped>): string | undefined =>
  !(tokens > 0)
    ? 'the step has no scored token'
    : !Number.isFinite(loss)
      ? `the loss is ${loss}: nothing was updated`
      : Number.isFinite(gradNorm)
        ? undefined
        : `the norm of the gradient is ${gradNorm}: nothing was updated`
