import { followersOf, summedLater, viewOf } from './loop-sums.ts'
import { node, topological, type Node, type NodeOf } from './node.ts'
import { carriedOutputs, looped, loopOp, type Feed, type Loop } from './op/loop.ts'
import { placeholder, scalar } from './op/placeholder.ts'
import { result } from './op/result.ts'
import { u } from './op/untyped.ts'
import type { Halves } from './partition.ts'
import { activeFrom, type Wanted } from './wanted.ts'

/** A gradient that is demanded of an input: the whole cotangent, or the wanted part of a leaf's. */
export interface Demand {
  readonly input: number
  readonly wanted: Wanted | undefined
}

/** The forward half of an application, and its backward half as a function of the cotangents of its results. */
export interface Divided {
  readonly forward: Node
  readonly demands: readonly Demand[]
  /** The gradients in the order of the demands. */
  readonly backward: (cotangent: (index: number) => Node | undefined) => readonly Node[]
}

/** The application of a loop to differentiate. */
interface Differentiated {
  readonly loop: NodeOf<Loop>
  /** Its inputs, in which calls have become forward halves. */
  readonly inputs: readonly Node[]
  readonly isActive: (input: number) => boolean
  readonly wantedOf: (input: number) => Wanted | undefined
  readonly halvesFor: (demands: readonly Demand[]) => { readonly halves: Halves; readonly indices: readonly Node[] }
}

/** A parameter of a loop's block, with its source and its argument. */
interface Fed {
  readonly parameter: Node
  readonly feed: Feed
  readonly input: Node
}

const shared: Feed = { kind: 'shared' }
const layered: Feed = { kind: 'layered' }
const zeros = (shape: Node['shape']): Node => u.broadcastTo(scalar(0), shape)

/**
 * The parameters of a loop's block through which a derivative flows: a carried value may depend on a wanted leaf from
 * the second turn on.
 */
const activeParameters = ({ block, feeds }: Loop, isActive: (input: number) => boolean): readonly number[] => {
  const order = topological(block.outputs)
  const grown = (found: readonly number[]): readonly number[] => {
    const active = activeFrom(order, new Set(found.map(i => block.parameters[i]!)))
    const more = feeds.flatMap((feed, i) =>
      feed.kind === 'carried' && !found.includes(i) && active.has(block.outputs[feed.output]!) ? [i] : [],
    )
    return more.length === 0 ? found : grown([...found, ...more])
  }
  return grown(feeds.flatMap((_, i) => (isActive(i) ? [i] : []))).toSorted((a, b) => a - b)
}

/** Adds a value to the outputs of which a loop keeps every turn, unless it is one of them; returns its position. */
const everyTurn = (outputs: Node[], carried: ReadonlySet<number>, n: Node): number => {
  const known = outputs.findIndex((output, k) => output === n && !carried.has(k))
  return known < 0 ? outputs.push(n) - 1 : known
}

/**
 * Differentiates a loop as a loop in the other direction: cotangents of carried values are carried, the values that the
 * forward half keeps are stacks, and gradients of shared values are summed over the turns, if possible after the loop.
 */
