import {
  addOp,
  composite,
  composites,
  contractOp,
  eye,
  is,
  isView,
  mulOp,
  node,
  u,
  type Dim,
  type Node,
} from '../../tensor/index.ts'
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

/** x => x for a product that is computed a second time. */
const againOp = composite<object>({ name: 'again', kind: 'movement', expand: ([x]) => x!, autograd: isView })

/**
 * (y + b) g = y + y (g − 1) + b g, if b is an adapter's term and g a weight: PEFT adds to the result of the layer what
 * magnitudes change of it. `repeats` is true for the PEFT of 2024, which computes a product y a second time for that.
 */
export const scaledTerms = (repeats: boolean): Rule => ({
  name: 'scaled-terms',
  apply: (n, context) => {
    const [sum, g] = n.inputs
    if (!is(n, mulOp) || !is(sum!, addOp) || !context.isWeight(g!) || g!.shape.length > 1) return undefined
    const [y, b] = sum.inputs as [Node, Node]
    if (!isAdapter(b, context) || context.isWeight(y)) return undefined
    const own = applied(y, context)
    const second = repeats && own ? u.contract(node(againOp, [own.x], {}), own.weight, own) : y
    return u.add(y, u.add(u.mul(second, u.sub(g!, 1)), u.mul(b, g!)))
  },
})

/** () => the identity matrix of a dim. */
const identityOp = composite<{ readonly dim: Dim }>({
  name: 'identity',
  kind: 'other',
  dims: ({ dim }) => [dim],
  expand: (_, { dim }) => eye(dim as never),
})

/**
 * A B = (1 A) B for weights A and B: where PEFT needs a change of low rank whole, it applies the modules of its factors
 * to the identity.
 */
export const throughIdentity: Rule = {
  name: 'through-identity',
  apply: (n, { isWeight }) => {
    if (!is(n, contractOp) || !n.inputs.every(isWeight)) return undefined
    const [a, b] = n.inputs as [Node, Node]
    const isDone = (of: Node): boolean =>
      of.op === identityOp || (is(of, contractOp) && of.inputs[0]!.op === identityOp)
    if (isDone(a) || a.shape.length !== 2 || b.shape.length !== 2) return undefined
    const whole = node(identityOp, [], { dim: a.shape[0]! })
    return u.contract(u.contract(whole, a, { a: 'ij', b: 'jk', out: 'ik' }), b, n.attributes)
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
