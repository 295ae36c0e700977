import { topological, type Node, type Op } from './node.ts'
import { placeholderOp } from './op/placeholder.ts'

/** Numbers for things that are equal only to themselves: ops and blocks. */
const ids = new WeakMap<object, number>()
let next = 0
const idOf = (thing: object): number => {
  const known = ids.get(thing)
  if (known !== undefined) return known
  ids.set(thing, next)
  return next++
}

const isBlock = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && 'parameters' in value && 'outputs' in value

/** Numbers that JSON does not distinguish. */
const isOdd = (value: unknown): value is number =>
  typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))

/**
 * A text of an op and its attributes: two nodes with the same op, equal attributes and equal inputs compute the same.
 */
export const labelOf = (op: Op, attributes: unknown): string => {
  if (typeof attributes !== 'object' || attributes === null) return labelled(op, attributes)
  // nodes that differ in their inputs alone share their attributes
  const known = labels.get(attributes)
  if (known?.op === op) return known.label
  const label = labelled(op, attributes)
  labels.set(attributes, { op, label })
  return label
}
const labels = new WeakMap<object, { readonly op: Op; readonly label: string }>()

const labelled = (op: Op, attributes: unknown): string =>
  `${idOf(op)} ${JSON.stringify(attributes, (_, value: unknown) =>
    isBlock(value) ? `#${idOf(value)}` : isOdd(value) ? `number ${Object.is(value, -0) ? '-0' : value}` : value,
  )}`

/**
 * Value numbering: one node for all that compute the same (common subexpressions).
 * @example const [a, b] = shared([mul(x, y), mul(x, y)]) // a === b
 */
export const deduplicated = (roots: readonly Node[]): readonly Node[] => {
  const before = roots[0] && passes.get(roots[0])
  // what one pass has returned has no two nodes alike
  if (before !== undefined && roots.every(root => passes.get(root) === before)) return roots
  const numberOf = new Map<Node, number>()
  const first = new Map<string, Node>()
  const representative = new Map<Node, Node>()
  for (const n of topological(roots)) {
    const inputs = n.inputs.map(input => representative.get(input)!)
    const label =
      n.op === placeholderOp
        ? `parameter ${idOf(n)}`
        : `${labelOf(n.op, n.attributes)} ${inputs.map(input => numberOf.get(input)!).join()}`
    const known = first.get(label)
    const chosen = known ?? (inputs.every((input, i) => input === n.inputs[i]) ? n : { ...n, inputs })
    if (known === undefined) {
      first.set(label, chosen)
      numberOf.set(chosen, numberOf.size)
    }
    representative.set(n, chosen)
  }
  const found = roots.map(root => representative.get(root)!)
  const pass = {}
  for (const root of found) passes.set(root, pass)
  return found
}
/** The last pass that has returned a node. */
const passes = new WeakMap<Node, object>()

/** The structure of an expression with given leaves: equal texts mean equal functions of the leaves. */
export const structureOf = (roots: readonly Node[], leaves: readonly Node[]): string => {
  const numberOf = new Map(leaves.map((leaf, i) => [leaf, i]))
  const lines: string[] = leaves.map(leaf => `${leaf.dtype} ${leaf.shape.join()}`)
  for (const n of walk(roots, new Set(leaves))) {
    if (numberOf.has(n)) continue
    numberOf.set(n, numberOf.size)
    lines.push(`${labelOf(n.op, n.attributes)} ${n.inputs.map(input => numberOf.get(input)!).join()}`)
  }
  return `${lines.join('\n')}\n${roots.map(root => numberOf.get(root)!).join()}`
}

/** The nodes below roots, inputs first, without those below the given ones. */
export const walk = (roots: readonly Node[], stop: ReadonlySet<Node>): readonly Node[] => {
  const seen = new Set<Node>()
  const order: Node[] = []
  const visit = (n: Node): void => {
    if (seen.has(n)) return
    seen.add(n)
    if (!stop.has(n)) n.inputs.forEach(visit)
    order.push(n)
  }
  roots.forEach(visit)
  return order
}

/** The most texts that {@link expressionKeys} remembers. */
const mostTexts = 2 ** 16

/**
 * A text for each expression: equal texts mean that the expressions compute the same function of the same leaves.
 * Expressions that do have equal texts, unless very many others came between.
 */
export const expressionKeys = (): ((n: Node) => string) => {
  const keys = new WeakMap<Node, string>()
  const numbers = new Map<string, number>()
  let next = 0
  const keyOf = (n: Node): string => {
    const known = keys.get(n)
    if (known !== undefined) return known
    const text =
      n.op === placeholderOp ? `parameter ${idOf(n)}` : `${labelOf(n.op, n.attributes)} ${n.inputs.map(keyOf).join()}`
    if (numbers.size >= mostTexts) numbers.clear()
    const number = numbers.get(text) ?? next++
    numbers.set(text, number)
    keys.set(n, `#${number}`)
    return `#${number}`
  }
  return keyOf
}
