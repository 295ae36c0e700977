import { isNode, node, type Node, type Op } from './node.ts'
import { composites } from './nn/index.ts'
import type { primitives } from './op/index.ts'
import { u as verbs } from './op/untyped.ts'

/** The untyped verb of a composite: its operands, followed by its attributes if it has any. */
type Verb<O> =
  O extends Op<infer A>
    ? keyof A extends never
      ? (...operands: readonly Node[]) => Node
      : (...operandsAndAttributes: readonly [...operands: Node[], attributes: A]) => Node
    : never

function verbsOf<T>(ops: T): { readonly [K in keyof T]: Verb<T[K]> }
function verbsOf(ops: Readonly<Record<string, Op>>): object {
  const verb =
    (op: Op) =>
    (...all: readonly unknown[]): Node =>
      node(op, all.filter(isNode), all.find(x => !isNode(x)) ?? {})
  return Object.fromEntries(Object.entries(ops).map(([name, op]) => [name, verb(op)]))
}

/**
 * The untyped verbs: the words of the language for nodes whose shapes are known only when they are made, for instance
 * in a rule of the compiler or in a transform. Arguments are those of the typed verbs, except that axes are counted
 * from the front. A number among the operands of an elementwise op is a scalar.
 * @throws {ShapeMismatch} like the typed verbs
 * @example const rms = u.sqrt(u.div(u.sum(u.mul(x, x), [0]), u.size(x.shape[0]!)))
 */
export const u = { ...verbs, ...verbsOf(composites) } satisfies {
  readonly [K in keyof typeof primitives | keyof typeof composites]: unknown
}
