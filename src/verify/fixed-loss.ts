import type { Dims, Session } from '../backend/index.ts'
import { count, type Shape, type Value } from '../tensor/index.ts'
import { isValue, leaves, type Focus, type Values } from '../tune/index.ts'
import { powerIteration, weightedSum, type PowerIteration } from './estimate.ts'

const isData = (leaf: unknown): leaf is Value<Shape, 'f32' | 'i32'> => isValue(leaf)
/** The data of a tree, by path. */
export const dataOf = (tree: unknown) => leaves(tree, isData)

/** The number of elements in a tree. */
export const sizeOf = (tree: unknown): number => dataOf(tree).reduce((sum, [, { sizes }]) => sum + count(sizes), 0)

/** The mean loss over fixed batches, as a function of the trained leaves of a session. */
export interface FixedLoss<T> {
  readonly value: () => Promise<number>
  /** The curvature at the present weights, by power iteration from a direction. */
  readonly curvature: (start: T, iterations: number) => Promise<PowerIteration<T>>
}

/** The loss over batches that stay the same: sums are divided once, by the total count. */
export const fixedLoss = async <P, Q, M, S, B, O, K extends string>(
  session: Session<P, Q, M, S, B, O, K>,
  batches: readonly Values<B>[],
  dims: Dims,
): Promise<FixedLoss<Values<Focus<Q, M>>>> => {
  const counts: number[] = []
  for (const batch of batches) counts.push((await session.evaluate(batch, dims)).count)
  const total = counts.reduce((sum, one) => sum + one, 0)
  const scored = batches.flatMap((batch, i) => (counts[i]! > 0 ? [{ batch, share: counts[i]! / total }] : []))
  return {
    value: async () => {
      let sum = 0
      for (const { batch } of scored) sum += (await session.evaluate(batch, dims)).sum
      return sum / total
    },
    curvature: (start, iterations) =>
      powerIteration(
        async direction => {
          const terms: (readonly [Values<Focus<Q, M>>, number])[] = []
          for (const { batch, share } of scored) terms.push([await session.hvp(batch, direction, dims), share])
          return weightedSum(terms)
        },
        start,
        { iterations },
      ),
  }
}
