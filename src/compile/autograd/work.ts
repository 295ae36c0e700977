import {
  contractOp,
  count,
  is,
  placeholder,
  topological,
  type Dim,
  type Kind,
  type Node,
  type Shape,
} from '../../tensor/index.ts'
import { elementBytes, placesOf, type Held, type Storage } from './storage.ts'

type Size = (dim: Dim) => number
const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0)

interface Value {
  readonly held: Held
  readonly shape: Shape
}
/** An op that PyTorch runs: what it reads and writes, and what it keeps for its backward pass. */
export interface Application {
  /** The operations of its matrix products, and those of the backward pass as a multiple of them, if that is fixed. */
  readonly products: () => number
  readonly again: number | undefined
  readonly kind: Kind
  readonly isView: boolean
  readonly operands: readonly Value[]
  readonly result: Value
  readonly kept: readonly Storage[]
  /** The tensors among them that are copies. */
  readonly copies: readonly Storage[]
  /** True if a gradient flows through it. */
  readonly flows: boolean
}

/** The work of a kernel: the operations of its matrix products, and the bytes that it reads and writes. */
export interface Work {
  readonly flops: number
  readonly bytes: number
}
/** The kernels of a pass, and their sums. */
export interface Pass extends Work {
  readonly kernels: readonly Work[]
}
/** The two passes of a training step in PyTorch. */
export interface StepWork {
  readonly forward: Pass
  readonly backward: Pass
}

/** The operations of the matrix products in an application of an op. */
export const productsOf = (n: Node, size: Size): number => {
  if (is(n, contractOp))
    return n.op.flops(
      n.inputs.map(input => input.shape.map(size)),
      n.attributes,
      { sizes: n.shape.map(size), size, inputs: n.inputs },
    )
  if (n.op.expand === undefined) return 0
  const leaves = n.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
  return sum(topological([n.op.expand(leaves, n.attributes)]).map(inner => productsOf(inner, size)))
}
const passOf = (kernels: readonly Work[]): Pass => ({
  flops: sum(kernels.map(({ flops }) => flops)),
  bytes: sum(kernels.map(({ bytes }) => bytes)),
  kernels,
})

/**
 * The kernels of a step: a kernel of an op reads its operands and writes its result, and a movement reads what it
 * writes. Backward, an op reads the gradient of its result and what it keeps, and writes a gradient for each operand that
 * needs one; one that keeps nothing passes the gradient on. Gradients of a value with several readers are added. Views
 * run nothing.
 */
export const workOf = (applications: readonly Application[], size: Size): StepWork => {
  const bytesOf = ({ held, shape }: Value): number => {
    const own = count(shape.map(size)) * elementBytes[held.element]
    return held.storage.isParameter ? own : Math.min(own, held.storage.bytes)
  }
  const forwardOf = ({ isView, kind, products, operands, result, copies }: Application): readonly Work[] => {
    const written = bytesOf(result)
    const read = operands.map(bytesOf).map(bytes => (kind === 'movement' ? Math.min(bytes, written) : bytes))
    return [
      ...(isView ? [] : [{ flops: products(), bytes: sum(read) + written }]),
      ...copies.map(({ bytes }) => ({ flops: 0, bytes: 2 * bytes })),
    ]
  }
  const gradientOf = ({ held, shape }: Value): Value => ({ held, shape: placesOf(shape, held.needs?.along) })
  const backwardOf = (application: Application): readonly Work[] => {
    const { flows, isView, kind, products, again, operands, result, kept } = application
    const needed = operands.filter(({ held }) => held.needs !== undefined)
    if (!flows || isView || needed.length === 0) return []
    const given = bytesOf(result)
    const read = sum([...new Set(kept)].map(({ bytes }) => bytes))
    if (kept.length === 0 && kind !== 'movement')
      return needed
        .map(bytesOf)
        .filter(bytes => bytes < given)
        .map(bytes => ({ flops: 0, bytes: given + bytes }))
    if (again !== undefined)
      return [{ flops: again * products(), bytes: given + read + sum(needed.map(of => bytesOf(gradientOf(of)))) }]
    return needed.map(of => {
      const gradient = gradientOf(of)
      const share = count(gradient.shape.map(size)) / count(of.shape.map(size))
      return { flops: products() * share, bytes: given + read / needed.length + bytesOf(gradient) }
    })
  }
  const readers = new Map<Held, { readonly value: Value; readonly times: number }>()
  for (const { flows, operands } of applications)
    for (const value of flows ? operands : [])
      if (value.held.needs !== undefined && !value.held.storage.isParameter)
        readers.set(value.held, { value, times: (readers.get(value.held)?.times ?? 0) + 1 })
  const additions = [...readers.values()].flatMap(({ value, times }) =>
    Array.from({ length: times - 1 }, () => ({ flops: 0, bytes: 3 * bytesOf(value) })),
  )
  return {
    forward: passOf(applications.flatMap(forwardOf)),
    backward: passOf([...applications.toReversed().flatMap(backwardOf), ...additions]),
  }
}
