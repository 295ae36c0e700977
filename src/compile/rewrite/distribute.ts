import { addOp, contractOp, is, node, subOp, u, type Contraction, type Node } from '../../tensor/index.ts'
import type { Rule } from './rule.ts'
import { applied, innerOf, isLowRank, isLowRankProduct, relettered } from './weights.ts'

/**
 * Distributes products over low-rank weights, which makes adapters cheap: `x (W + s A B)` becomes `x W + s (x A) B`.
 * Neither the sum nor the product of the factors is ever computed, and only a value of width r is kept for each token.
 * The cost is lexicographic: first the memory that is held and kept, then operations. So the rule always applies, even
 * if it is more expensive for few tokens.
 */

/** x (U + D) = x U + x D, if one of the terms has low rank. */
export const distribute: Rule = {
  name: 'distribute',
  apply: (n, context) => {
    const product = applied(n, context)
    if (!product || !(is(product.weight, addOp) || is(product.weight, subOp))) return undefined
    const { x, weight, ...letters } = product
    const terms = weight.inputs
    if (
      !terms.every(term => term.shape.join() === weight.shape.join()) ||
      !terms.some(term => isLowRank(term, context.size))
    )
      return undefined
    return node(
      weight.op,
      terms.map(term => u.contract(x, term, letters)),
      weight.attributes,
    )
  },
}

/** Both orders of a product's factors, with their letters. */
const eitherWay = (
  [p, q]: readonly Node[],
  { a, b, out }: Contraction,
): readonly (Contraction & { readonly near: Node; readonly far: Node })[] => [
  { near: p!, far: q!, a, b, out },
  { near: q!, far: p!, a: b, b: a, out },
]

/**
 * A low-rank weight with the letters of the product around it: `near` is the factor that the activation meets first.
 */
export const factorsOf = (weight: Node, { a, b, out }: Contraction) => {
  if (!is(weight, contractOp)) return undefined
  const met = innerOf({ a, b, out })
  const only = (of: string, other: string): string =>
    [...of]
      .filter(c => !other.includes(c))
      .sort()
      .join('')
  return eitherWay(weight.inputs, relettered(weight.attributes, b, a + out)).find(
    way => only(way.a, way.b) === [...met].sort().join('') && ![...only(way.b, way.a)].some(c => a.includes(c)),
  )
}

/** x (A B) = (x A) B, if A B has low rank. */
export const associate: Rule = {
  name: 'associate',
  apply: (n, context) => {
    const product = applied(n, context)
    if (!product || !isLowRankProduct(product.weight, context.size)) return undefined
    const { x, a, out } = product
    const factors = factorsOf(product.weight, product)
    if (!factors) return undefined
    const { near, far, a: nearLetters, b: farLetters } = factors
    const met = innerOf(product)
    const narrow = [...a].filter(c => !met.includes(c)).join('') + innerOf(factors)
    return u.contract(u.contract(x, near, { a, b: nearLetters, out: narrow }), far, { a: narrow, b: farLetters, out })
  },
}
