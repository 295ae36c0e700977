import {
  broadcastToOp,
  constantOp,
  divOp,
  is,
  mulOp,
  reshapeOp,
  stopGradientOp,
  sumOp,
  u,
  type Node,
} from '../../tensor/index.ts'
import type { Rule } from './rule.ts'

const isNumber = (n: Node, value: number): boolean =>
  (is(n, constantOp) && n.attributes.value === value) || (is(n, broadcastToOp) && isNumber(n.inputs[0]!, value))

const sameShape = (x: Node, y: Node): boolean => x.shape.join() === y.shape.join()

/** x · 1 = x: removes the trace of a cotangent of 1. */
const timesOne: Rule = {
  name: 'times-one',
  apply: n => {
    if (!is(n, mulOp)) return undefined
    const [a, b] = n.inputs as [Node, Node]
    if (isNumber(b, 1) && sameShape(a, n)) return a
    return isNumber(a, 1) && sameShape(b, n) ? b : undefined
  },
}

/** reshape(reshape(x)) = reshape(x). */
const reshapeReshape: Rule = {
  name: 'reshape-reshape',
  apply: n =>
    is(n, reshapeOp) && (is(n.inputs[0]!, reshapeOp) || n.inputs[0]!.shape.join() === n.shape.join())
      ? u.reshape(n.inputs[0]!, n.shape)
      : undefined,
}

const isScalar = (x: Node): boolean => x.shape.length === 0

/** Σ (x / a)(y / b) = Σ x y / (a b) for numbers a and b: the norm of a mean is computed without the mean. */
const sumOfQuotients: Rule = {
  name: 'sum-of-quotients',
  apply: n => {
    const [product] = n.inputs
    if (!is(n, sumOp) || !is(product!, mulOp)) return undefined
    const [l, r] = product.inputs as [Node, Node]
    if (!is(l, divOp) || !is(r, divOp) || !isScalar(l.inputs[1]!) || !isScalar(r.inputs[1]!)) return undefined
    return u.div(
      u.sum(u.mul(l.inputs[0]!, r.inputs[0]!), n.attributes.axes, n.attributes.keepDims),
      u.mul(l.inputs[1]!, r.inputs[1]!),
    )
  },
}

/** The rule for a stopped gradient: after differentiation, it is its value. */
export const stopGradientValue: Rule = {
  name: 'stop-gradient',
  apply: n => (is(n, stopGradientOp) ? n.inputs[0]! : undefined),
}

/** Rules that leave less to compute; both sides are equal in exact arithmetic. */
export const simplifications: readonly Rule[] = [timesOne, reshapeReshape, sumOfQuotients]

/** Expands the composites that a target has no kernel for. */
export const expansion = (runs: (op: string) => boolean): Rule => ({
  name: 'expand',
  apply: n => (runs(n.op.name) ? undefined : n.op.expand?.(n.inputs, n.attributes)),
})
