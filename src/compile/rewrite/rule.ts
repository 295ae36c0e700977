import {
  constantOp,
  inputDropoutOp,
  is,
  sizeOp,
  topological,
  withInputs,
  type Dim,
  type Node,
} from '../../tensor/index.ts'

/** The facts that a rule may use. */
export interface Context {
  /** The size of a dim, for weighing bytes and flops. */
  readonly size: (dim: Dim) => number
  /**
   * Tests for a value that does not change while a program runs, and may be held: weights, and values that depend on
   * them alone.
   */
  readonly isStatic: (node: Node) => boolean
  /** Tests for a value that depends on parameters and constants alone, packed ones included: it has no tokens. */
  readonly isWeight: (node: Node) => boolean
  /** Tests whether nothing but the node that is being rewritten reads a value. */
  readonly readOnce: (node: Node) => boolean
}

/** A rewriting: a pattern with its side condition, and the term that replaces it; `undefined` if it does not apply. */
export interface Rule {
  readonly name: string
  readonly apply: (node: Node, context: Context) => Node | undefined
}

export type Surroundings = Pick<Context, 'size' | 'isStatic'> & Partial<Pick<Context, 'isWeight'>>

/** Tests for values that depend on parameters and constants alone, given the leaves that are parameters. */
export const weighing = (isParameter: (leaf: Node) => boolean): Context['isWeight'] => {
  const known = new Map<Node, boolean>()
  const isWeight = (n: Node): boolean => {
    // dropout is drawn for each batch, and is not a part of the weight
    const inputs = is(n, inputDropoutOp) ? n.inputs.slice(0, 1) : n.inputs
    const found =
      known.get(n) ??
      (isParameter(n) || is(n, constantOp) || is(n, sizeOp) || (inputs.length > 0 && inputs.every(isWeight)))
    known.set(n, found)
    return found
  }
  return isWeight
}

/**
 * Applies rules everywhere until none applies. A rule must make progress: it yields smaller operands, or a node nearer
 * to the leaves.
 */
export const rewrite = (roots: readonly Node[], rules: readonly Rule[], environment: Surroundings): readonly Node[] => {
  const readers = new Map<Node, number>()
  const count = (n: Node): void => {
    readers.set(n, (readers.get(n) ?? 0) + 1)
  }
  roots.forEach(count)
  for (const n of topological(roots)) n.inputs.forEach(count)

  const done = new Map<Node, Node>()
  const staticNodes = new Map<Node, boolean>()
  const isStatic = (n: Node): boolean => {
    const known =
      staticNodes.get(n) ??
      (environment.isStatic(n) || (n.op.unpacks !== true && n.inputs.length > 0 && n.inputs.every(isStatic)))
    staticNodes.set(n, known)
    return known
  }
  const isWeight = weighing(environment.isWeight ?? environment.isStatic)
  const context: Context = { size: environment.size, isStatic, isWeight, readOnce: n => (readers.get(n) ?? 1) <= 1 }
  const finish = (n: Node): Node => {
    const known = done.get(n)
    if (known) return known
    const rebuilt = withInputs(n, n.inputs.map(finish))
    if (rebuilt !== n) readers.set(rebuilt, readers.get(n) ?? 1)
    const changed = firstMatch(rebuilt, rules, context)
    const result = changed ? finish(changed) : rebuilt
    if (changed && (readers.get(n) ?? 1) > 1) readers.set(result, Math.max(readers.get(result) ?? 1, readers.get(n)!))
    done.set(n, result)
    if (!done.has(rebuilt)) done.set(rebuilt, result)
    return result
  }
  // inputs first, so that the recursion of `finish` is never deeper than one rule's term
  for (const n of topological(roots)) finish(n)
  return roots.map(finish)
}

const firstMatch = (node: Node, rules: readonly Rule[], context: Context): Node | undefined => {
  for (const rule of rules) {
    const changed = rule.apply(node, context)
    if (changed && changed !== node) return changed
  }
  return undefined
}
