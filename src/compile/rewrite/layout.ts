import {
  contractOp,
  inverse,
  is,
  node,
  product,
  reshapeOp,
  transposeOp,
  u,
  type Node,
  type Shape,
} from '../../tensor/index.ts'
import type { Rule } from './rule.ts'

/**
 * Permutations move until they meet: two of them merge into one, and one that meets a product only changes its letters.
 */

const permute = (letters: string, permutation: readonly number[]): string =>
  permutation.map(axis => letters[axis]!).join('')

/** transpose(transpose(x)) is one transpose. */
export const transposeTranspose: Rule = {
  name: 'transpose-transpose',
  apply: n => {
    const [x] = n.inputs
    if (!is(n, transposeOp) || !is(x!, transposeOp)) return undefined
    return u.transpose(
      x.inputs[0]!,
      n.attributes.permutation.map(axis => x.attributes.permutation[axis]!),
    )
  },
}

/** A product of transposed operands, or a transposed product, is a product with other letters. */
export const contractTranspose: Rule = {
  name: 'contract-transpose',
  apply: (n, { readOnce }) => {
    if (is(n, contractOp)) {
      const { a, b, out } = n.attributes
      const [x, y] = n.inputs as [Node, Node]
      if (is(x, transposeOp))
        return u.contract(x.inputs[0]!, y, { a: permute(a, inverse(x.attributes.permutation)), b, out })
      if (is(y, transposeOp))
        return u.contract(x, y.inputs[0]!, { a, b: permute(b, inverse(y.attributes.permutation)), out })
    }
    const [x] = n.inputs
    if (!is(n, transposeOp) || !is(x!, contractOp) || !readOnce(x)) return undefined
    return u.contract(x.inputs[0]!, x.inputs[1]!, {
      ...x.attributes,
      out: permute(x.attributes.out, n.attributes.permutation),
    })
  },
}

/** transpose(reshape(transpose(x))) is one transpose of a reshaped x, if the reshape only splits axes. */
export const transposeSplit: Rule = {
  name: 'transpose-split',
  apply: n => {
    const [split] = n.inputs
    if (!is(n, transposeOp) || !is(split!, reshapeOp)) return undefined
    const inner = split.inputs[0]!
    if (!is(inner, transposeOp)) return undefined
    const groups = splitting(inner.shape, split.shape)
    if (!groups) return undefined
    // the axes of x, each split as the reshape splits it, and the final positions of the split axes
    const { permutation } = inner.attributes
    const x = inner.inputs[0]!
    const ofX = inverse(permutation).map(axis => groups[axis]!)
    const order = ofX.flat()
    const moved = groups.flat().map(axis => order.indexOf(axis))
    return u.transpose(
      u.transpose(
        u.reshape(
          x,
          order.map(axis => split.shape[axis]!),
        ),
        moved,
      ),
      n.attributes.permutation,
    )
  },
}

/** For each axis of `from`, the axes of `to` that it is split into; `undefined` if the reshape merges. */
const splitting = (from: Shape, to: Shape): readonly (readonly number[])[] | undefined => {
  const text = (dims: Shape): string => {
    const joined = product(dims)
    return joined._tag === 'Right' ? String(joined.right) : ''
  }
  const groups: number[][] = []
  let next = 0
  for (const dim of from) {
    const group: number[] = []
    while (next < to.length && (group.length === 0 || text(group.map(axis => to[axis]!)) !== text([dim])))
      group.push(next++)
    if (text(group.map(axis => to[axis]!)) !== text([dim])) return undefined
    groups.push(group)
  }
  return next === to.length ? groups : undefined
}

/**
 * f(transpose(x), transpose(y)) = transpose(f(x, y)), if both are transposed in the same way and nothing else reads
 * them transposed.
 */
export const transposePointwise: Rule = {
  name: 'transpose-pointwise',
  apply: n => {
    if (n.op.kind !== 'elementwise') return undefined
    const wide = n.inputs.filter(x => x.shape.length > 0)
    const [first] = wide
    if (first === undefined || !is(first, transposeOp)) return undefined
    const { permutation } = first.attributes
    const alike = wide.every(
      x =>
        x.shape.length === n.shape.length &&
        is(x, transposeOp) &&
        x.attributes.permutation.join() === permutation.join(),
    )
    return alike
      ? u.transpose(
          node(
            n.op,
            n.inputs.map(x => (x.shape.length > 0 ? x.inputs[0]! : x)),
            n.attributes,
          ),
          permutation,
        )
      : undefined
  },
}

/** The rules for every target, before products are laid out. */
export const layoutRules: readonly Rule[] = [transposeTranspose, contractTranspose]
/** The rules for the time after products are laid out: transposes have become data movement, and meet. */
export const movementRules: readonly Rule[] = [transposeTranspose, transposeSplit, transposePointwise]
