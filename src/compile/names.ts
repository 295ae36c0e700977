import { factors, topological, type Dim, type Node } from '../tensor/index.ts'

/** True if a dim is another, or a product with it. */
export const hasFactor = (dim: Dim, factor: Dim): boolean => dim === factor || factors(dim).includes(factor)

/** Every name in the dims of expressions, within blocks too: what a program of them may ask the size of. */
export const namesIn = (roots: readonly Node[]): ReadonlySet<string> =>
  new Set(
    topological(roots).flatMap(n =>
      [...n.shape, ...n.op.dims(n.attributes)].flatMap(factors).filter(factor => typeof factor === 'string'),
    ),
  )
