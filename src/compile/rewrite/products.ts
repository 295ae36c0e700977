import { contracted, contractOp, count, is, product, reshaped, transposed, type Dim, type Node, type Shape } from '../../tensor/index.ts'
import type { Context, Rule } from './rule.ts'

/**
 * Lays every contraction out as what matrix kernels compute: `[batch, m, k] × [batch, k, n]`, each operand as it lies or
 * transposed, the result `[batch, m, n]`. What such a product cannot say becomes permutations around it; of the two ways
 * round, `A B` or `Bᵀ Aᵀ`, the one that moves less is taken.
 */
export const laidOut: Rule = {
  name: 'products',
  apply: (n, context) => {
    if (!is(n, contractOp) || isMatrixProduct(n.attributes)) return undefined
    const [x, y] = n.inputs as [Node, Node], { a, b, out } = n.attributes
    const straight = way(x, a, y, b, out, context), flipped = way(y, b, x, a, out, context)
    return (flipped.moved < straight.moved ? flipped : straight).build()
  },
}

/** The letters of a product that a kernel computes as it stands: `b` stands for the batch. */
export const isMatrixProduct = ({ a, b, out }: { readonly a: string; readonly b: string; readonly out: string }): boolean => {
  const batch = out.startsWith('b') ? 'b' : ''
  return out === `${batch}mn` && [`${batch}mk`, `${batch}km`].includes(a) && [`${batch}kn`, `${batch}nk`].includes(b)
}

const way = (left: Node, a: string, right: Node, b: string, out: string, { size, isStatic }: Pick<Context, 'size' | 'isStatic'>) => {
  const inBoth = (c: string): boolean => a.includes(c) && b.includes(c)
  const batch = [...out].filter(inBoth), inner = [...a].filter(c => inBoth(c) && !out.includes(c))
  const rows = [...out].filter(c => !b.includes(c)), columns = [...out].filter(c => !a.includes(c))
  const dimOf = (c: string): Dim => (a.includes(c) ? left.shape[a.indexOf(c)]! : right.shape[b.indexOf(c)]!)
  const elements = (letters: string): number => count([...letters].map(c => size(dimOf(c))))
  const merged = (letters: readonly string[]): Dim => dimOfAll(letters.map(dimOf))
  /** The operand as it lies, if its letters stand in one of the two orders; else permuted into the first. */
  const arranged = (operand: Node, letters: string, outer: readonly string[], [first, last]: readonly [string, string]) => {
    const swapped = letters === [...batch, ...inner, ...outer].join('')
    const order = swapped ? [...batch, ...inner, ...outer] : [...batch, ...outer, ...inner], fits = letters === order.join('')
    const lead = batch.length > 0 ? [merged(batch)] : [], sides = swapped ? [merged(inner), merged(outer)] : [merged(outer), merged(inner)]
    return {
      moved: fits || isStatic(operand) ? 0 : elements(letters),
      letters: swapped ? `${last}${first}` : `${first}${last}`,
      build: (): Node => reshaped(transposed(operand, order.map(c => letters.indexOf(c))), [...lead, ...sides]),
    }
  }
  const l = arranged(left, a, rows, ['m', 'k']), r = arranged(right, b, columns, ['n', 'k']), result = [...batch, ...rows, ...columns]
  return {
    moved: l.moved + r.moved + (out === result.join('') ? 0 : elements(out)),
    build: (): Node => {
      const lead = batch.length > 0 ? 'b' : ''
      const multiplied = contracted(l.build(), r.build(), { a: lead + l.letters, b: lead + r.letters, out: `${lead}mn` })
      return transposed(reshaped(multiplied, result.map(dimOf)), [...out].map(c => result.indexOf(c)))
    },
  }
}

const dimOfAll = (dims: Shape): Dim => {
  const joined = product(dims)
  if (joined._tag === 'Left') throw new RangeError(joined.left)
  return joined.right
}
