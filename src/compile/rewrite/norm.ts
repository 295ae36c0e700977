import { addOp, is, mulOp, scalar, subOp, sumOp, u, type Dim, type Node } from '../../tensor/index.ts'
import { factorsOf } from './distribute.ts'
import type { Rule } from './rule.ts'
import { innerOf, isLowRankProduct, scaling, unused } from './weights.ts'

/** A low-rank product, and the number that multiplies it. */
interface Term {
  readonly product: Node
  readonly number: Node
}

const lowRankTerm = (n: Node, size: (dim: Dim) => number): Term | undefined => {
  const scaled = is(n, mulOp) ? scaling(n) : undefined
  if (scaled && scaled.axes.length > 0) return undefined
  const product = scaled?.whole ?? n
  return isLowRankProduct(product, size)
    ? { product, number: scaled ? u.reshape(scaled.factor, []) : scalar(1) }
    : undefined
}

/** The two terms of U + s A B or U − s A B, in either order; for a square, the sign of the whole does not matter. */
export const lowRankSumOf = (n: Node, size: (dim: Dim) => number): (Term & { readonly rest: Node }) | undefined => {
  if (!is(n, addOp) && !is(n, subOp)) return undefined
  const [x, y] = n.inputs as [Node, Node]
  const isSum = is(n, addOp)
  if (x.shape.join() !== y.shape.join()) return undefined
  for (const [candidate, rest] of [
    [y, x],
    [x, y],
  ] as const) {
    const term = lowRankTerm(candidate, size)
    if (term) return { product: term.product, number: isSum ? term.number : u.neg(term.number), rest }
  }
  return undefined
}

/**
 * Σᵢ (W + s A B)² = Σᵢ W² + s Σᵣ B (2 AᵀW + s AᵀA B): the norms of outputs that DoRA divides by, without computing W +
 * s A B (peft#3387). The part that depends on W alone is a separate term.
 */
export const lowRankNorm: Rule = {
  name: 'low-rank-norm',
  apply: (n, { size, isWeight }) => {
    const [square] = n.inputs
    if (!is(n, sumOp) || !is(square!, mulOp) || square.inputs[0] !== square.inputs[1]) return undefined
    const V = square.inputs[0]!
    const sum = isWeight(V) ? lowRankSumOf(V, size) : undefined
    if (!sum) return undefined
    const letters = 'abcdefgh'.slice(0, V.shape.length)
    const { axes } = n.attributes
    const summedOver = axes.map(axis => letters[axis]!).join('')
    const left = [...letters].filter(c => !summedOver.includes(c)).join('')
    const factors = factorsOf(sum.product, { a: summedOver, b: letters, out: left })
    if (!factors) return undefined
    const { near: A, far: B, a, b } = factors
    const { number, rest: W } = sum
    const inner = innerOf(factors)
    const renames = new Map<string, string>()
    for (const c of inner) renames.set(c, unused(letters + inner + [...renames.values()].join('')))
    const again = (of: string): string => [...of].map(c => renames.get(c) ?? c).join('')
    const gram = u.contract(A, A, { a, b: again(a), out: inner + again(inner) })
    const ofW = u.contract(A, W, { a, b: letters, out: b })
    const ofFactors = u.contract(gram, B, { a: inner + again(inner), b: again(b), out: b })
    const crossed = u.sum(
      u.mul(B, u.add(u.mul(ofW, 2), u.mul(ofFactors, number))),
      [...inner].map(c => b.indexOf(c)),
    )
    const order = [...b].filter(c => !inner.includes(c))
    const added = u.reshape(
      u.transpose(
        crossed,
        [...left].map(c => order.indexOf(c)),
      ),
      n.shape,
    )
    return u.add(u.sumOfSquares(W, { axes, keepDims: n.attributes.keepDims }), u.mul(added, number))
  },
}
