import { contractOp, count, is, product, u, type Dim, type Node, type Shape } from '../../tensor/index.ts'
import type { Context, Rule } from './rule.ts'

/**
 * Lays every contraction out in the form that matrix kernels compute: `[batch, m, k] × [batch, k, n]`, with each
 * operand as stored or transposed, and the result `[batch, m, n]`. Everything else becomes permutations around the
 * product; of the two orders, `A B` and `Bᵀ Aᵀ`, the one that moves less data is chosen.
 */
export const laidOut: Rule = {
  name: 'products',
  apply: (n, context) => {
    if (!is(n, contractOp) || isMatrixProduct(n.attributes)) return undefined
    const [x, y] = n.inputs as [Node, Node]
    const { a, b, out } = n.attributes
    const ways = [...waysOf(x, a, y, b, out, context), ...waysOf(y, b, x, a, out, context)]
    return ways.reduce((best, way) => (way.moved < best.moved ? way : best)).build()
  },
}

/** Tests for the letters of a product that a kernel computes directly: `b` stands for the batch. */
export const isMatrixProduct = ({
  a,
  b,
  out,
}: {
  readonly a: string
  readonly b: string
  readonly out: string
}): boolean => {
  const batch = out.startsWith('b') ? 'b' : ''
  return out === `${batch}mn` && [`${batch}mk`, `${batch}km`].includes(a) && [`${batch}kn`, `${batch}nk`].includes(b)
}

interface Way {
  readonly moved: number
  readonly build: () => Node
}
type Letters = readonly string[]

/**
 * The ways to lay out a product with these left and right operands: a group of letters has the order of the result or
 * of an operand.
 */
const waysOf = (
  left: Node,
  a: string,
  right: Node,
  b: string,
  out: string,
  { size, isStatic }: Pick<Context, 'size' | 'isStatic'>,
): readonly Way[] => {
  const inBoth = (c: string): boolean => a.includes(c) && b.includes(c)
  const dimOf = (c: string): Dim => (a.includes(c) ? left.shape[a.indexOf(c)]! : right.shape[b.indexOf(c)]!)
  const merged = (letters: Letters): Dim => dimOfAll(letters.map(dimOf))
  const elements = (letters: string): number => count([...letters].map(c => size(dimOf(c))))
  const orders = (belongs: (c: string) => boolean, ...texts: readonly string[]): readonly Letters[] =>
    [...new Set(texts.map(text => [...text].filter(belongs).join('')))].map(text => [...text])

  /** The operand as stored, if its letters are in one of two orders; otherwise permuted to the nearer of the two. */
  const arranged = (operand: Node, letters: string, batch: Letters, outer: Letters, inner: Letters, name: string) => {
    const innerFirst = letters.indexOf(inner[0] ?? '') < letters.indexOf(outer[0] ?? '')
    const order = innerFirst ? [...batch, ...inner, ...outer] : [...batch, ...outer, ...inner]
    const groups = [...(batch.length > 0 ? [batch] : []), ...(innerFirst ? [inner, outer] : [outer, inner])]
    return {
      moved: letters === order.join('') || isStatic(operand) ? 0 : elements(letters),
      letters: innerFirst ? `k${name}` : `${name}k`,
      build: (): Node =>
        u.reshape(
          u.transpose(
            operand,
            order.map(c => letters.indexOf(c)),
          ),
          groups.map(merged),
        ),
    }
  }
  return orders(c => inBoth(c) && out.includes(c), out, a, b).flatMap(batch =>
    orders(c => !b.includes(c), out, a).flatMap(rows =>
      orders(c => !a.includes(c), out, b).flatMap(columns =>
        orders(c => inBoth(c) && !out.includes(c), a, b).map((inner): Way => {
          const l = arranged(left, a, batch, rows, inner, 'm')
          const r = arranged(right, b, batch, columns, inner, 'n')
          const result = [...batch, ...rows, ...columns]
          return {
            moved: l.moved + r.moved + (out === result.join('') ? 0 : elements(out)),
            build: (): Node => {
              const lead = batch.length > 0 ? 'b' : ''
              const multiplied = u.contract(l.build(), r.build(), {
                a: lead + l.letters,
                b: lead + r.letters,
                out: `${lead}mn`,
              })
              return u.transpose(
                u.reshape(multiplied, result.map(dimOf)),
                [...out].map(c => result.indexOf(c)),
              )
            },
          }
        }),
      ),
    ),
  )
}

const dimOfAll = (dims: Shape): Dim => {
  const joined = product(dims)
  if (joined._tag === 'Left') throw new RangeError(joined.left)
  return joined.right
}
