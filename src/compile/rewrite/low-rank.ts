import { addOp, contractOp, convOp, is, node, reshapeOp, u, type Dim, type Node } from '../../tensor/index.ts'
import { lowRankSumOf } from './norm.ts'
import type { Rule } from './rule.ts'

/**
 * Low-rank weights of convolutions, which are no products of letters: `conv(x, W + s A B)` becomes `conv(x, W) + s
 * conv(x, A) B`, as PEFT computes its LoRA, with A a convolution to r channels and B a product.
 */

/** W + s A B with A `[…, in, r]` and B `[r, out]`: the sum and the product of the factors never need to be made. */
const factored = (sum: Node, size: (dim: Dim) => number) => {
  // of a difference, the terms are known but for their sign
  const terms = is(sum, addOp) ? lowRankSumOf(sum, size) : undefined
  if (terms === undefined || !is(terms.product, contractOp)) return undefined
  const [A, B] = terms.product.inputs as [Node, Node]
  const { a, b, out } = terms.product.attributes
  return b.length === 2 && a.endsWith(b[0]!) && out === a.slice(0, -1) + b[1]!
    ? { W: terms.rest, A, B, number: terms.number, letters: { a, b, out } }
    : undefined
}

/** reshape(W + s A B) = reshape(W) + s reshape(A) B, if the outputs stay as they are. */
export const reshapeLowRank: Rule = {
  name: 'reshape-low-rank',
  apply: (n, { size, isWeight }) => {
    const [sum] = n.inputs
    if (!is(n, reshapeOp) || !isWeight(n) || n.shape.at(-1) !== sum!.shape.at(-1)) return undefined
    const found = factored(sum!, size)
    if (found === undefined) return undefined
    const { W, A, B, number } = found
    const rows = n.shape.slice(0, -1)
    const left = u.reshape(A, [...rows, A.shape.at(-1)!])
    const field = 'abcdefgh'.slice(0, rows.length)
    return u.add(
      u.reshape(W, n.shape),
      u.mul(u.contract(left, B, { a: `${field}y`, b: 'yz', out: `${field}z` }), number),
    )
  },
}

/** conv(x, W + s A B) = conv(x, W) + s conv(x, A) B. */
export const convolveLowRank: Rule = {
  name: 'convolve-low-rank',
  apply: (n, { size, isWeight }) => {
    const [x, weight] = n.inputs
    if (!is(n, convOp) || n.attributes.depthwise || isWeight(x!) || !isWeight(weight!)) return undefined
    const found = factored(weight!, size)
    if (found === undefined) return undefined
    const { W, A, B, number } = found
    const narrow = node(convOp, [x!, A], n.attributes)
    return u.add(
      node(convOp, [x!, W], n.attributes),
      u.contract(u.mul(narrow, number), B, { a: 'nhwr', b: 'ro', out: 'nhwo' }),
    )
  },
}
