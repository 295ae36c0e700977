import {
  bodyOf,
  gradients,
  interpret,
  whole,
  withBody,
  withInputs,
  u,
  type Gradients,
  type Node,
  type Numbers,
  type NodeOf,
  type Op,
} from '../../src/tensor/index.ts'
import { randomFrom, type Instance } from './op-subjects.ts'

/** Difference quotients and comparisons, for the laws. */

export const run = ({ feeds, size }: Pick<Instance, 'feeds' | 'size'>, roots: readonly Node[]): readonly Numbers[] =>
  interpret(roots, feeds, size)

/** Random numbers of given sizes in [-1, 1). */
export const noise = (sizes: readonly number[], seed: number): Numbers => {
  const random = randomFrom(seed)
  return { sizes, data: Float64Array.from({ length: sizes.reduce((n, size) => n * size, 1) }, () => 2 * random() - 1) }
}

export const dot = (a: Numbers, b: Numbers): number => a.data.reduce((sum, v, i) => sum + v * b.data[i]!, 0)
/** x + step · direction. */
export const moved = (x: Numbers, direction: Numbers, step: number): Numbers => ({
  sizes: x.sizes,
  data: x.data.map((v, i) => v + step * direction.data[i]!),
})

/** Equal up to rounding, relative to the larger of both if that is above 1. */
export const near = (a: number, b: number, tolerance = 1e-6): boolean =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b))
export const equal = (a: Numbers, b: Numbers, tolerance = 1e-9): boolean =>
  a.sizes.join() === b.sizes.join() &&
  a.data.length === b.data.length &&
  a.data.every((v, i) => near(v, b.data[i]!, tolerance))
export const allEqual = (a: readonly Numbers[], b: readonly Numbers[], tolerance?: number): boolean =>
  a.length === b.length && a.every((x, i) => equal(x, b[i]!, tolerance))

export type Differentiate = (root: Node, cotangent: Node, leaves: readonly Node[]) => Gradients['gradients']
export const differentiate: Differentiate = (root, cotangent, leaves) =>
  gradients([root], [cotangent], leaves.map(whole)).gradients

/**
 * The derivative of a sum of elements, weighed by a cotangent, along a direction in one leaf: a central difference of
 * `eval`.
 */
export const quotient = (
  instance: Pick<Instance, 'feeds' | 'size'>,
  root: Node,
  cotangent: Numbers,
  leaf: Node,
  direction: Numbers,
  step = 1e-5,
): number => {
  const value = (h: number): number =>
    dot(
      run({ ...instance, feeds: new Map(instance.feeds).set(leaf, moved(instance.feeds.get(leaf)!, direction, h)) }, [
        root,
      ])[0]!,
      cotangent,
    )
  return (value(step) - value(-step)) / (2 * step)
}

/** The same expression with the vjp of its last op (for a call: that of its block's end) wrong by a factor. */
export const wrongVjp = (root: Node): Node => {
  const call = root.inputs[0]
  const block = call && bodyOf(call)
  if (block) return withInputs(root, [withBody(call, { ...block, outputs: block.outputs.map(wrongVjp) })])
  const op: Op = { ...root.op, vjp: (n: NodeOf, dy) => root.op.vjp(n, dy).map(d => d && u.mul(d, 1.5)) }
  return { ...root, op }
}
