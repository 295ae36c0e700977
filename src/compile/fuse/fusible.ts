import {
  broadcastToOp,
  composites,
  concatOp,
  constantOp,
  is,
  iotaOp,
  maxOp,
  node,
  padOp,
  rebuild,
  sizeOp,
  sliceOp,
  sumOp,
  type Axes,
  type Dim,
  type Node,
  type NodeOf,
  type Op,
  type Shape,
} from '../../tensor/index.ts'
import { elementwiseOps, namedDims } from '../ops.ts'

/** Which nodes can run inside a kernel that goes over rows, and which neighbours go over the same rows. */

const rowWise: ReadonlySet<Op> = new Set<Op>([
  composites.rmsNorm,
  composites.rmsNormGrad,
  composites.rope,
  composites.silu,
  composites.siluGrad,
  composites.gelu,
  composites.softmaxGrad,
])

/** A part or a join of rows: it computes nothing, and is worth a kernel only beside what does. */
export const isMovement = (n: Node): boolean => is(n, sliceOp) || is(n, padOp) || is(n, concatOp)
const isReduction = (n: Node): n is NodeOf<Axes> => is(n, sumOp) || is(n, maxOp)

/**
 * True for what can run inside a kernel over rows: elementwise ops, sums and maxima of rows, parts and joins of rows,
 * and the composites made of these. Integers stay outside: they are positions, few, and read by ops that are not
 * row-wise.
 */
export const isRowWise = (n: Node, isStaticDim: (dim: Dim) => boolean): boolean => {
  if (n.dtype !== 'f32' && n.dtype !== 'bool') return false
  const last = n.inputs[0] === undefined ? -1 : n.inputs[0].shape.length - 1
  if (isMovement(n))
    return (n as NodeOf<{ readonly axis: number }>).attributes.axis === last && namedDims(n).every(isStaticDim)
  // the sum of a vector has no rows
  if (isReduction(n)) return last > 0 && n.attributes.axes.join() === String(last)
  return elementwiseOps.has(n.op) || rowWise.has(n.op)
}

/** True for what every kernel that reads it makes for itself: numbers, and the same numbers repeated. */
export const isInline = (n: Node, isStaticDim: (dim: Dim) => boolean): boolean =>
  (is(n, constantOp) || is(n, sizeOp) || is(n, iotaOp) || is(n, broadcastToOp)) && namedDims(n).every(isStaticDim)

/**
 * True if a node goes over the same rows as what it reads from another, so that one kernel computes both without
 * computing anything twice.
 */
export const sameRows = (producer: Node, read: Node, consumer: Node): boolean =>
  alike(producer.shape, read.shape) && (isReduction(consumer) || alike(read.shape, consumer.shape))

/** Equal up to the last axis. */
const alike = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, axis) => axis === a.length - 1 || dim === b[axis])

/**
 * f(broadcastTo(x), y) = f(x, y) for elementwise f, where y alone has the shape: an elementwise op repeats its operands
 * itself.
 */
export const withoutBroadcasts = (roots: readonly Node[]): readonly Node[] =>
  roots.map(
    rebuild(roots, n => {
      if (!elementwiseOps.has(n.op)) return n
      return n.inputs.reduce((done, _, i) => {
        const input = done.inputs[i]!
        if (!is(input, broadcastToOp)) return done
        const next = node(done.op, done.inputs.with(i, input.inputs[0]!), done.attributes)
        return next.shape.join() === n.shape.join() ? next : done
      }, n)
    }),
  )
