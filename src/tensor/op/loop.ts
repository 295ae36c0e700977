import * as E from '../../either/index.ts'
import { opaque } from '../facets.ts'
import { interpret } from '../interpret.ts'
import { is, node, topological, type Node, type NodeOf, type Numbers, type Op, type Signature } from '../node.ts'
import type { Dim } from '../shape/index.ts'
import { blockDims, blockMisfit, callOp, type Block } from './call.ts'
import { result } from './result.ts'

/**
 * The source of a loop's parameter in each turn: the result of the turn before, a value that is always the same, or the
 * turn's own element of a stack.
 */
export type Feed =
  { readonly kind: 'carried'; readonly output: number } | { readonly kind: 'shared' } | { readonly kind: 'layered' }

/** A block that is called once for each layer, or for each step of time. */
export interface Loop {
  readonly block: Block
  readonly count: Dim
  /** For each parameter of the block, its source. */
  readonly feeds: readonly Feed[]
  /** True if the last layer comes first. Stacks are in the order of the layers either way. */
  readonly reverse: boolean
}

/** The outputs that the next turn receives; every other output is kept for every turn. */
export const carriedOutputs = ({ feeds }: Pick<Loop, 'feeds'>): ReadonlySet<number> =>
  new Set(feeds.flatMap(feed => (feed.kind === 'carried' ? [feed.output] : [])))

/** An element of a stack `[count, …]`, as numbers. */
const element = ({ sizes, data }: Numbers, i: number): Numbers => {
  const length = data.length / sizes[0]!
  return { sizes: sizes.slice(1), data: data.subarray(i * length, (i + 1) * length) }
}

const alike = (a: Signature, b: Signature): boolean => a.shape.join() === b.shape.join() && a.dtype === b.dtype
const shown = ({ shape, dtype }: Signature): string => `[${shape.join(', ')}]${dtype === 'f32' ? '' : ` ${dtype}`}`

const stacked = (elements: readonly Numbers[]): Numbers => {
  const {
    sizes,
    data: { length },
  } = elements[0]!
  const data = new Float64Array(elements.length * length)
  elements.forEach((x, i) => {
    data.set(x.data, i * length)
  })
  return { sizes: [elements.length, ...sizes], data }
}

/**
 * Consecutive calls of one block, each on the result of the one before: one function, however many layers or steps
 * there are. Its results are those of the block: the last value of a carried output, the stack `[count, …]` of any
 * other. Like a call, it is differentiated as a whole; see `gradients`.
 */
export const loopOp: Op<Loop> = {
  name: 'loop',
  shape: (inputs, { block, count, feeds }) => {
    const wrong = (text: string): E.Either<string, Signature> => E.left(`loop ${block.name}: ${text}`)
    if (inputs.length !== block.parameters.length)
      return wrong(`there are ${inputs.length} arguments, not ${block.parameters.length}`)
    for (const [i, p] of block.parameters.entries()) {
      const input = inputs[i]!
      const feed = feeds[i]!
      const expected = { shape: feed.kind === 'layered' ? [count, ...p.shape] : p.shape, dtype: p.dtype }
      if (!alike(input, expected)) return wrong(`argument ${i} is ${shown(input)}, not ${shown(expected)}`)
      const next = feed.kind === 'carried' ? block.outputs[feed.output] : p
      if (next === undefined || !alike(next, p))
        return wrong(`argument ${i} is ${shown(p)}, and what is carried to it ${next ? shown(next) : 'is no output'}`)
    }
    return E.right({ shape: [], dtype: 'f32' })
  },
  misfit: (_, { block }, { size }) => blockMisfit(block, size),
  eval: () => {
    throw new Error('a loop has several results')
  },
  vjp: () => {
    throw new Error('a loop is differentiated by its block')
  },
  flops: () => 0,
  ...opaque,
  dims: ({ block, count }) => [...blockDims(block), count],
  smooth: ({ attributes: { block } }) => topological(block.outputs).every(n => n.op.smooth(n)),
  several: {
    signatures: loop => {
      const carried = carriedOutputs(loop)
      return loop.block.outputs.map(({ shape, dtype }, k) => ({
        shape: carried.has(k) ? shape : [loop.count, ...shape],
        dtype,
      }))
    },
    eval: (inputs, loop, size) => {
      const { block, feeds, reverse } = loop
      const count = size(loop.count)
      const carried = carriedOutputs(loop)
      const kept: Numbers[][] = block.outputs.map(() => [])
      let last: readonly Numbers[] = []
      for (let turn = 0; turn < count; turn++) {
        const at = reverse ? count - 1 - turn : turn
        const given = feeds.map((feed, i): Numbers =>
          feed.kind === 'layered'
            ? element(inputs[i]!, at)
            : feed.kind === 'carried' && turn > 0
              ? last[feed.output]!
              : inputs[i]!,
        )
        last = interpret(block.outputs, new Map(block.parameters.map((p, i) => [p, given[i]!])), size)
        last.forEach((x, k) => {
          kept[k]![at] = x
        })
      }
      return kept.map((elements, k) => (carried.has(k) ? last[k]! : stacked(elements)))
    },
  },
}

/** The results of a loop. */
export const looped = (loop: Loop, inputs: readonly Node[]): readonly Node[] => {
  const application = node(loopOp, inputs, loop)
  return loop.block.outputs.map((_, k) => result(application, k))
}

/** Applications of blocks: calls and loops. */
export type Applied = NodeOf<{ readonly block: Block }>
/** Tests for an application of a block. */
export const isApplied = (n: Node): n is Applied => is(n, callOp) || is(n, loopOp)
/** The block that a call or a loop applies. */
export const bodyOf = (n: Node): Block | undefined => (isApplied(n) ? n.attributes.block : undefined)

/** The same application of a block with the same outputs, of which some parameters may be missing. */
export const withBody = (old: Node, block: Block, kept: readonly number[] = old.inputs.map((_, i) => i)): Node => {
  const inputs = kept.map(i => old.inputs[i]!)
  if (is(old, loopOp)) {
    const { attributes } = old
    return node(loopOp, inputs, { ...attributes, block, feeds: kept.map(i => attributes.feeds[i]!) })
  }
  return node(callOp, inputs, { block })
}

/** The inputs of an application that are the same in every turn. */
export const isShared = (n: Node, input: number): boolean =>
  !is(n, loopOp) || n.attributes.feeds[input]!.kind === 'shared'
