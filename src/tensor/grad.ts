import { is, node, topological, type Node } from './node.ts'
import { dividedLoop, type Demand } from './loop-grad.ts'
import { blockOf, callOp, type Block } from './op/call.ts'
import { loopOp } from './op/loop.ts'
import { placeholder, scalar } from './op/placeholder.ts'
import { result, resultOp } from './op/result.ts'
import { halve, type Halves as Divided, type Partition } from './partition.ts'
import { u } from './op/untyped.ts'
import { activeFrom, whole, type Wanted } from './wanted.ts'

export interface Gradients {
  readonly outputs: readonly Node[]
  readonly gradients: readonly Node[]
  /** The limits on recomputation at which blocks are divided in another way, in ascending order; see `Partition`. */
  readonly limits: readonly number[]
}

/**
 * Reverse-mode differentiation, restricted to the wanted leaves. Returns the outputs, which change because a
 * differentiated call also returns the values that its backward block needs, and the gradients in the order of
 * `wanted`. A cotangent is computed only if it leads to a wanted leaf.
 */
export const gradients = (
  outputs: readonly Node[],
  cotangents: readonly Node[],
  wanted: readonly Wanted[],
  partition: Partition = {},
): Gradients => {
  const byLeaf = new Map(wanted.map(w => [w.leaf, w]))
  if (byLeaf.size !== wanted.length) throw new RangeError('gradients: a leaf is wanted twice')
  const activeOld = activeFrom(topological(outputs), byLeaf)
  const { forward, halvesOf, limits } = forwardHalves(outputs, byLeaf, activeOld, partition)
  const roots = outputs.map(forward)
  const order = topological(roots)
  const active = activeFrom(order, byLeaf)

  const cotangentOf = new Map<Node, Node>()
  const focused = new Map<Node, Node>()
  const resultCotangents = new Map<Node, Map<number, Node>>()
  const add = <K>(to: Map<K, Node>, key: K, value: Node): void => {
    const before = to.get(key)
    to.set(key, before ? u.add(before, value) : value)
  }
  const send = (input: Node, cotangent: Node): void => {
    const leaf = byLeaf.get(input)
    if (leaf) add(focused, input, leaf.get(cotangent, leaf.index))
    else if (active.has(input)) add(cotangentOf, input, cotangent)
  }
  roots.forEach((root, i) => {
    if (cotangents[i]) send(root, cotangents[i])
  })

  for (const current of order.toReversed()) {
    const halves = halvesOf.get(current)
    if (halves) {
      const received = resultCotangents.get(current)
      if (!received) continue
      const backward = halves.backward(index => received.get(index))
      halves.demands.forEach((demand, i) => {
        const input = current.inputs[demand.input]!
        if (demand.wanted) add(focused, input, backward[i]!)
        else send(input, backward[i]!)
      })
      continue
    }
    const dy = cotangentOf.get(current)
    if (!dy) continue
    if (is(current, resultOp)) {
      const [call] = current.inputs
      const received = resultCotangents.get(call!) ?? new Map<number, Node>()
      // a half may read a result that is read outside too, as a node of its own
      add(received, current.attributes.index, dy)
      resultCotangents.set(call!, received)
      continue
    }
    current.op.vjp(current, dy).forEach((d, i) => {
      if (d) send(current.inputs[i]!, d)
    })
  }
  return {
    outputs: roots,
    gradients: wanted.map(w => focused.get(w.leaf) ?? w.get(u.broadcastTo(scalar(0), w.leaf.shape), w.index)),
    limits,
  }
}

interface Halves {
  readonly demands: readonly Demand[]
  readonly backward: (cotangent: (index: number) => Node | undefined) => readonly Node[]
}

