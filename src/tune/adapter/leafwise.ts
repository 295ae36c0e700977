import type { Node, Shape, Tensor } from '../../tensor/index.ts'
import { frozen, type Dynamic, type Frozen, type LeafMask } from '../mask.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import type { Addition, Adapter, IndexChoice, MaskOf, ParamsOf, Reparametrisation, Reparametrised } from './adapter.ts'

/** The mask of leaves by name: what a method that treats its targets alike says of them. */
export type Select<P, T extends string, M> =
  string extends T ? Dynamic
  : P extends readonly (infer E)[] ? readonly Select<E, T, M>[]
  : { readonly [K in keyof P]: P[K] extends Node ? (K extends T ? M : 'all' extends T ? P[K] extends { readonly dtype: 'f32' } ? M : Frozen : Frozen) : Select<P[K], T, M> }

/** A function of types on leaves: what stands in the place of a targeted one. */
export interface LeafFunction { readonly leaf: unknown; readonly becomes: unknown }

/** The tree with other things in the place of targeted leaves; opaque where only the run knows the targets. */
export type Extend<P, T extends string, F extends LeafFunction> =
  string extends T ? unknown
  : P extends readonly (infer E)[] ? readonly Extend<E, T, F>[]
  : { readonly [K in keyof P]: P[K] extends Node ? (K extends T ? (F & { readonly leaf: P[K] })['becomes'] : P[K]) : Extend<P[K], T, F> }

/** A method that puts a record of leaves in the place of each targeted one. */
export interface Leafwise<T extends string, F extends LeafFunction, M> extends Reparametrisation {
  readonly params: Extend<this['in'], T, F>
  readonly mask: Select<this['in'], T, M>
}

/** The dims of a matrix leaf `[in, out]`. */
export type Rows<L> = L extends Tensor<infer S extends Shape> ? S extends readonly [infer I extends string | number, unknown] ? I : never : never
export type Columns<L> = L extends Tensor<infer S extends Shape> ? S extends readonly [unknown, infer O extends string | number] ? O : never : never

/** Thrown where targets name nothing that there is, or nothing that the method can adapt; the sentence says what. */
export class UnknownTarget extends Error {
  override readonly name = 'UnknownTarget'
}

/** The last word of a path is the name of a leaf. */
export const leafName = (path: string): string => path.slice(path.lastIndexOf('.') + 1)

/** Whether a target means a path: the path itself, or words that it ends with, as PEFT has it. @example isTarget('layers.0.q_proj', 'q_proj') */
export const isTarget = (path: string, target: string): boolean => path === target || path.endsWith(`.${target}`)

/** The paths that targets mean. @throws {UnknownTarget} where one means none */
export const targeted = (params: unknown, targets: readonly string[]): ReadonlySet<string> => {
  const paths = tensorsOf(params).map(([path]) => path)
  const unknown = targets.find(target => !paths.some(path => isTarget(path, target)))
  if (unknown !== undefined) throw new UnknownTarget(`no module is called ${unknown}: there are ${[...new Set(paths.map(leafName))].join(', ')}`)
  return new Set(paths.filter(path => targets.some(target => isTarget(path, target))))
}

/** What a method makes of one leaf: what stands in its place, what of that is trained, what weight it stands for. */
export interface AdaptedLeaf<L> {
  readonly becomes: L
  /** A mask of the same structure. */
  readonly mask: L extends Node ? LeafMask : { readonly [K in keyof L]: LeafMask }
  readonly weight: (leaves: L) => Node
  readonly selections?: readonly IndexChoice[]
  readonly additions?: readonly Addition[]
}

/** The subtree of a tree at a path. */
export const subtree = (tree: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((node, key) => (node as Readonly<Record<string, unknown>>)[key], tree)

/** Applies a function to every targeted leaf; the others stay as they are, frozen. */
export const leafwise = <F extends Reparametrisation, L>(
  name: string, targets: readonly string[], adapted: (leaf: Node, path: string) => AdaptedLeaf<L>): Adapter<F> => ({
  name,
  apply: <P>(params: P) => {
    const paths = targeted(params, targets), leaves = tensorsOf(params).filter(([path]) => paths.has(path))
    const whole = leaves.find(([, { dtype }]) => dtype !== 'f32')
    if (whole) throw new UnknownTarget(`${name} trains real numbers, and ${whole[0]} is ${whole[1].dtype}`)
    const made = new Map(leaves.map(([path, leaf]) => [path, adapted(leaf, path)]))
    const weight = (q: unknown) => mapTree(params, isTensor, (_, path) => {
      const known = made.get(path)
      return known ? known.weight(subtree(q, path) as L) : subtree(q, path)
    })
    const all = [...made.values()]
    // the trees have the structures that the method's types compute from the names of the leaves
    return {
      params: mapTree(params, isTensor, (leaf, path) => made.get(path)?.becomes ?? leaf),
      mask: mapTree(params, isTensor, (_, path) => made.get(path)?.mask ?? frozen),
      weight,
      selections: all.flatMap(({ selections = [] }) => selections),
      additions: all.flatMap(({ additions = [] }) => additions),
    } as Reparametrised<P, ParamsOf<F, P>, MaskOf<F, P>>
  },
})

/** The dims of a leaf that a method takes for a matrix `[in, out]`. @throws {UnknownTarget} where it is none */
export const matrixDims = (method: string, leaf: Node, path: string): readonly [input: Shape[number], output: Shape[number]] => {
  const [input, output] = leaf.shape
  if (leaf.shape.length !== 2 || input === undefined || output === undefined) throw new UnknownTarget(`${method} adapts matrices, and ${path} is [${leaf.shape.join(', ')}]`)
  return [input, output]
}
