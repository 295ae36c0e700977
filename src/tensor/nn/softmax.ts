import { inF32, savesResult } from '../autograd.ts'
import { node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import { show, type Dim, type Shape } from '../shape/index.ts'
import { u } from '../op/untyped.ts'

const last = (x: Node): number => x.shape.length - 1
/** The maximum of a row, which is subtracted before the exponential so that nothing overflows. */
const rowMax = (x: Node): Node => u.max(x, [last(x)], true)

/** x[…, c] => exp x / Σ exp x along the last axis. */
export const softmaxOp: Op<object> = composite<object>({
  name: 'softmax',
  kind: 'rows',
  // any number may be subtracted from a row without changing the result
  smooth: true,
  cheap: 'weighed',
  expand: ([x]) => {
    const e = u.exp(u.sub(x!, rowMax(x!)))
    return u.div(e, u.sum(e, [last(x!)], true))
  },
  vjp: (y, dy) => [softmaxGrad(y, dy)],
  autograd: inF32(savesResult),
})

/** (y, dy) => y (dy − Σ y dy): the vjp of a softmax from its result alone. */
export const softmaxGradOp: Op<object> = composite<object>({
  name: 'softmaxGrad',
  kind: 'rows',
  refuses: ([y, dy]) => unlike('dy', dy!, y!.shape),
  expand: ([y, dy]) => u.mul(y!, u.sub(dy!, u.sum(u.mul(y!, dy!), [last(y!)], true))),
})
const softmaxGrad = (y: Node, dy: Node): Node => node(softmaxGradOp, [y, dy], {})

/** x[…, c] => x − log Σ exp x along the last axis. */
export const logSoftmaxOp: Op<object> = composite<object>({
  name: 'logSoftmax',
  kind: 'rows',
  // any number may be subtracted from a row without changing the result
  smooth: true,
  cheap: 'weighed',
  expand: ([x]) => {
    const shifted = u.sub(x!, rowMax(x!))
    return u.sub(shifted, u.log(u.sum(u.exp(shifted), [last(x!)], true)))
  },
  vjp: (y, dy) => [u.sub(dy, u.mul(u.exp(y), u.sum(dy, [last(y)], true)))],
  autograd: inF32(savesResult),
})

/**
 * (scores[…, query, key], offset) => softmax over the keys that a query may see: key j ≤ query i + offset.
 * The offset is the number of keys before the first query, as with a cache.
 */
export const causalSoftmaxOp: Op<object> = composite<object>({
  name: 'causalSoftmax',
  // the result of a row depends on its position
  kind: 'other',
  cheap: 'weighed',
  refuses: ([scores, offset]) =>
    scores!.shape.length < 2
      ? `${show(scores!.shape)} has no queries and keys`
      : unlike('the offset', offset!, [], 'i32'),
  expand: ([scores, offset]) => {
    const [queries, keys] = scores!.shape.slice(-2) as [Dim, Dim]
    const position = u.add(u.iota(queries), offset!)
    const visible = u.lessEqual(u.iota(keys), u.reshape(position, [queries, 1]))
    return node(softmaxOp, [u.select(visible, scores!, -1e30)], {})
  },
  vjp: (y, dy) => [softmaxGrad(y, dy), undefined],
  autograd: inF32(savesResult),
})

/** The softmax of the last axis. @example softmax(logits) */
export const softmax = <S extends Shape>(x: Tensor<S>): Tensor<S> => typed(node(softmaxOp, [x], {}))
/**
 * The logarithm of the softmax of the last axis, without overflow, and precise for small probabilities.
 * @example mul(target, logSoftmax(logits))
 */
export const logSoftmax = <S extends Shape>(x: Tensor<S>): Tensor<S> => typed(node(logSoftmaxOp, [x], {}))

/**
 * Attention weights of a causal model: the softmax of scores […, query, key] over the keys that a query may see, key
 * j ≤ query i + offset. The offset is the number of keys before the first query, as with a cache.
 * @example causalSoftmax(scores, integer(0))
 */
export const causalSoftmax = <S extends Shape>(scores: Tensor<S>, offset: Tensor<readonly [], 'i32'>): Tensor<S> =>
  typed(node(causalSoftmaxOp, [scores, offset], {}))