/** Replaces every call that a derivative flows through by the forward half of its block. */
const forwardHalves = (
  outputs: readonly Node[],
  byLeaf: ReadonlyMap<Node, Wanted>,
  active: ReadonlySet<Node>,
  partition: Partition,
) => {
  const made = new Map<Node, Node>()
  const halvesOf = new Map<Node, Halves>()
  const limits = new Set<number>()
  const halvesFor = (block: Block, demands: readonly Demand[]): Divided => {
    const halves = dividedFor(block, demands, partition)
    for (const limit of halves.limits) limits.add(limit)
    return halves
  }
  const asked = new Map<Block, Set<number>>()
  if (partition.alike) {
    for (const n of topological(outputs)) {
      const block = active.has(n) ? blockOf(n) : undefined
      if (block)
        n.inputs.forEach((input, i) => {
          if (active.has(input)) asked.set(block, (asked.get(block) ?? new Set()).add(i))
        })
    }
  }
  const forward = (old: Node): Node => made.get(old) ?? old
  for (const old of topological(outputs)) {
    const inputs = old.inputs.map(forward)
    const block = blockOf(old)
    if (is(old, loopOp) && active.has(old)) {
      const { forward: application, ...halves } = dividedLoop({
        loop: old,
        inputs,
        isActive: i => active.has(old.inputs[i]!),
        wantedOf: i => byLeaf.get(old.inputs[i]!),
        halvesFor: demands => ({
          halves: halvesFor(old.attributes.block, demands),
          indices: indicesOf(demands),
        }),
      })
      made.set(old, application)
      halvesOf.set(application, halves)
      continue
    }
    if (block === undefined || !active.has(old)) {
      made.set(old, inputs.every((input, i) => input === old.inputs[i]) ? old : node(old.op, inputs, old.attributes))
      continue
    }
    const demands = old.inputs.flatMap((input, i): readonly Demand[] =>
      active.has(input) || asked.get(block)?.has(i) ? [{ input: i, wanted: byLeaf.get(input) }] : [],
    )
    const halves = halvesFor(block, demands)
    const application = node(callOp, [...inputs, ...indicesOf(demands)], { block: halves.forward })
    made.set(old, application)
    halvesOf.set(application, {
      demands,
      backward: cotangent => {
        const given = block.outputs.map((output, i) => cotangent(i) ?? u.broadcastTo(scalar(0), output.shape))
        const backwardCall = node(
          callOp,
          [
            ...halves.passed.map(i => application.inputs[i]!),
            ...halves.residuals.map(i => result(application, i)),
            ...given,
          ],
          { block: halves.backward },
        )
        return halves.backward.outputs.map((_, i) => result(backwardCall, i))
      },
    })
  }
  return { forward, halvesOf, limits: [...limits].toSorted((a, b) => a - b) }
}

/** The distinct indices of demands: leaves may share an index, and a slice at a shared index is taken once. */
const indicesOf = (demands: readonly Demand[]): readonly Node[] => [
  ...new Set(demands.flatMap(({ wanted }) => wanted?.index ?? [])),
]

/**
 * Differentiates a block once for each kind of demand, and each pattern of shared indices, however many layers call it.
 */
const dividedFor = (block: Block, demands: readonly Demand[], partition: Partition): Divided => {
  const given = indicesOf(demands)
  const places = (wanted: Wanted | undefined): readonly number[] => (wanted?.index ?? []).map(i => given.indexOf(i))
  const key = demands.map(({ input, wanted }) => `${input}:${wanted?.kind ?? ''}@${places(wanted).join('+')}`).join()
  const cache = (partition.cache ??= new WeakMap())
  const known = cache.get(block) ?? new Map<string, Divided>()
  cache.set(block, known)
  const found = known.get(key)
  if (found) return found
  const cotangents = block.outputs.map(output => placeholder(output.shape, 'f32'))
  const indices = given.map(i => placeholder(i.shape, i.dtype))
  const inner = demands.map(({ input, wanted }): Wanted =>
    wanted
      ? { ...wanted, leaf: block.parameters[input]!, index: places(wanted).map(i => indices[i]!) }
      : whole(block.parameters[input]!),
  )
  const joint = gradients(block.outputs, cotangents, inner, partition)
  const halves = halve({ block, indices, cotangents, ...joint }, partition)
  known.set(key, halves)
  return halves
}
