import type { Dim, Shape } from './shape/dim.ts'

/** Places along an axis of a tensor: `dim` is their number. */
export interface Places {
  readonly axis: number
  readonly dim: Dim
}
/** The part of a tensor that requires a gradient: all of it, or some places along an axis. */
export interface Required {
  readonly along?: Places
}

/**
 * A tensor that PyTorch keeps for the backward pass of an op:
 * - an operand: as it is, converted to float32, a copy of some places of it, or repeated to a shape by libraries whose
 *   op cannot share its numbers;
 * - a table that is an operand twice over, of a shape of its own, which all readers of the operand share;
 * - the result;
 * - a tensor of its own: float32 numbers, numbers like those of the first operand, statistics of its rows, or the mask
 *   of a dropout.
 */
export type Saved =
  | { readonly operand: number; readonly as?: 'f32'; readonly along?: Places | undefined; readonly repeated?: Shape }
  | { readonly table: number; readonly shape: Shape }
  | 'result'
  | { readonly own: 'f32' | 'like' | 'statistics' | 'mask'; readonly shape: Shape }

/** The facts about an op in PyTorch from which follows what a step keeps there. The members are methods, as in `Op`. */
export interface Autograd<N> {
  /** The tensors that are kept, if one of the operands requires a gradient; `needs` has one place for each operand. */
  saves(node: N, needs: readonly (Required | undefined)[]): readonly Saved[]
  /** True if the result lies in the storage of the first operand. */
  readonly view?: boolean
  /** The precision under automatic mixed precision (default: the widest of the operands; `first`: the first one's). */
  readonly autocast?: 'half' | 'f32' | 'first'
  /** The products of the backward pass, in those of the forward pass (default: 1 for each operand with a gradient). */
  readonly products?: number
  /** The precision in which it runs part by part, as its expansion does (default: it is one kernel). */
  readonly parts?: 'f32' | 'like'
  /** The part of the result that requires a gradient (default: all of it). */
  requires?(node: N, needs: readonly (Required | undefined)[]): Required
}
type Facet = Autograd<{ readonly inputs: readonly unknown[] }>

/** Keeps nothing, such as a sum. */
export const savesNothing: Facet = { saves: () => [] }
/** Keeps nothing, and the result lies in the operand's storage, such as a transpose. */
export const isView: Facet = { saves: () => [], view: true }
/** Keeps all operands, such as a sine. */
export const savesOperands: Facet = { saves: ({ inputs }) => inputs.map((_, operand) => ({ operand })) }
/** Keeps the result, such as an exponential. */
export const savesResult: Facet = { saves: () => ['result'] }
/** Keeps an operand, such as the indices of a take. */
export const savesOperand = (operand: number): Facet => ({ saves: () => [{ operand }] })
/** Keeps operands and the result. */
export const savesBoth: Facet = { saves: ({ inputs }) => [...inputs.map((_, operand) => ({ operand })), 'result'] }
/** Of a product of two operands, keeps each whose other requires a gradient. */
export const savesOther: Facet = {
  saves: (_, [a, b]) => [...(b ? [{ operand: 0 }] : []), ...(a ? [{ operand: 1 }] : [])],
}
/** The same in float32 under automatic mixed precision. */
export const inF32 = (facet: Facet): Facet => ({ ...facet, autocast: 'f32' })
