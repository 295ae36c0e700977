import type { Node, Shape, Tensor } from '../../tensor/index.ts'
import { frozen, type LeafMask } from '../mask.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import type { Addition, Adapter, IndexChoice, MaskOf, ParamsOf, Reparametrisation, Reparametrised } from './adapter.ts'
import { targeted, UnknownTarget, type Extend, type LeafFunction, type Select, type TargetFault } from './targets.ts'

/** A method that puts a record of leaves in the place of each targeted one. */
export interface Leafwise<T extends string, F extends LeafFunction, M> extends Reparametrisation {
  readonly params: Extend<this['in'], T, F>
  readonly mask: Select<this['in'], T, M>
  readonly fault: TargetFault<this['in'], T>
}

/** The dims of a matrix leaf `[in, out]`. */
export type Rows<L> = L extends Tensor<infer S extends Shape> ? S extends readonly [infer I extends string | number, unknown] ? I : never : never
export type Columns<L> = L extends Tensor<infer S extends Shape> ? S extends readonly [unknown, infer O extends string | number] ? O : never : never

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
