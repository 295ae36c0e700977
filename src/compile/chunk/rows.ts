import {
  composites,
  concatOp,
  contractOp,
  is,
  maxOp,
  oneHotOp,
  padOp,
  pickOp,
  sliceOp,
  sumOp,
  takeOp,
  transposeOp,
  type Dim,
  type Node,
  type Op,
} from '../../tensor/index.ts'
import { elementwiseOps } from '../ops.ts'

/** How ops go over rows: which rows of their inputs give which rows of their result. */

/** For each input of a node, the axis along which it is cut, or nothing where it stays whole. */
export type Cuts = readonly (number | undefined)[]

const activations: ReadonlySet<Op> = new Set<Op>([composites.silu, composites.siluGrad, composites.gelu])
/**
 * Ops that work along the last axis of their first input, and on every row alone; of the inputs, how many have the
 * rows.
 */
const alongLast: ReadonlyMap<Op, number> = new Map<Op, number>([
  [composites.softmax, 1],
  [composites.softmaxGrad, 2],
  [composites.rmsNorm, 1],
  [composites.rmsNormGrad, 2],
  [composites.crossEntropy, 2],
  [composites.crossEntropyGrad, 3],
  [pickOp, 2],
])

const at = (index: number): number | undefined => (index < 0 ? undefined : index)

/**
 * Where a node's inputs are cut so that its result is cut along an axis; nothing where its rows do not follow from
 * rows.
 */
export const cutsOf = (n: Node, axis: number): Cuts | undefined => {
  const [x] = n.inputs
  if (elementwiseOps.has(n.op) || activations.has(n.op)) {
    return n.inputs.map(input => {
      const own = axis - (n.shape.length - input.shape.length)
      return own < 0 || input.shape[own] !== n.shape[axis] ? undefined : own
    })
  }
  const rows = alongLast.get(n.op)
  if (rows !== undefined)
    return axis < x!.shape.length - 1 ? n.inputs.map((_, i) => (i < rows ? axis : undefined)) : undefined
  if (is(n, contractOp)) {
    const { a, b, out } = n.attributes
    const letter = out[axis]!
    return [at(a.indexOf(letter)), at(b.indexOf(letter))]
  }
  if (is(n, transposeOp)) return [n.attributes.permutation[axis]!]
  if (is(n, takeOp)) return axis === n.attributes.axis ? [undefined, 0] : [axis, undefined]
  if (is(n, sliceOp) || is(n, padOp) || is(n, concatOp))
    return axis === n.attributes.axis ? undefined : n.inputs.map(() => axis)
  if (is(n, oneHotOp)) return axis < x!.shape.length ? [axis] : undefined
  if (is(n, sumOp) || is(n, maxOp)) {
    const { axes, keepDims } = n.attributes
    const kept = x!.shape.flatMap((_, i) => (!keepDims && axes.includes(i) ? [] : [i]))
    return axes.includes(kept[axis]!) ? undefined : [kept[axis]!]
  }
  return undefined
}

/** Where a node's inputs are cut so that its result is a sum over the pieces, if one of them is cut along an axis. */
export const summedCutsOf = (n: Node, input: Node, axis: number): Cuts | undefined => {
  if (is(n, sumOp)) return n.attributes.axes.includes(axis) ? [axis] : undefined
  if (!is(n, contractOp)) return undefined
  const { a, b, out } = n.attributes
  const letter = n.inputs[0] === input ? a[axis]! : b[axis]!
  return out.includes(letter) ? undefined : [at(a.indexOf(letter)), at(b.indexOf(letter))]
}

/** True if a dim is another, or a product with it. */
export const hasFactor = (dim: Dim, factor: Dim): boolean => String(dim).split('*').includes(String(factor))
