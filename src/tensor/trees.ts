import { isNode, ShapeMismatch, type Node } from './node.ts'

/** The tensors of a record or list of tensors, however deep, in order. @throws {ShapeMismatch} for anything else in it */
export const flattened = (what: string, tree: unknown): readonly Node[] => {
  if (isNode(tree)) return [tree]
  if (typeof tree !== 'object' || tree === null)
    throw new ShapeMismatch(`scan: expected tensors in ${what}, not ${tree === null ? 'null' : typeof tree}`)
  return Object.values(tree).flatMap(part => flattened(what, part))
}

/** The same structure with other tensors. */
export const unflattened = (tree: unknown, tensors: readonly Node[]): unknown => {
  const left = tensors.values()
  const filled = (part: unknown): unknown => {
    if (isNode(part)) return left.next().value
    if (Array.isArray(part)) return part.map(filled)
    return Object.fromEntries(Object.entries(part as object).map(([name, inner]) => [name, filled(inner)]))
  }
  return filled(tree)
}
