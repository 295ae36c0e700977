import { inputsAxis, type Dim, type Node, type Shape, type Tensor } from '../../tensor/index.ts'
import { frozen, type LeafMask } from '../mask.ts'
import { isTensor, mapBeside, mapTree, tensorsOf } from '../tree.ts'
import type { Addition, Method, IndexChoice, MaskOf, ParamsOf, Reparametrisation, Reparametrised } from './method.ts'
import {
  moduleOf,
  targeted,
  UnknownTarget,
  type Extend,
  type LeafFunction,
  type Select,
  type TargetFault,
} from './targets.ts'

/** A method that replaces each targeted leaf by a record of leaves. */
export interface Leafwise<T extends string, F extends LeafFunction, M> extends Reparametrisation {
  readonly params: Extend<this['in'], T, F>
  readonly mask: Select<this['in'], T, M>
  readonly fault: TargetFault<this['in'], T>
}

/** The dims of a matrix leaf `[in, out]`. */
export type In<L> =
  L extends Tensor<infer S extends Shape>
    ? S extends readonly [infer I extends string | number, unknown]
      ? I
      : never
    : never
export type Out<L> =
  L extends Tensor<infer S extends Shape>
    ? S extends readonly [unknown, infer O extends string | number]
      ? O
      : never
    : never

/** The dims before the inputs of a weight `[…, in, out]`, its inputs and its outputs. */
export type FieldOf<L> = L extends Tensor<infer S extends Shape> ? Split<S>[0] : never
export type ProductIn<L> = L extends Tensor<infer S extends Shape> ? Split<S>[1] : never
export type ProductOut<L> = L extends Tensor<infer S extends Shape> ? Split<S>[2] : never
type Split<S extends Shape> = S extends readonly [...infer F extends Shape, infer I extends Dim, infer O extends Dim]
  ? readonly [F, I, O]
  : readonly [never, never, never]

/** The adaptation of one leaf: its replacement, the trained part of that, and the weight that it represents. */
export interface AdaptedLeaf<L> {
  readonly becomes: L
  /** A mask of the same structure. */
  readonly mask: L extends Node ? LeafMask : { readonly [K in keyof L]: LeafMask }
  readonly weight: (leaves: L) => Node
  readonly selections?: readonly IndexChoice[]
  readonly additions?: readonly Addition[]
}

/**
 * Applies a function to every targeted leaf; the others stay unchanged and frozen. A leaf at several places is one
 * parameter: it is adapted once, and all its places get the adapted weight. The function receives the path of its
 * module.
 */
export const leafwise = <F extends Reparametrisation, L>(
  name: string,
  targets: readonly string[],
  adapted: (leaf: Node, path: string) => AdaptedLeaf<L>,
): Method<F> => ({
  name,
  apply: <P>(params: P) => {
    const paths = targeted(params, targets)
    const leaves = tensorsOf(params).filter(([path]) => paths.has(path))
    const whole = leaves.find(([, { dtype }]) => dtype !== 'f32')
    if (whole) throw new UnknownTarget(`${name} trains real numbers, and ${whole[0]} is ${whole[1].dtype}`)
    const made = new Map<Node, AdaptedLeaf<L>>()
    for (const [path, leaf] of leaves) if (!made.has(leaf)) made.set(leaf, adapted(leaf, moduleOf(path)))
    const at = (path: string, leaf: Node): AdaptedLeaf<L> | undefined => (paths.has(path) ? made.get(leaf) : undefined)
    const weight = (q: unknown) => {
      const weights = new Map<Node, Node>()
      mapBeside(params, isTensor, q, (leaf, own, path) => {
        const known = at(path, leaf)
        // the replacement has the structure that the method made
        if (known && !weights.has(leaf)) weights.set(leaf, known.weight(own as L))
      })
      return mapBeside(params, isTensor, q, (leaf, own) => weights.get(leaf) ?? own)
    }
    const all = [...made.values()]
    // the trees have the structures that the method's types compute from the names of the leaves
    return {
      params: mapTree(params, isTensor, (leaf, path) => at(path, leaf)?.becomes ?? leaf),
      mask: mapTree(params, isTensor, (leaf, path) => at(path, leaf)?.mask ?? frozen),
      weight,
      selections: all.flatMap(({ selections = [] }) => selections),
      additions: all.flatMap(({ additions = [] }) => additions),
    } as Reparametrised<P, ParamsOf<F, P>, MaskOf<F, P>>
  },
})

/**
 * The axis of a leaf's inputs.
 * @throws {UnknownTarget} if its declaration leaves that open
 */
export const inputsOf = (method: string, leaf: Node, path: string): number => {
  const axis = inputsAxis(leaf)
  if (axis === undefined)
    throw new UnknownTarget(
      `${method} trains inputs of a weight, and ${path} is [${leaf.shape.join(', ')}], whose inputs are on no declared axis: declare it as nn.Conv2d does, or by kernel`,
    )
  return axis
}

/**
 * The dims of a leaf that a method requires to be a matrix `[in, out]`, or a convolution `[…, in, out]`: its inputs
 * stand before its outputs, and these are the last axis.
 * @throws {UnknownTarget} if it is neither
 */
export const productDims = (
  method: string,
  leaf: Node,
  path: string,
): { readonly field: Shape; readonly input: Dim; readonly output: Dim } => {
  const at = leaf.shape.length - 2
  if (at < 0 || inputsAxis(leaf) !== at)
    throw new UnknownTarget(
      `${method} adapts matrices and convolutions [..., in, out], and ${path} is [${leaf.shape.join(', ')}]`,
    )
  return { field: leaf.shape.slice(0, at), input: leaf.shape[at]!, output: leaf.shape[at + 1]! }
}

/** The dims of a leaf that a method requires to be a matrix `[in, out]`. @throws {UnknownTarget} if it is not one */
export const matrixDims = (
  method: string,
  leaf: Node,
  path: string,
): readonly [input: Shape[number], output: Shape[number]] => {
  const [input, output] = leaf.shape
  if (leaf.shape.length !== 2 || input === undefined || output === undefined)
    throw new UnknownTarget(`${method} adapts matrices, and ${path} is [${leaf.shape.join(', ')}]`)
  return [input, output]
}
