import { broadcastToOp, is, node, rebuild, type Dim, type Node, type Shape } from '../../tensor/index.ts'

/** The nodes that can run inside a kernel over rows, and the neighbours that go over the same rows. */

/** Tests for a node that computes nothing, and is worth a kernel only together with one that does. */
export const isMovement = (n: Node): boolean => n.op.kind === 'movement'

/** Tests whether the dims that a kernel over rows would hold as constants are static. */
const hasStaticDims = (n: Node, isStaticDim: (dim: Dim) => boolean): boolean =>
  n.op.dims(n.attributes).every(isStaticDim)

/** The axes of a node's first input that run along an axis of the result, by those of the result. */
const alongFirst = (n: Node): readonly (number | undefined)[] => n.shape.map((_, axis) => n.op.along(n, axis)?.[0])

/** Tests for parts and concatenations of rows whose places depend on no data. */
const movesWithinRows = (n: Node, isStaticDim: (dim: Dim) => boolean): boolean =>
  isMovement(n) &&
  n.op.indices === undefined &&
  n.shape.length === n.inputs[0]!.shape.length &&
  hasStaticDims(n, isStaticDim) &&
  alongFirst(n).every((axis, i) => (i === n.shape.length - 1 ? axis === undefined : axis === i))

/** Tests for a reduction of rows, which a vector does not have. */
const reducesRows = (n: Node): boolean => {
  if (n.op.kind !== 'reduction') return false
  const last = n.inputs[0]!.shape.length - 1
  const kept = alongFirst(n).filter(axis => axis !== undefined)
  return last > 0 && kept.length === last && !kept.includes(last)
}

/**
 * Tests for nodes that can run inside a kernel over rows: elementwise ops, reductions of rows, parts and concatenations
 * of rows, and the composites made of these. Integers stay outside: they are positions, few, and read by ops that are
 * not row-wise.
 */
export const isRowWise = (n: Node, isStaticDim: (dim: Dim) => boolean): boolean =>
  (n.dtype === 'f32' || n.dtype === 'bool') &&
  (n.op.kind === 'elementwise' ||
    n.op.kind === 'rows' ||
    (!isInline(n, isStaticDim) && movesWithinRows(n, isStaticDim)) ||
    reducesRows(n))

/** Tests for nodes that every kernel that reads them computes by itself: constants, and repeated constants. */
export const isInline = (n: Node, isStaticDim: (dim: Dim) => boolean): boolean =>
  (n.op.kind === 'source' || is(n, broadcastToOp)) && hasStaticDims(n, isStaticDim)

/**
 * Tests whether a node goes over the same rows as the value that it reads from another, so that one kernel computes
 * both without computing anything twice.
 */
export const sameRows = (producer: Node, read: Node, consumer: Node): boolean =>
  alike(producer.shape, read.shape) && (consumer.op.kind === 'reduction' || alike(read.shape, consumer.shape))

/** Tests for shapes that are equal except for the last axis. */
const alike = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, axis) => axis === a.length - 1 || dim === b[axis])

/**
 * f(broadcastTo(x), y) = f(x, y) for elementwise f, if y alone has the shape: an elementwise op repeats its operands
 * itself.
 */
export const withoutBroadcasts = (roots: readonly Node[]): readonly Node[] =>
  roots.map(
    rebuild(roots, n => {
      if (n.op.kind !== 'elementwise') return n
      return n.inputs.reduce((done, _, i) => {
        const input = done.inputs[i]!
        if (!is(input, broadcastToOp)) return done
        const inputs = done.inputs.with(i, input.inputs[0]!)
        const signature = done.op.shape(inputs, done.attributes)
        return signature._tag === 'Right' && signature.right.shape.join() === n.shape.join()
          ? node(done.op, inputs, done.attributes)
          : done
      }, n)
    }),
  )
