import {
  call,
  placeholder,
  placeholderOp,
  structureOf,
  substitute,
  topological,
  walk,
  withInputs,
  type Block,
  type Node,
} from '../../tensor/index.ts'
import { sumsIn } from './addends.ts'
import type { Family } from './runs.ts'

/**
 * The layer whose leaves a value depends on, if it is a single layer; and the number of times that layers were joined
 * on the way. Families of different lengths have different layers: those of a network's stages are not alike.
 */
interface Tag {
  readonly layer: string | undefined
  readonly level: number
}

/**
 * Makes blocks of the computations that concern one layer each: an optimizer's update of the leaves of a layer, the
 * square of its gradient. Layers with equal computations share one block; computations that join layers, such as a norm
 * over all, stay between the blocks.
 * @example outlined([...newMoments, ...newWeights], families)
 */
export const outlined = (roots: readonly Node[], families: readonly Family[]): readonly Node[] => {
  const layerOfLeaf = new Map(
    families.flatMap(({ leaves }) => leaves.map((leaf, layer) => [leaf, `${layer} of ${leaves.length}`] as const)),
  )
  const sums = sumsIn(roots)
  const tags = new Map<Node, Tag>()
  const joined = (inputs: readonly Node[]): Tag => {
    const below = inputs.map(tagOf)
    const layers = new Set(below.flatMap(({ layer }) => layer ?? []))
    const level = Math.max(0, ...below.map(tag => tag.level))
    const [layer] = layers
    return layers.size > 1 ? { layer: undefined, level: level + 1 } : { layer, level }
  }
  function tagOf(n: Node): Tag {
    const known = tags.get(n)
    if (known) return known
    const sum = sums.last(n)
    const tag = sum ? joined(sums.addends(sum)!) : { layer: layerOfLeaf.get(n), level: 0 }
    const found = sum === undefined && n.inputs.length > 0 ? joined(n.inputs) : tag
    tags.set(n, found)
    return found
  }
  const isFree = (n: Node): boolean => n.inputs.length === 0 && n.op !== placeholderOp
  const regionOf = (n: Node): string | undefined => {
    const { layer, level } = tagOf(n)
    return layer === undefined || n.inputs.length === 0 ? undefined : `${layer} ${level}`
  }

  /**
   * Tests for a cheap value of the same layer, which is recomputed where it is read, so that it need not be kept for
   * all layers until then.
   */
  const isInside = (n: Node, reader: Node): boolean =>
    regionOf(n) !== undefined &&
    (regionOf(n) === regionOf(reader) || (n.op.cheap === true && tagOf(n).layer === tagOf(reader).layer))
  const outputs = new Map<string, Node[]>()
  const computed = new Map<string | undefined, Set<Node>>()
  /**
   * Visits the computations of a region (given by one of its nodes), or those outside all regions, and finds the values
   * that they read from other regions.
   */
  const compute = (n: Node, region: Node | undefined): void => {
    const key = region && regionOf(region)
    const known = computed.get(key) ?? new Set<Node>()
    computed.set(key, known)
    if (known.has(n)) return
    known.add(n)
    for (const input of n.inputs) read(input, region)
  }
  function read(n: Node, reader: Node | undefined): void {
    const region = regionOf(n)
    if (region === undefined || (reader && isInside(n, reader))) {
      compute(n, region === undefined ? undefined : reader)
      return
    }
    const own = outputs.get(region) ?? []
    outputs.set(region, own.includes(n) ? own : [...own, n])
    compute(n, n)
  }
  for (const root of roots) read(root, undefined)

  const blocks = new Map<string, Block>()
  const calls = new Map<string, readonly Node[]>()
  const built = new Map<Node, Node>()
  const callOf = (region: string): readonly Node[] => {
    const known = calls.get(region)
    if (known) return known
    const body = outputs.get(region)!
    const stop = new Set(topological(body).filter(n => !isFree(n) && !isInside(n, body[0]!)))
    const leaves = walk(body, stop).filter(n => stop.has(n))
    const structure = structureOf(body, leaves)
    const block = blocks.get(structure) ?? blockOf(`update${blocks.size === 0 ? '' : blocks.size}`, body, leaves)
    blocks.set(structure, block)
    const results = call(block, leaves.map(get))
    calls.set(region, results)
    return results
  }
  function get(n: Node): Node {
    const known = built.get(n)
    if (known) return known
    const region = regionOf(n)
    const made =
      region === undefined ? withInputs(n, n.inputs.map(get)) : callOf(region)[outputs.get(region)!.indexOf(n)]!
    built.set(n, made)
    return made
  }
  return roots.map(get)
}

const blockOf = (name: string, body: readonly Node[], leaves: readonly Node[]): Block => {
  const parameters = leaves.map(leaf => placeholder(leaf.shape, leaf.dtype))
  return { name, parameters, outputs: substitute(body, new Map(leaves.map((leaf, i) => [leaf, parameters[i]!]))) }
}
