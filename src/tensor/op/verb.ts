import { node, type Node, type Op } from '../node.ts'
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
const verb =
  (o: Elementwise) =>
  (...all: readonly Operand[]): Node => {
    // a function that is passed to `reduce` receives more arguments than it takes
    const operands = all.slice(0, o.arity)
    const dtype = operands.some(x => typeof x !== 'number' && x.dtype === 'i32') ? 'i32' : 'f32'
    return node(
      o,
      operands.map(x => (typeof x === 'number' ? sources.constant(x, [], dtype) : x)),
      {},
    )
  }

/** The untyped verbs of elementwise ops, by the names of the ops. */
export function verbsOf<T>(ops: T): { readonly [K in keyof T]: T[K] extends Elementwise<infer N> ? VerbOf[N] : never }
export function verbsOf(ops: Readonly<Record<string, Elementwise>>): object {
  return Object.fromEntries(Object.entries(ops).map(([name, op]) => [name, verb(op)]))
}
