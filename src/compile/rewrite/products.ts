import { contractOp, count, is, node, product, reshaped, transposed, type Dim, type Node, type Op, type Shape } from '../../tensor/index.ts'
import * as E from 'fp-ts/lib/Either.js'
import type { Context, Rule } from './rule.ts'

/**
 * Lays every contraction out as what matrix kernels compute: `[batch, m, k] × [batch, k, n]`, both operands as they lie, with
 * the permutations around it explicit. Of the two ways round, `A B` or its transpose `Bᵀ Aᵀ`, the one that moves less is taken:
 * weights can be kept in any layout, but a right operand is packed anew at every product.
 */
export const laidOut: Rule = {
  name: 'products',
  apply: (n, context) => {
    if (!is(n, contractOp) || canonical(n.attributes.a, n.attributes.b, n.attributes.out)) return undefined
    const [x, y] = n.inputs as [Node, Node], { a, b, out } = n.attributes
    const straight = way(x, a, y, b, out, context), flipped = way(y, b, x, a, out, context)
    return (flipped.moved < straight.moved ? flipped : straight).build()
  },
}

/** The letters of a product that a kernel computes as it stands. */
const matrix = { a: 'mk', b: 'kn', out: 'mn' } as const, batched = { a: 'bmk', b: 'bkn', out: 'bmn' } as const
const canonical = (a: string, b: string, out: string): boolean => [matrix, batched].some(form => form.a === a && form.b === b && form.out === out)

/** Packing an element of a right operand takes about as long as moving this many. */
const packing = 4

const way = (left: Node, a: string, right: Node, b: string, out: string, { size, isStatic }: Context) => {
  const batch = [...a].filter(c => b.includes(c) && out.includes(c)), rows = [...a].filter(c => !b.includes(c))
  const inner = [...a].filter(c => b.includes(c) && !out.includes(c)), columns = [...b].filter(c => !a.includes(c))
  const orders = { left: [...batch, ...rows, ...inner], right: [...batch, ...inner, ...columns], result: [...batch, ...rows, ...columns] }
  const dimOf = (c: string): Dim => (a.includes(c) ? left.shape[a.indexOf(c)]! : right.shape[b.indexOf(c)]!)
  const elements = (letters: readonly string[]): number => count(letters.map(c => size(dimOf(c))))
  const moves = (letters: string, order: readonly string[], isFree: boolean): number => (isFree || letters === order.join('') ? 0 : elements(order))
  const merged = (...groups: readonly (readonly string[])[]): Shape => groups.map(group => dimOfAll(group.map(dimOf)))
  const arranged = (operand: Node, letters: string, order: readonly string[], shape: Shape): Node =>
    reshaped(transposed(operand, order.map(c => letters.indexOf(c))), shape)
  return {
    moved: moves(a, orders.left, isStatic(left)) + moves(b, orders.right, isStatic(right)) + moves(out, orders.result, false) + packing * elements(orders.right),
    build: (): Node => {
      const lead = batch.length > 0 ? [batch] : [], form = batch.length > 0 ? batched : matrix
      const multiplied = node(contractOp as Op<typeof form>, [
        arranged(left, a, orders.left, merged(...lead, rows, inner)), arranged(right, b, orders.right, merged(...lead, inner, columns))], form)
      return transposed(reshaped(multiplied, orders.result.map(dimOf)), [...out].map(c => orders.result.indexOf(c)))
    },
  }
}

const dimOfAll = (dims: Shape): Dim => {
  const joined = product(dims)
  if (E.isLeft(joined)) throw new RangeError(joined.left)
  return joined.right
}
