import { is, topological, type Node } from './node.ts'
import { contractOp } from './op/contract.ts'
import { addOp } from './op/elementwise.ts'
import { reshapeOp, transposeOp } from './op/reshape.ts'
import { sumOp } from './op/sum.ts'
import { u } from './op/untyped.ts'
import type { Dim } from './shape/dim.ts'

/** A sum over the turns of a loop that is computed after the loop, from the values of every turn of some operands. */
export interface Later {
  readonly operands: readonly Node[]
  readonly total: (stackOf: (operand: Node) => Node) => Node
}

/** A letter that a contraction does not use. */
const freeLetter = (used: string): string => [...'abcdefghijklmnopqrstuvwxyz'].find(letter => !used.includes(letter))!

/**
 * The sum of a value over all turns as one computation on stacks: Σₜ contract(aₜ, bₜ) is one contraction over time too,
 * so a loop need not add up matrices. Undefined if the value is no such sum.
 * @param varies tests for values that differ from turn to turn
 */
export const summedLater = (n: Node, varies: (n: Node) => boolean): Later | undefined => {
  const [x, y] = n.inputs
  const after = (f: (total: Node) => Node): Later | undefined => {
    const inner = summedLater(x!, varies)
    return inner && { operands: inner.operands, total: stackOf => f(inner.total(stackOf)) }
  }
  if (is(n, contractOp) && varies(x!) && varies(y!)) {
    const { a, b, out } = n.attributes
    const time = freeLetter(a + b + out)
    return {
      operands: [x!, y!],
      total: stackOf => u.contract(stackOf(x!), stackOf(y!), { a: time + a, b: time + b, out }),
    }
  }
  if (is(n, sumOp) && varies(x!)) {
    const axes = [0, ...n.attributes.axes.map(axis => axis + 1)]
    return { operands: [x!], total: stackOf => u.reshape(u.sum(stackOf(x!), axes), n.shape) }
  }
  if (is(n, addOp) && [x!, y!].every(({ shape }) => shape.join() === n.shape.join())) {
    const [left, right] = [summedLater(x!, varies), summedLater(y!, varies)]
    return (
      left &&
      right && {
        operands: [...left.operands, ...right.operands],
        total: stackOf => u.add(left.total(stackOf), right.total(stackOf)),
      }
    )
  }
  if (is(n, reshapeOp)) return after(total => u.reshape(total, n.shape))
  if (is(n, transposeOp)) return after(total => u.transpose(total, n.attributes.permutation))
  return undefined
}

/** The values of every turn as a view of a stack, if they are one: a layered parameter in another shape or order. */
export const viewOf = (n: Node, count: Dim, stackOf: (parameter: Node) => Node | undefined): Node | undefined => {
  const stack = stackOf(n)
  if (stack || !(is(n, reshapeOp) || is(n, transposeOp))) return stack
  const inner = viewOf(n.inputs[0]!, count, stackOf)
  if (inner === undefined) return undefined
  return is(n, reshapeOp)
    ? u.reshape(inner, [count, ...n.shape])
    : u.transpose(inner, [0, ...n.attributes.permutation.map(axis => axis + 1)])
}

/** The nodes that depend on some others, these included. */
export const followersOf = (roots: readonly Node[], sources: readonly Node[]): ReadonlySet<Node> => {
  const found = new Set(sources)
  for (const n of topological(roots)) if (n.inputs.some(input => found.has(input))) found.add(n)
  return found
}
