import { factors, topological, type Dim, type Node } from '../tensor/index.ts'

/** Tests whether a dim equals another, or is a product with it. */
export const hasFactor = (dim: Dim, factor: Dim): boolean => dim === factor || factors(dim).includes(factor)

/** All names in the dims of expressions, within blocks too: the sizes that a program of them may need. */
export const namesIn = (roots: readonly Node[]): ReadonlySet<string> =>
  new Set(
    topological(roots).flatMap(n =>
      [...n.shape, ...n.op.dims(n.attributes)].flatMap(factors).filter(factor => typeof factor === 'string'),
    ),
  )
