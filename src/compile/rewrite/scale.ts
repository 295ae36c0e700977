import { count, node, u, type Node } from '../../tensor/index.ts'
import { factorsOf } from './distribute.ts'
import type { Rule } from './rule.ts'
import { applied, innerOf, isLowRankProduct, scaling, type Applied, type Scaled } from './weights.ts'

/** A factor whose axes have letters, in the form in which it broadcasts against a tensor with other letters. */
const aligned = (factor: Node, letters: string, target: string): Node => {
  const order = [...target].filter(c => letters.includes(c))
  const lead = order.length === 0 ? target.length : target.indexOf(order[0]!)
  const plain = u.transpose(
    u.reshape(
      factor,
      factor.shape.filter(dim => dim !== 1),
    ),
    order.map(c => letters.indexOf(c)),
  )
  return u.reshape(
    plain,
    Array.from(target.slice(lead), c => (letters.includes(c) ? plain.shape[order.indexOf(c)]! : 1)),
  )
}

/** x (s A B) = x ((s A) B) for a number s: it moves on to the factor of width r. */
const intoFactors = ({ x, a, b, out }: Applied, { op, whole, factor }: Scaled): Node | undefined => {
  const factors = factorsOf(whole, { a, b, out })
  if (!factors) return undefined
  const { near, far, ...letters } = factors
  return u.contract(x, u.contract(node(op, [near, aligned(factor, '', '')], {}), far, letters), { a, b, out })
}

/**
 * x (g W) = g (x W): a scaling makes no second copy of a weight. A number on a low-rank product moves to the value of
 * width r, a vector along the result to the result, and a vector along the input to the input: for a low-rank product
 * only if that is the narrower of the two.
 */
export const scaleProduct: Rule = {
  name: 'scale',
  apply: (n, context) => {
    const product = applied(n, context)
    const scaled = product && scaling(product.weight)
    if (!product || !scaled) return undefined
    const { x, a, b, out } = product
    const { op, whole, factor, axes } = scaled
    const letters = axes.map(axis => b[axis]!).join('')
    if (letters === '' && isLowRankProduct(whole, context.size)) return intoFactors(product, scaled)
    if ([...letters].every(c => out.includes(c)))
      return node(op, [u.contract(x, whole, { a, b, out }), aligned(factor, letters, out)], {})
    const met = innerOf(product)
    const elements = (of: readonly string[]): number => count(of.map(c => context.size(whole.shape[b.indexOf(c)]!)))
    const isNarrow = elements([...met]) < elements([...b].filter(c => !met.includes(c)))
    const isApart = isNarrow || !isLowRankProduct(whole, context.size)
    if (!isApart || ![...letters].every(c => met.includes(c))) return undefined
    return u.contract(node(op, [x, aligned(factor, letters, a)], {}), whole, { a, b, out })
  },
}