export const dividedLoop = ({ loop, inputs, isActive, wantedOf, halvesFor }: Differentiated): Divided => {
  const { block, count, reverse } = loop.attributes
  const carried = carriedOutputs(loop.attributes)
  const demands = activeParameters(loop.attributes, isActive).map((input): Demand => ({
    input,
    // of a stack, and of a carried value, the part is taken after the loop
    wanted: loop.attributes.feeds[input]!.kind === 'shared' ? wantedOf(input) : undefined,
  }))
  const { halves, indices } = halvesFor(demands)
  const feeds = [...loop.attributes.feeds, ...indices.map(() => shared)]
  const given = [...inputs, ...indices]

  const outputs = [...halves.forward.outputs]
  const turns = [
    ...halves.passed.map(i =>
      feeds[i]!.kind === 'carried' ? everyTurn(outputs, carried, halves.forward.parameters[i]!) : undefined,
    ),
    ...halves.residuals.map(i => everyTurn(outputs, carried, outputs[i]!)),
  ]
  const forward = node(loopOp, given, { block: { ...halves.forward, outputs }, count, feeds, reverse })
  const { parameters } = halves.backward
  const known = turns.map((at, k): Fed => {
    const parameter = parameters[k]!
    if (at !== undefined) return { parameter, feed: layered, input: result(forward, at) }
    const passed = halves.passed[k]!
    return { parameter, feed: feeds[passed]!, input: given[passed]! }
  })
  return {
    forward,
    demands,
    backward: cotangent => {
      const ofOutputs = block.outputs.map((output, k): Fed => {
        const parameter = parameters[turns.length + k]!
        const received = cotangent(k)
        const [from, ...others] = demands.flatMap(({ input }, j) => {
          const feed = feeds[input]!
          return feed.kind === 'carried' && feed.output === k ? [j] : []
        })
        if (others.length > 0) throw new Error(`loop ${block.name}: output ${k} is carried to several parameters`)
        if (from !== undefined)
          return { parameter, feed: { kind: 'carried', output: from }, input: received ?? zeros(output.shape) }
        return received && !carried.has(k)
          ? { parameter, feed: layered, input: received }
          : { parameter, feed: shared, input: zeros(output.shape) }
      })
      return backwardLoop(halves.backward, [...known, ...ofOutputs], {
        count,
        reverse: !reverse,
        isSummed: j => feeds[demands[j]!.input]!.kind === 'shared',
      })
    },
  }
}

interface Direction {
  readonly count: Loop['count']
  readonly reverse: boolean
  /** Tests for results that are summed over all turns. */
  readonly isSummed: (index: number) => boolean
}

/** A loop some of whose results are summed over all turns, in the order of the block's outputs. */
const backwardLoop = (
  block: Halves['backward'],
  fed: readonly Fed[],
  { count, reverse, isSummed }: Direction,
): readonly Node[] => {
  const varying = followersOf(
    block.outputs,
    fed.flatMap(({ feed, parameter }) => (feed.kind === 'shared' ? [] : [parameter])),
  )
  const later = block.outputs.map((n, j) => (isSummed(j) ? summedLater(n, of => varying.has(of)) : undefined))
  // the results that remain: those that are summed later have no place among them
  const inside = block.outputs.flatMap((_, j) => (later[j] ? [] : [j]))
  const placed = fed.map(({ feed, ...of }): Fed => ({
    ...of,
    feed: feed.kind === 'carried' ? { kind: 'carried', output: inside.indexOf(feed.output) } : feed,
  }))
  const totals = inside.flatMap((j, at): readonly (Fed & { readonly at: number })[] => {
    if (!isSummed(j)) return []
    const { shape } = block.outputs[j]!
    return [{ at, parameter: placeholder(shape, 'f32'), feed: { kind: 'carried', output: at }, input: zeros(shape) }]
  })
  const outputs = inside.map((j, at) => {
    const total = totals.find(of => of.at === at)
    return total ? u.add(total.parameter, block.outputs[j]!) : block.outputs[j]!
  })
  const all = [...placed, ...totals]
  const feeds = all.map(({ feed }) => feed)
  const carried = carriedOutputs({ feeds })
  const stacks = new Map(
    all.flatMap(({ parameter, feed, input }) => (feed.kind === 'layered' ? [[parameter, input]] : [])),
  )
  const views = new Map<Node, Node>()
  const kept = new Map<Node, number>()
  for (const operand of later.flatMap(sum => sum?.operands ?? [])) {
    const view = viewOf(operand, count, n => stacks.get(n))
    if (view) views.set(operand, view)
    else kept.set(operand, everyTurn(outputs, carried, operand))
  }
  const made =
    outputs.length === 0
      ? []
      : looped(
          {
            block: { name: block.name, parameters: all.map(({ parameter }) => parameter), outputs },
            count,
            feeds,
            reverse,
          },
          all.map(({ input }) => input),
        )
  const stackOf = (operand: Node): Node => views.get(operand) ?? made[kept.get(operand)!]!
  return block.outputs.map((_, j) => later[j]?.total(stackOf) ?? made[inside.indexOf(j)]!)
}
