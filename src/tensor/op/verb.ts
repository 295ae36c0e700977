import { node, ShapeMismatch, type Node, type Op } from '../node.ts'
import type { DType } from '../value.ts'
import { isInteger } from './integer.ts'
import { sources } from './placeholder.ts'

/** An elementwise op with a number of operands. */
export interface Elementwise<N extends Arity = Arity> extends Op<object> {
  readonly arity: N
}
export type Arity = 1 | 2 | 3

/** An operand of an untyped verb; a number becomes a scalar with the dtype of the others. */
export type Operand = Node | number
/** The untyped verb of an elementwise op, by the number of its operands. */
export interface VerbOf {
  readonly 1: (x: Node) => Node
  readonly 2: (a: Operand, b: Operand) => Node
  readonly 3: (condition: Node, a: Operand, b: Operand) => Node
}
/** A number among the operands of an op as a scalar. */
export const scalarOf = (op: string, value: number, dtype: DType): Node => {
  if (dtype === 'i32' && !isInteger(value)) throw new ShapeMismatch(`${op}: ${value} is no 32-bit integer`)
  return sources.constant(value, [], dtype)
}
const verb =
  (o: Elementwise) =>
  (...all: readonly Operand[]): Node => {
    // a function that is passed to `reduce` receives more arguments than it takes
    const operands = all.slice(0, o.arity)
    const dtype = operands.some(x => typeof x !== 'number' && x.dtype === 'i32') ? 'i32' : 'f32'
    return node(
      o,
      operands.map(x => (typeof x === 'number' ? scalarOf(o.name, x, dtype) : x)),
      {},
    )
  }

/** The untyped verbs of elementwise ops, by the names of the ops. */
export function verbsOf<T>(ops: T): { readonly [K in keyof T]: T[K] extends Elementwise<infer N> ? VerbOf[N] : never }
export function verbsOf(ops: Readonly<Record<string, Elementwise>>): object {
  return Object.fromEntries(Object.entries(ops).map(([name, op]) => [name, verb(op)]))
}
