import type { Model, Node, Shape } from '../../tensor/index.ts'
import { frozen, type Dynamic, type Frozen, type LeafMask } from '../mask.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'

/** A function of types: from the parameters P of a model to the tree Q that stands for them and the mask on Q. */
export interface Reparametrisation { readonly in: unknown; readonly params: unknown; readonly mask: unknown }
export type ParamsOf<F extends Reparametrisation, P> = (F & { readonly in: P })['params']
export type MaskOf<F extends Reparametrisation, P> = (F & { readonly in: P })['mask']

/** An index that a mask reads, and how it is chosen once the width of its leaf is known. */
export interface IndexChoice { readonly path: string; readonly index: Node; readonly choose: (width: number) => Int32Array }

/** A fine-tuning method: how it extends a parameter tree, what weights the tree stands for, what is trained. */
export interface Adapter<F extends Reparametrisation> {
  readonly name: string
  readonly apply: <P>(params: P) => {
    readonly params: ParamsOf<F, P>
    readonly mask: MaskOf<F, P>
    readonly weight: (params: ParamsOf<F, P>) => P
    readonly selections: readonly IndexChoice[]
  }
}

/** A model with what an adapter makes of it. */
export interface Tuned<P, Q, M, B, L extends Shape> {
  readonly method: string
  readonly params: Q
  readonly mask: M
  readonly weight: (params: Q) => P
  readonly selections: readonly IndexChoice[]
  readonly model: Model<P, B, L>
}

/** Applies a method to a model. @example adapt(model, paca({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })) */
export const adapt = <P, B, L extends Shape, F extends Reparametrisation>(model: Model<P, B, L>, adapter: Adapter<F>): Tuned<P, ParamsOf<F, P>, MaskOf<F, P>, B, L> =>
  ({ method: adapter.name, model, ...adapter.apply(model.params) })

/** The mask of leaves by name: what every method that keeps the tree as it is says of its targets. */
export type Select<P, T extends string, M> =
  string extends T ? Dynamic
  : P extends readonly (infer E)[] ? readonly Select<E, T, M>[]
  : { readonly [K in keyof P]: P[K] extends Node ? (K extends T ? M : 'all' extends T ? M : Frozen) : Select<P[K], T, M> }

/** Thrown where targets name nothing that there is; the sentence lists what there is. */
export class UnknownTarget extends Error {
  override readonly name = 'UnknownTarget'
}

/** The last word of a path is the name of a leaf. */
export const leafName = (path: string): string => path.slice(path.lastIndexOf('.') + 1)

/** Masks the leaves that targets name, freezes the rest. */
export const selectLeaves = <P>(params: P, targets: readonly string[], mask: (path: string) => { readonly mask: LeafMask['mask'] }): unknown => {
  const paths = tensorsOf(params).map(([path]) => path), names = [...new Set(paths.map(leafName))]
  const unknown = targets.find(target => !names.includes(target))
  if (unknown !== undefined) throw new UnknownTarget(`no module is called ${unknown}: there are ${names.join(', ')}`)
  return mapTree(params, isTensor, (_, path) => (targets.includes(leafName(path)) ? mask(path) : frozen))
}

