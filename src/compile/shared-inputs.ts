import {
  blockOf,
  contractOp,
  is,
  deduplicated,
  topological,
  type Model,
  type Node,
  type Shape,
} from '../tensor/index.ts'
import { tensorsOf } from '../tune/index.ts'

/** A leaf that is multiplied along its first axis, its input features, and the other operand. */
interface Applied {
  readonly path: string
  readonly input: Node
}

/** The products of leaves, in order; those within a block occur once for each call of it. */
const appliedIn = (roots: readonly Node[], paths: ReadonlyMap<Node, string>): readonly (readonly Applied[])[] => {
  const here: Applied[] = []
  const inside: (readonly Applied[])[] = []
  for (const n of topological(roots)) {
    const block = blockOf(n)
    if (block) {
      const passed = new Map(
        block.parameters.flatMap((parameter, i): readonly (readonly [Node, string])[] => {
          const path = paths.get(n.inputs[i]!)
          return path === undefined ? [] : [[parameter, path]]
        }),
      )
      inside.push(...appliedIn(deduplicated(block.outputs), passed))
    }
    if (!is(n, contractOp)) continue
    const { a, b, out } = n.attributes
    const [x, y] = n.inputs as [Node, Node]
    for (const [leaf, letters, input] of [
      [x, a, y],
      [y, b, x],
    ] as const) {
      const path = paths.get(leaf)
      if (path !== undefined && !out.includes(letters[0]!)) here.push({ path, input })
    }
  }
  return [here, ...inside]
}

/**
 * Finds the leaves that are applied to the same input, such as q, k and v: groups of two or more paths, found in the
 * model itself. A leaf is in at most one group.
 * @example inputGroups(llama(config)) // [['model.layers.0.self_attn.q_proj', …k_proj, …v_proj], ['model.layers.0.mlp.gate_proj', …up_proj], …]
 */
export const inputGroups = <P, B, L extends Shape>({
  params,
  batch,
  logits,
}: Model<P, B, L>): readonly (readonly string[])[] => {
  const paths = new Map(tensorsOf(params).map(([path, leaf]) => [leaf, path]))
  const grouped = new Set<string>()
  return appliedIn(deduplicated([logits(params, batch)]), paths).flatMap(applied => {
    const groups = new Map<Node, string[]>()
    for (const { path, input } of applied) {
      if (grouped.has(path)) continue
      grouped.add(path)
      groups.set(input, [...(groups.get(input) ?? []), path])
    }
    return [...groups.values()].filter(group => group.length > 1)
  })
}
