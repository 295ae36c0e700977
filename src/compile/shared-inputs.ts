import {
  bodyOf,
  contractOp,
  is,
  deduplicated,
  forwardOf,
  inputsAxis,
  topological,
  type Model,
  type Node,
} from '../tensor/index.ts'
import { moduleOf, tensorsOf } from '../tune/index.ts'

/** A leaf that is multiplied along its inputs, and the other operand. */
interface Applied {
  readonly path: string
  readonly input: Node
}

/** A leaf that products may have: the path of its module, and the axis of its inputs. */
interface Candidate {
  readonly path: string
  readonly inputs: number
}

/** The products of leaves, in order; those within a block occur once for each call of it. */
const appliedIn = (
  roots: readonly Node[],
  candidates: ReadonlyMap<Node, Candidate>,
): readonly (readonly Applied[])[] => {
  const here: Applied[] = []
  const inside: (readonly Applied[])[] = []
  for (const n of topological(roots)) {
    const block = bodyOf(n)
    if (block) {
      const passed = new Map(
        block.parameters.flatMap((parameter, i): readonly (readonly [Node, Candidate])[] => {
          const candidate = candidates.get(n.inputs[i]!)
          return candidate === undefined ? [] : [[parameter, candidate]]
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
      const found = candidates.get(leaf)
      if (found !== undefined && !out.includes(letters[found.inputs]!)) here.push({ path: found.path, input })
    }
  }
  return [here, ...inside]
}

/**
 * Finds the leaves that are applied to the same input, such as q, k and v: groups of two or more paths, found in the
 * model itself. A leaf is in at most one group.
 * @example inputGroups(llama(config)) // [['model.layers.0.self_attn.q_proj', …k_proj, …v_proj], ['model.layers.0.mlp.gate_proj', …up_proj], …]
 */
export const inputGroups = <P, B, O, K extends string, U>(
  model: Model<P, B, O, K, U>,
): readonly (readonly string[])[] => {
  const candidates = new Map(
    tensorsOf(model.params).map(([path, leaf]) => [leaf, { path: moduleOf(path), inputs: inputsAxis(leaf) ?? 0 }]),
  )
  const grouped = new Set<string>()
  return appliedIn(
    deduplicated(tensorsOf(forwardOf(model, model.params).outputs).map(([, output]) => output)),
    candidates,
  ).flatMap(applied => {
    const groups = new Map<Node, string[]>()
    for (const { path, input } of applied) {
      if (grouped.has(path)) continue
      grouped.add(path)
      groups.set(input, [...(groups.get(input) ?? []), path])
    }
    return [...groups.values()].filter(group => group.length > 1)
  })
}
