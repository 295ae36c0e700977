import type { Loss } from './model.ts'
import { is, isNode, ShapeMismatch, typed, type Node } from './node.ts'
import { divOp } from './op/elementwise.ts'
import { sizeOp } from './op/placeholder.ts'
import { sumOp } from './op/sum.ts'
import { u } from './op/untyped.ts'
import { show, type Shape } from './shape/index.ts'

/** An average as a sum and a count, two scalars. */
export interface SumAndCount extends Loss {
  /** The numbers that are averaged, if the model gives one for each example. */
  readonly each?: Node
  /** True for a scalar of which only the whole batch is known: batches of different sizes cannot be averaged. */
  readonly wholeBatch?: true
}

/** Two nodes that are known to be scalars. */
const scalars = (sum: Node, count: Node): Loss => ({ sum: typed(sum), count: typed(count) })

const axesOf = ({ shape }: Node): readonly number[] => shape.map((_, axis) => axis)

/** The tensor of which a scalar is the mean, as `mean` builds it. */
const averagedIn = (n: Node): Node | undefined => {
  if (!is(n, divOp)) return undefined
  const [sum, size] = n.inputs as [Node, Node]
  if (!is(sum, sumOp) || !is(size, sizeOp)) return undefined
  const x = sum.inputs[0]!
  return sum.shape.length === 0 && size.attributes.dims.join() === x.shape.join() ? x : undefined
}

const kinds =
  'one number for each example, their mean(…), { mean, over: dim } with a scalar mean, or { sum, count } with two scalars'

const isScalar = (n: unknown): n is Node => isNode(n) && n.dtype === 'f32' && n.shape.length === 0

const found = (part: unknown): string =>
  isNode(part) ? `is ${show(part.shape)} ${part.dtype}` : `is ${part === undefined ? 'missing' : 'no tensor'}`

/** A mean over dims times their size. */
const overDims = (what: string, mean: unknown, over: unknown): SumAndCount => {
  if (!isScalar(mean)) throw new ShapeMismatch(`${what} is ${kinds}; its mean ${found(mean)}`)
  const dims: Shape = Array.isArray(over) ? over : [over]
  if (dims.length === 0 || dims.some(dim => typeof dim !== 'string'))
    throw new ShapeMismatch(`${what} is a mean over ${String(over)}: specify the name of a dim, such as 'batch'`)
  const count = u.size(...dims)
  return scalars(u.mul(mean, count), count)
}

/**
 * The sum and the count of a loss or a metric in any of its forms.
 * @throws {ShapeMismatch} for anything else; the message names what it is a part of
 * @example sumAndCount('the loss', crossEntropy(logits, labels)) // the sum over the batch, and the size of the batch
 */
export const sumAndCount = (what: string, given: unknown): SumAndCount => {
  if (isNode(given)) {
    if (given.dtype !== 'f32') throw new ShapeMismatch(`${what} is ${kinds}; it ${found(given)}`)
    if (given.shape.length > 0) return { ...scalars(u.sum(given, axesOf(given)), u.size(...given.shape)), each: given }
    const each = averagedIn(given)
    return each === undefined
      ? { ...scalars(given, u.constant(1)), wholeBatch: true }
      : { ...scalars(given.inputs[0]!, given.inputs[1]!), each }
  }
  // JavaScript may pass anything
  const parts: { readonly [K in 'sum' | 'count' | 'mean' | 'over']?: unknown } =
    typeof given === 'object' && given !== null ? given : {}
  if (parts.mean !== undefined) return overDims(what, parts.mean, parts.over)
  const { sum, count } = parts
  if (isScalar(sum) && isScalar(count)) return scalars(sum, count)
  const [name, part] = isScalar(sum) ? (['count', count] as const) : (['sum', sum] as const)
  throw new ShapeMismatch(`${what} is ${kinds}; its ${name} ${found(part)}`)
}
