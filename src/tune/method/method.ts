import type { Dim, Model, Node, RandomKey, Shape, Value } from '../../tensor/index.ts'
import type { Dynamic } from '../mask.ts'

/** A function of types: from the parameters P of a model to the tree Q that replaces them and the mask on Q. */
export interface Reparametrisation {
  readonly in: unknown
  readonly params: unknown
  readonly mask: unknown
  /** `unknown`, or the error if the method cannot be applied to such parameters. */
  readonly fault: unknown
}
export type ParamsOf<F extends Reparametrisation, P> = (F & { readonly in: P })['params']
export type MaskOf<F extends Reparametrisation, P> = (F & { readonly in: P })['mask']
export type FaultOf<F extends Reparametrisation, P> = (F & { readonly in: P })['fault']

/**
 * An index that a mask reads, and the rule that chooses it once its leaf is read: several leaves may share an index.
 */
export interface IndexChoice {
  readonly path: string
  readonly index: Node
  /** The kind of part that is chosen. */
  readonly among: 'columns' | 'entries'
  readonly choose: (leaf: Value<Shape>) => Int32Array
}

/** The first value of a leaf. */
export type FirstValue = Value<Shape> | Value<Shape, 'i32'>

/** The facts that are known when an added leaf gets its first value. */
export interface Given {
  /** The leaf of the base that the value belongs to. */
  readonly base: Value<Shape>
  readonly size: (dim: Dim) => number
  /** The index that was chosen for the leaf. */
  readonly chosen: (index: Node) => Int32Array
}

/**
 * Leaves that a method adds to the tree, and their first values: made while a model is loaded, as soon as their leaf of
 * the base was read; those without such a leaf are made after all others.
 */
export type Addition = { readonly leaves: readonly Node[] } & (
  | { readonly of: string; readonly make: (given: Given) => readonly FirstValue[] }
  | { readonly of?: undefined; readonly make: (given: Pick<Given, 'size'>) => readonly FirstValue[] }
)

/**
 * A program's source of random numbers: its key, which is an input (the seed's lower and upper half, the number of the
 * micro-batch), and the seed.
 */
export interface RandomSource {
  readonly key: RandomKey
  readonly seed: number
}

/** The result of applying a method to a parameter tree. */
export interface Reparametrised<P, Q, M> {
  readonly params: Q
  readonly mask: M
  /**
   * The weights that the tree represents. It is a method, so that a method on a known tree is also one on an unknown
   * tree.
   */
  weight(params: Q): P
  readonly selections: readonly IndexChoice[]
  readonly additions: readonly Addition[]
  readonly random?: RandomSource
}

/** The result for a tree whose targets are only known at run time. */
export interface Opaque extends Reparametrisation {
  readonly params: unknown
  readonly mask: Dynamic
}

/**
 * A fine-tuning method: its extension of a parameter tree, the weights that the tree represents, and the trained part.
 */
export interface Method<F extends Reparametrisation> {
  readonly name: string
  readonly apply: <P>(params: P) => Reparametrised<P, ParamsOf<F, P>, MaskOf<F, P>>
}

/** A model with a method applied to it. */
export interface Tuned<
  in out P,
  out Q,
  out M,
  in out B,
  in out O,
  in K extends string = never,
  U = unknown,
> extends Reparametrised<P, Q, M> {
  readonly method: string
  readonly model: Model<P, B, O, K, U>
}

/** Applies a method to a model. @example adapt(model, paca({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })) */
export const adapt = <P, B, O, K extends string, U, F extends Reparametrisation>(
  model: Model<P, B, O, K, U>,
  method: Method<F> & FaultOf<F, P>,
): Tuned<P, ParamsOf<F, P>, MaskOf<F, P>, B, O, K, U> => ({ method: method.name, model, ...method.apply(model.params) })
