import { addOp, composite, composites, contractOp, is, isView, mulOp, node, u, type Node } from '../../tensor/index.ts'
import type { Context, Rule } from '../rewrite/index.ts'
import { applied, scaling } from '../rewrite/weights.ts'

const { dropout: dropoutOp } = composites

/** The order in which PEFT computes the terms of a weight that is an expression. */

/** x (s W) = s (x W) for a number s: PEFT scales the result of its adapters. */
export const numberOutside: Rule = {
  name: 'number-outside',
  apply: (n, context) => {
    const product = applied(n, context)
    const scaled = product && scaling(product.weight)
    if (!product || !scaled || scaled.axes.length > 0 || !is(product.weight, mulOp)) return undefined
    const { x, weight: _, ...letters } = product
    return u.mul(u.contract(x, scaled.whole, letters), u.reshape(scaled.factor, []))
  },
}

/** Tests for (x A) B with weights A and B, possibly scaled. */
const isAdapter = (n: Node, { isWeight }: Pick<Context, 'isWeight'>): boolean => {
  if (is(n, mulOp)) return n.inputs.some(input => isAdapter(input, { isWeight }))
  if (!is(n, contractOp)) return false
  const [x, weight] = n.inputs as [Node, Node]
  return is(x, contractOp) && isWeight(weight) && x.inputs.some(isWeight)
}

/**
 * (y + b) g = y + y (g − 1) + b g, if b is an adapter's term and g a weight: PEFT adds to the result of the layer what
 * magnitudes change of it.
 */
export const scaledTerms: Rule = {
  name: 'scaled-terms',
  apply: (n, context) => {
    const [sum, g] = n.inputs
    if (!is(n, mulOp) || !is(sum!, addOp) || !context.isWeight(g!) || g!.shape.length > 1) return undefined
    const [y, b] = sum.inputs as [Node, Node]
    if (!isAdapter(b, context) || context.isWeight(y)) return undefined
    return u.add(y, u.add(u.mul(y, u.sub(g!, 1)), u.mul(b, g!)))
  },
}

/** x => x in the precision of the adapter that reads it. */
const adapterInputOp = composite<object>({
  name: 'adapterInput',
  kind: 'movement',
  expand: ([x]) => x!,
  autograd: { ...isView, autocast: 'f32' },
})

/**
 * x A = input(x) A, given that A has leaves of the method alone: under automatic mixed precision, PEFT converts the input
 * of an adapter to float32 before the product converts it to 16 bits.
 */
export const adapterInput: Rule = {
  name: 'adapter-input',
  apply: (n, context) => {
    const product = applied(n, context)
    if (!product) return undefined
    const { x, weight, ...letters } = product
    const isDone = (of: Node): boolean =>
      of.op === adapterInputOp || (is(of, dropoutOp) && isDone(of.inputs[0]!)) || applied(of, context) !== undefined
    if (isDone(x)) return undefined
    const read = (of: Node): Node => node(adapterInputOp, [of], {})
    const input = is(x, dropoutOp) ? node(dropoutOp, [read(x.inputs[0]!), ...x.inputs.slice(1)], x.attributes) : read(x)
    return u.contract(input, weight, letters)
  },
}
