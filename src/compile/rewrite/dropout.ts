import { inputDropoutOp, is, topological, trainingDropoutOp, u, type Node } from '../../tensor/index.ts'
import type { Rule } from './rule.ts'
import { applied } from './weights.ts'

/**
 * x · inputDropout(A) = dropout(x) · A, because a weight cannot express dropout of its input. Only programs that
 * compute gradients drop out.
 */
export const dropInput: Rule = {
  name: 'drop-input',
  apply: (n, context) => {
    const product = applied(n, context)
    if (!product || !is(product.weight, inputDropoutOp)) return undefined
    const { x, weight, ...letters } = product
    const [A, key, stream] = weight.inputs as [Node, Node, Node]
    return u.contract(u.dropout(x, key, stream, { rate: weight.attributes.rate }), A, letters)
  },
}

/** inputDropout(A) = A, if nothing is trained. */
export const keepInput: Rule = { name: 'keep-input', apply: n => (is(n, inputDropoutOp) ? n.inputs[0]! : undefined) }

/** trainingDropout(x) = dropout(x) in programs that compute gradients. */
export const dropTrained: Rule = {
  name: 'drop-trained',
  apply: n => {
    if (!is(n, trainingDropoutOp)) return undefined
    const [x, key, stream] = n.inputs as [Node, Node, Node]
    return n.attributes.rate === 0 ? x : u.dropout(x, key, stream, n.attributes)
  },
}

/** trainingDropout(x) = x, if nothing is trained. */
export const keepTrained: Rule = {
  name: 'keep-trained',
  apply: n => (is(n, trainingDropoutOp) ? n.inputs[0]! : undefined),
}

/**
 * Checks that every dropout of an input has found its input.
 * @throws {Error} if a factor with one is not multiplied by an activation
 */
export const checkDropout = (roots: readonly Node[]): void => {
  if (!topological(roots).some(n => is(n, inputDropoutOp))) return
  throw new Error(
    'inputDropout: its factor is used other than in a product with an activation, which is what would be dropped out',
  )
}
