import {
  contractOp,
  count,
  divOp,
  inputDropoutOp,
  is,
  mulOp,
  negOp,
  topological,
  transposeOp,
  type Contraction,
  type Dim,
  type Node,
  type NodeOf,
  type Op,
} from '../../tensor/index.ts'
import type { Context } from './rule.ts'

/** Helpers for the rules on weights that are expressions. */

/** A product of an activation and a weight, the activation first. */
export interface Applied extends Contraction {
  readonly x: Node
  readonly weight: Node
}

/**
 * The product of an activation and a weight; `undefined` for any other node, and for products of two activations or two
 * weights, such as attention's.
 */
export const applied = (n: Node, { isWeight }: Pick<Context, 'isWeight'>): Applied | undefined => {
  if (!is(n, contractOp)) return undefined
  const [x, y] = n.inputs as [Node, Node]
  const { a, b, out } = n.attributes
  if (isWeight(x) === isWeight(y)) return undefined
  return isWeight(y) ? { x, a, weight: y, b, out } : { x: y, a: b, weight: x, b: a, out }
}

const alphabet = [...'abcdefghijklmnopqrstuvwxyz']
/** A letter that is not in use yet. */
export const unused = (letters: string): string => {
  const letter = alphabet.find(c => !letters.includes(c))
  if (letter === undefined) throw new RangeError('a product has more than 26 letters')
  return letter
}

/** The letters that a product sums over. */
export const innerOf = ({ a, b, out }: Contraction): string =>
  [...a].filter(c => b.includes(c) && !out.includes(c)).join('')

/** The same product with given letters for its result, and unused letters for its sum. */
export const relettered = ({ a, b, out }: Contraction, result: string, used: string): Contraction => {
  const names = new Map([...out].map((c, i) => [c, result[i]!]))
  let taken = used + result
  for (const c of a + b)
    if (!names.has(c)) {
      const fresh = unused(taken)
      names.set(c, fresh)
      taken += fresh
    }
  const rename = (letters: string): string => [...letters].map(c => names.get(c)!).join('')
  return { a: rename(a), b: rename(b), out: result }
}

/** The number of elements along letters of a product. */
const elements = (
  { inputs: [x, y], attributes: { a, b } }: NodeOf<Contraction>,
  letters: string,
  size: (dim: Dim) => number,
): number => count([...letters].map(c => size(a.includes(c) ? x!.shape[a.indexOf(c)]! : y!.shape[b.indexOf(c)]!)))

const drops = (n: Node): boolean => topological([n]).some(m => is(m, inputDropoutOp))

/**
 * Tests for a product over fewer dims than one side of its result has, and for any product whose input is dropped out:
 * only a product with the input can express that.
 */
export const isLowRankProduct = (n: Node, size: (dim: Dim) => number): n is NodeOf<Contraction> => {
  if (!is(n, contractOp)) return false
  const { a, b, out } = n.attributes
  const only = (of: string, other: string): string => [...of].filter(c => !other.includes(c)).join('')
  if ([...out].some(c => a.includes(c) && b.includes(c))) return false
  return (
    elements(n, innerOf(n.attributes), size) < Math.max(elements(n, only(a, b), size), elements(n, only(b, a), size)) ||
    drops(n)
  )
}

/**
 * A value scaled by fewer numbers than it has elements, `whole · factor` or `whole / factor`, and the axes along which
 * the factor varies.
 */
export interface Scaled {
  readonly op: Op
  readonly whole: Node
  readonly factor: Node
  readonly axes: readonly number[]
}

/** The scaling that a node is, if it is one. */
export const scaling = (n: Node): Scaled | undefined => {
  if (!is(n, mulOp) && !is(n, divOp)) return undefined
  const [x, y] = n.inputs as [Node, Node]
  const orders = is(n, mulOp)
    ? ([
        [x, y],
        [y, x],
      ] as const)
    : ([[x, y]] as const)
  for (const [whole, factor] of orders) {
    const lead = n.shape.length - factor.shape.length
    const axes = factor.shape.flatMap((dim, axis) => (dim === 1 ? [] : [axis + lead]))
    if (whole.shape.join() === n.shape.join() && axes.length < n.shape.length) return { op: n.op, whole, factor, axes }
  }
  return undefined
}

/** Tests for a low-rank product, possibly scaled, negated or transposed. */
export const isLowRank = (n: Node, size: (dim: Dim) => number): boolean => {
  const inner = is(n, negOp) || is(n, transposeOp) ? n.inputs[0]! : scaling(n)?.whole
  return inner === undefined ? isLowRankProduct(n, size) : isLowRank(inner, size)
}
