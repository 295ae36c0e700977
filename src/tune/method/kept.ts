import type { Shape, Value } from '../../tensor/index.ts'
import type { FirstValue, IndexChoice } from './method.ts'

/** The tensors that an adapter keeps for a module, as its method declares them. */

/**
 * A size by its meaning, or the size itself: `in` and `out` are those of the weight `[in, out]`, `r` is the rank of the
 * module, which is read back from it; other words belong to the method. Within a module, one word stands for one size.
 */
export type Word = string | number

/**
 * Numbers that an adapter keeps for a module, and their origin in a run: `trained` is a trained leaf below the path of
 * the module or, under the name `values`, the trained part of the module's own leaf; `before` is that part before the
 * first step; `frozen` is the first value of a frozen leaf that the method adds.
 */
export interface KeptNumbers {
  readonly dtype: 'F32'
  readonly sizes: readonly Word[]
  readonly from: 'trained' | 'frozen' | 'before'
}
/** The selection that a module is trained at. */
export interface KeptIndex {
  readonly dtype: 'I32'
  readonly sizes: readonly [Word]
  readonly from: 'index'
  readonly among: IndexChoice['among']
}
export type KeptTensor = KeptNumbers | KeptIndex

/** @example trained('in', 'r') */
export const trained = (...sizes: readonly Word[]): KeptNumbers => ({ dtype: 'F32', sizes, from: 'trained' })
/** @example keptFrozen('in', 'r') */
export const keptFrozen = (...sizes: readonly Word[]): KeptNumbers => ({ dtype: 'F32', sizes, from: 'frozen' })
/** @example before('r', 'out') */
export const before = (...sizes: readonly Word[]): KeptNumbers => ({ dtype: 'F32', sizes, from: 'before' })
/** @example chosenAmong('columns', 'r') */
export const chosenAmong = (among: KeptIndex['among'], size: Word): KeptIndex => ({
  dtype: 'I32',
  sizes: [size],
  from: 'index',
  among,
})

/** Tensors of an adapter by name. */
export type Form = Readonly<Record<string, KeptTensor>>
/** The possible forms of a module: its form is the one with the same names and numbers of sizes. */
export type Forms = readonly [Form, ...Form[]]
/** The tensors of a form, as data. */
export type TensorsOf<F extends Form> = F extends Form
  ? { readonly [N in keyof F]: F[N] extends KeptIndex ? Value<Shape, 'i32'> : Value<Shape> }
  : never
/** Tensors of one module or shared by all, by name, for any method. */
export type Tensors = Readonly<Record<string, FirstValue>>
