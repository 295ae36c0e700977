import { countedBy, indexedBy, overflowOf, type Programs } from '../compile/index.ts'
import { outside, type Dim, type Node, type Numbers } from '../tensor/index.ts'
import { SessionError, type Buffer } from './device.ts'

/**
 * Refuses data of a batch before anything runs: indices beyond a dim, which not every target refuses when it reads
 * them, and more nonzero elements than a capacity holds.
 * @throws {SessionError} such as `index 320 is not below 320`
 * @example checkingOf(programs.declaredLoss, programs.batch)(values, size)
 */
export const checkingOf = (roots: readonly Node[], batch: Programs['batch']) => {
  const leaves = batch.map(([, leaf]) => leaf)
  const paths = new Map(batch.map(([path, leaf]) => [leaf, path]))
  const find = () => ({ indices: indexedBy(roots, leaves), counts: countedBy(roots, leaves) })
  let found: ReturnType<typeof find> | undefined
  return (values: ReadonlyMap<string, Buffer>, size: (dim: Dim) => number): void => {
    const { indices, counts } = (found ??= find())
    const valueOf = (leaf: Node): Buffer => values.get(paths.get(leaf)!)!
    const refuse = (text: string | undefined): void => {
      if (text !== undefined) throw new SessionError(text)
    }
    for (const { leaf, within } of indices) refuse(outside(valueOf(leaf).data, size(within)))
    // usually the capacity suffices for everything
    const tight = counts.filter(({ vector, within }) => size(within) < size(vector.shape[0]!))
    if (tight.length === 0) return
    const feeds = new Map(
      leaves.map((leaf): readonly [Node, Numbers] => {
        const { sizes, data } = valueOf(leaf)
        return [leaf, { sizes, data: Float64Array.from(data as ArrayLike<number>) }]
      }),
    )
    for (const counted of tight) refuse(overflowOf(counted, feeds, size))
  }
}
