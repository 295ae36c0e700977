import {
  blockOf,
  bodyOf,
  call,
  inlined,
  is,
  placeholder,
  placeholderOp,
  rebuild,
  resultOp,
  substitute,
  topological,
  type Block,
  type Dim,
  type Node,
  type Shape,
} from '../tensor/index.ts'
import { staticParameters } from './blocks.ts'

/**
 * Binding time. Values that depend only on leaves that do not change while a program runs (weights in another layout,
 * rotary tables, constants) are computed once, before the run: they are lifted out of blocks, and out of the program.
 */

/**
 * A value computed once: the placeholder that programs read, the expression that it stands for, and the sizes of its
 * dims.
 */
export interface Prepared {
  readonly placeholder: Node
  readonly expression: Node
  readonly size: (dim: Dim) => number
}
/** Prepared values by their structure and sizes, shared by all programs of a session. */
export type Preparations = Map<string, Prepared>

/**
 * The nodes that depend on static leaves and constants alone, and may be held: an unpacked value is computed where it
 * is used.
 */
export const staticNodes = (
  roots: readonly Node[],
  isStaticLeaf: (n: Node) => boolean,
  mayHold: (n: Node) => boolean = () => true,
): ReadonlySet<Node> => {
  const found = new Set<Node>()
  for (const n of topological(roots)) {
    const leaf = is(n, placeholderOp)
    if (
      leaf
        ? isStaticLeaf(n)
        : bodyOf(n) === undefined &&
          n.op !== resultOp &&
          n.op.unpacks !== true &&
          mayHold(n) &&
          n.inputs.every(input => found.has(input))
    )
      found.add(n)
  }
  return found
}

/** The outermost static nodes that something else reads: those worth preparing. A leaf itself is not. */
const frontier = (roots: readonly Node[], known: ReadonlySet<Node>): readonly Node[] => {
  const found = new Set<Node>()
  const read = (n: Node): void => {
    if (known.has(n) && !is(n, placeholderOp)) found.add(n)
  }
  roots.forEach(read)
  for (const n of topological(roots)) if (!known.has(n)) n.inputs.forEach(read)
  return [...found]
}

/**
 * Turns the static parts of blocks into arguments: values that a layer computes from its weights alone are computed
 * outside it.
 */
const liftStatic = (
  roots: readonly Node[],
  isStaticLeaf: (n: Node) => boolean,
  mayHold?: (n: Node) => boolean,
): readonly Node[] => {
  const outer = staticNodes(roots, isStaticLeaf, mayHold)
  const flags = staticParameters(roots, n => outer.has(n))
  const lifted = new Map<Block, ReturnType<typeof liftBlock>>()
  for (const [block, isStatic] of flags) lifted.set(block, liftBlock(block, isStatic, mayHold))
  const callOf = new Map<Node, readonly Node[]>()
  const outsideOf = new Map<Block, { readonly given: readonly Node[]; readonly outside: readonly Node[] }>()
  return roots.map(
    rebuild(roots, rebuilt => {
      const block = blockOf(rebuilt)
      if (block) {
        const { block: next, kept, expressions, reads } = lifted.get(block)!
        const before = outsideOf.get(block)
        const given = reads.map(i => rebuilt.inputs[i]!)
        // calls of one block, such as the steps of time, often have the same weights
        const outside = before?.given.every((n, i) => n === given[i])
          ? before.outside
          : inlined({ ...block, outputs: expressions }, rebuilt.inputs)
        outsideOf.set(block, { given, outside })
        callOf.set(rebuilt, call(next, [...kept.map(i => rebuilt.inputs[i]!), ...outside]))
      }
      return is(rebuilt, resultOp) ? callOf.get(rebuilt.inputs[0]!)![rebuilt.attributes.index]! : rebuilt
    }),
  )
}

const liftBlock = (block: Block, isStatic: readonly boolean[], mayHold?: (n: Node) => boolean) => {
  const isStaticParameter = (n: Node): boolean => isStatic[block.parameters.indexOf(n)] === true
  const inner = { ...block, outputs: liftStatic(block.outputs, isStaticParameter, mayHold) }
  const known = staticNodes(inner.outputs, isStaticParameter, mayHold)
  const expressions = frontier(inner.outputs, known)
  const placeholders = expressions.map(n => placeholder(n.shape, n.dtype))
  const outputs = substitute(inner.outputs, new Map(expressions.map((n, i) => [n, placeholders[i]!])))
  const read = new Set(topological(outputs))
  const indicesIn = (nodes: ReadonlySet<Node>): readonly number[] =>
    block.parameters.flatMap((p, i) => (nodes.has(p) ? [i] : []))
  const kept = indicesIn(read)
  return {
    reads: indicesIn(new Set(topological(expressions))),
    block: { name: block.name, parameters: [...kept.map(i => block.parameters[i]!), ...placeholders], outputs },
    kept,
    expressions,
  }
}

/** All dims that a node's value depends on, in addition to those of its inputs. */
const dimsOf = (n: Node): Shape => [...n.shape, ...n.op.dims(n.attributes)]
/** Tests whether every dim that a node's value depends on is one of some. */
export const dependsOnlyOn = (n: Node, isOne: (dim: Dim) => boolean): boolean => dimsOf(n).every(isOne)

/**
 * A text for each expression under given sizes: equal texts mean equal values.
 * @example const keyOf = preparedKeys(size)
 */
export const preparedKeys =
  (structureOf: (n: Node) => string, size: (dim: Dim) => number) =>
  (n: Node): string =>
    `${structureOf(n)} ${topological([n])
      .map(m => dimsOf(m).map(size).join('x'))
      .join()}`

interface Preparing {
  readonly isStaticLeaf: (n: Node) => boolean
  readonly keyOf: (n: Node) => string
  readonly size: (dim: Dim) => number
  readonly preparations: Preparations
  /** Tests whether a static value may be held. */
  readonly mayHold?: (n: Node) => boolean
}

/** Replaces the static parts of a program by placeholders; their expressions are added to the preparations. */
export const prepare = (
  roots: readonly Node[],
  { isStaticLeaf, keyOf, size, preparations, mayHold }: Preparing,
): readonly Node[] => {
  const inner = liftStatic(roots, isStaticLeaf, mayHold)
  const known = staticNodes(inner, isStaticLeaf, mayHold)
  const replacements = frontier(inner, known).map((n): readonly [Node, Node] => {
    const key = keyOf(n)
    const prepared = preparations.get(key) ?? { placeholder: placeholder(n.shape, n.dtype), expression: n, size }
    preparations.set(key, prepared)
    return [n, prepared.placeholder]
  })
  return substitute(inner, new Map(replacements))
}
