import type { CompilerOptions, Programs, Step } from '../compile/index.ts'
import type { Environment, Node } from '../tensor/index.ts'
import type { Buffer } from './device.ts'
import type { Certificate } from './session.ts'
import type { StopSignal } from './turn.ts'

/** The parts of an engine's programs that a session reads. */
export type Declared = Pick<
  Programs,
  | 'params'
  | 'base'
  | 'indices'
  | 'caches'
  | 'trained'
  | 'state'
  | 'batch'
  | 'buffers'
  | 'declared'
  | 'declaredLoss'
  | 'streams'
  | 'keys'
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
/** The sum and the count of the loss, and those of every metric in its order. */
export interface Averages extends Sums {
  readonly metrics: readonly (readonly [sum: number, count: number])[]
}
/** Values of buffers, by the paths of their leaves among those of a batch. */
export type BufferValues = ReadonlyMap<string, Buffer>
/** The same with the norm of the mean gradient, before clipping, and with the buffers after the step. */
export interface Stepped extends Sums {
  readonly gradNorm: number
  readonly buffers: BufferValues
}

/** The part of an engine that generation needs: a cache of fixed capacity. */
export interface EngineDecoder {
  /**
   * Reads `[batch, seq]` tokens into the cache, from a position on, and returns their logits `[batch, seq, vocab]`;
   * `sizes` has `batch`, `capacity` and `seq`, and `buffers` has the present values of all buffers.
   */
  readonly next: (tokens: Buffer, position: number, sizes: Environment, buffers: BufferValues) => Promise<Buffer>
  readonly dispose: () => void
}

/**
 * A target from the point of view of a session, which makes one request at a time: it holds a model's weights and an
 * optimizer's state, and runs a step's programs on them. The session has checked all arguments; work that is the same
 * for every target is the session's.
 */
export interface Engine {
  /** The target's name with its distinguishing settings, such as `tfjs wasm, 2 threads`. */
  readonly name: string
  /** The most bytes that a session may hold, if there is such a limit. */
  readonly limit: number | undefined
  /**
   * One update from the summed gradients of micro-batches, each of which reads the buffers that the one before leaves;
   * the session keeps those of the last. If `refusal(result)` gives a reason, nothing was updated.
   */
  readonly step: (batches: readonly FedBatch[]) => Promise<Stepped>
  readonly evaluate: (batch: FedBatch) => Promise<Averages>
  /** Sums of gradients, in the order of the trained leaves. */
  readonly gradients: (batch: FedBatch) => Promise<Sums & { readonly sums: readonly Buffer[] }>
  /** The Hessian of the loss sum times a tangent, inside the trained part; both in the order of the trained leaves. */
  readonly hvp: (
    batch: FedBatch,
    tangents: readonly Buffer[],
  ) => Promise<Sums & { readonly products: readonly Buffer[] }>
  /** The outputs of the model, in the order of their leaves. */
  readonly predict: (batch: FedBatch) => Promise<readonly Buffer[]>
  /** The values of expressions of the parameters and of a batch, in which each has the leaves that it reads. */
  readonly compute: (expressions: readonly Node[], batch: FedBatch) => Promise<readonly Buffer[]>
  readonly decoder: () => EngineDecoder
  /** The trained parts, in the order of the trained leaves. */
  readonly parts: () => Promise<readonly Buffer[]>
  readonly state: () => Promise<readonly Buffer[]>
  /**
   * Replaces the trained parts and the state. It has read them when it returns its promise, so the caller may change
   * them from then on.
   */
  readonly write: (parts: readonly Buffer[], state: readonly Buffer[]) => Promise<void>
  /** The memory that a step on a batch of these sizes will hold. */
  readonly certificate: (sizes: Environment) => Certificate
  /** Bytes held now, as the target's runtime counts them. */
  readonly bytes: () => number
  readonly dispose: () => Promise<void>
}

/** An engine whose model is still being loaded. */
export interface Loading {
  readonly programs: Declared
  /**
   * Takes a leaf of the parameters, in their order. The index of a selection, `[rank]` i32, comes just before its leaf.
   */
  readonly assign: (leaf: Node, value: Buffer) => Promise<void>
  /**
   * Called once everything is assigned: initializes the optimizer's state. `own` are the sizes that do not depend on a
   * batch.
   */
  readonly start: (own: Environment) => Promise<Engine>
  /** Disposes of an engine that has not started, or failed to start. */
  readonly dispose: () => Promise<void>
}

/** The options for compiling and planning a step. */
export interface Planning extends CompilerOptions {
  /** The most bytes that a step may hold: the plan recomputes as little as that allows. */
  readonly memory?: number | undefined
  /** The sizes of a batch, and of what only the weights fix, for an engine that plans before it has them. */
  readonly batch?: Environment | undefined
}

/** Opens an engine for a step. A failure leaves nothing behind. Aborting the signal ends the planning. */
export type OpenEngine = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  planning: Planning,
  signal?: StopSignal,
) => Promise<Loading>

/** Sums and counts in the order in which an evaluation computes them. @example averagesOf([3, 2]) */
export const averagesOf = ([loss, tokens, ...rest]: readonly number[]): Averages => ({
  loss: loss!,
  tokens: tokens!,
  metrics: rest.flatMap((sum, i) => (i % 2 === 0 ? [[sum, rest[i + 1]!] as const] : [])),
})

/**
 * The reason why nothing may be updated, if there is one.
 * @example refusal({ loss: 3, tokens: 0 }) is 'the step has no scored token'
 */
export const refusal = ({ loss, tokens, gradNorm = 0, buffers }: Sums & Partial<Stepped>): string | undefined =>
  !(tokens > 0)
    ? 'the step has no scored token'
    : !Number.isFinite(loss)
      ? `the loss is ${loss}: nothing was updated`
      : !Number.isFinite(gradNorm)
        ? `the norm of the gradient is ${gradNorm}: nothing was updated`
        : buffers && wrongBuffer(buffers)

const wrongBuffer = (buffers: BufferValues): string | undefined => {
  for (const [path, { data }] of buffers) {
    const wrong = (data as Float32Array | Int32Array).find(x => !Number.isFinite(x))
    if (wrong !== undefined) return `${path} has become ${wrong}: nothing was updated`
  }
  return undefined
}

/**
 * The buffers among the results of a gradient program, at the paths of their leaves.
 * @example buffersOf(programs, [mean, variance])
 */
export const buffersOf = ({ buffers }: Pick<Declared, 'buffers'>, values: readonly Buffer[]): BufferValues =>
  new Map(buffers.map(([path], i) => [path, values[i]!]))

/** A batch with other values of buffers. */
export const withBuffers = (batch: FedBatch, buffers: BufferValues): FedBatch =>
  buffers.size === 0 ? batch : { ...batch, values: new Map([...batch.values, ...buffers]) }
