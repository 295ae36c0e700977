import { flopsOf, peakOf, type Size } from '../../compile/index.ts'
import { bytesPerElement, count, factors, is, resultOp, type Dim, type DType, type Node } from '../../tensor/index.ts'
import type { Certificate } from '../session.ts'
import type { Compiled } from './compiled.ts'
import type { Precision } from './scope.ts'
import type { Held } from './resources.ts'
import type { GraphType } from './types.ts'

const bytesOfType = (type: GraphType): number => bytesPerElement[type as DType]
const heldBytes = (held: readonly Held[], size: Size): number =>
  held.reduce((sum, { type, variable }) => sum + count(variable.node.shape.map(size)) * bytesOfType(type), 0)

/** The bytes of a value in the type in which a precision stores it. */
export const storedBytes =
  ({ stored }: Precision) =>
  (n: Node, size: Size): number =>
    count(n.shape.map(size)) * bytesOfType(stored(n))

/** The bytes that a session of a graph holds between its steps: weights, separately held trained rows, and state. */
export const holdingBytes = (
  { holdings: { params, indices, parts, state } }: Compiled,
  size: Size,
): Pick<Certificate, 'weights' | 'state'> => ({
  weights: heldBytes([...params, ...indices, ...parts], size),
  state: heldBytes(state, size),
})

/** The bytes of everything held whose sizes the model fixes; they are known before the weights are given. */
export const fixedBytes = ({ holdings: { params, indices, parts, state }, dynamic }: Compiled, size: Size): number => {
  const isFixed = (dim: Dim): boolean =>
    factors(dim).every(factor => typeof factor === 'number' || !dynamic.includes(factor))
  return heldBytes(
    [...params, ...indices, ...parts, ...state].filter(({ variable }) => variable.node.shape.every(isFixed)),
    size,
  )
}

/**
 * The bytes that a step of a graph holds, as the compiler planned it. The memory that TensorFlow and Node hold before a
 * step is not included; TensorFlow may also run two things at once that the plan has one after the other.
 */
export const certified = (
  compiled: Compiled,
  size: Size,
  { accumulates = false }: { readonly accumulates?: boolean } = {},
): Certificate => {
  const { programs, whole, precision } = compiled
  const { sum, count: scored, buffers, gradients } = whole.gradients()
  const { norm, replaced } = whole.apply()
  const { weights, state } = holdingBytes(compiled, size)
  const bytes = storedBytes(precision)
  const single = (n: Node, of: Size): number => count(n.shape.map(of)) * bytesPerElement[n.dtype]
  const batch = programs.batch.reduce((all, [, leaf]) => all + single(leaf, size), 0)
  const roots = gradients.map(([, node]) => node)
  const forward = batch + peakOf([sum, scored, ...buffers, ...roots], { size, bytes })
  // the replacement of a variable is written in place by the loop that computes it
  const written = new Set(replaced.map(([, node]) => node))
  const kept = roots.reduce((all, node) => all + bytes(node, size), 0)
  const update =
    kept +
    peakOf([norm, ...written], { size, bytes: (n, of) => (written.has(n) && is(n, resultOp) ? 0 : single(n, of)) })
  // sums of gradients are held in float32 while the next micro-batch is computed
  const sums = accumulates ? programs.gradient.reduce((all, n) => all + single(n, size), 0) : 0
  const transient = Math.max(sums + forward, update)
  return {
    weights,
    state,
    transient,
    total: weights + state + transient,
    flops: flopsOf([sum, scored, ...buffers, ...roots], size),
  }
}
