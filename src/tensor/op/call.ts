import * as E from '../../either/index.ts'
import { opaque } from '../facets.ts'
import { interpret } from '../interpret.ts'
import { misfitIn } from '../misfit.ts'
import { is, node, substitute, topological, type Bound, type Node, type Op } from '../node.ts'
import type { Shape } from '../shape/index.ts'
import { result } from './result.ts'

/** A function of tensors, traced once and called many times: the body of a repeated layer. */
export interface Block {
  readonly name: string
  readonly parameters: readonly Node[]
  readonly outputs: readonly Node[]
  /** True for a few elementwise and row-wise ops that run as one kernel: only the outputs get a buffer. */
  readonly fused?: boolean
}

const fitting = new WeakMap<Bound['size'], WeakSet<Block>>()

/** The reason why a block does not fit sizes, if it does not. A block that is called many times is examined once. */
export const blockMisfit = (block: Block, size: Bound['size']): string | undefined => {
  const known = fitting.get(size) ?? new WeakSet<Block>()
  if (known.has(block)) return undefined
  const text = misfitIn(block.outputs, size)
  if (text === undefined) fitting.set(size, known.add(block))
  return text
}

const named = new WeakMap<Block, Shape>()

/** All dims in a block: those of its shapes and of its attributes. */
export const blockDims = (block: Block): Shape => {
  const dims = named.get(block) ?? [
    ...new Set(topological(block.outputs).flatMap(n => [...n.shape, ...n.op.dims(n.attributes)])),
  ]
  named.set(block, dims)
  return dims
}

/** An application of a block; `result` reads its results. It is differentiated as a whole; see `gradients`. */
export const callOp: Op<{ readonly block: Block }> = {
  name: 'call',
  shape: (inputs, { block }) => {
    const wrong = block.parameters.findIndex(
      (p, i) => p.shape.join() !== inputs[i]?.shape.join() || p.dtype !== inputs[i].dtype,
    )
    if (wrong < 0 && inputs.length === block.parameters.length) return E.right({ shape: [], dtype: 'f32' })
    return E.left(
      `call ${block.name}: argument ${wrong} is [${inputs[wrong]?.shape.join(', ')}], not [${block.parameters[wrong]?.shape.join(', ')}]`,
    )
  },
  misfit: (_, { block }, { size }) => blockMisfit(block, size),
  eval: () => {
    throw new Error('a call has several results')
  },
  vjp: () => {
    throw new Error('a call is differentiated by its block')
  },
  flops: () => 0,
  ...opaque,
  dims: ({ block }) => blockDims(block),
  smooth: ({ attributes: { block } }) => topological(block.outputs).every(n => n.op.smooth(n)),
  several: {
    signatures: ({ block }) => block.outputs,
    eval: (inputs, { block }, size) =>
      interpret(block.outputs, new Map(block.parameters.map((p, i) => [p, inputs[i]!])), size),
  },
}

/** The block that a call calls. */
export const blockOf = (candidate: Node): Block | undefined =>
  is(candidate, callOp) ? candidate.attributes.block : undefined

/** Calls a block on arguments and returns its results. */
export const call = (block: Block, inputs: readonly Node[]): readonly Node[] => {
  const application = node(callOp, inputs, { block })
  return block.outputs.map((_, index) => result(application, index))
}
/** The same, without a call: the block's body on the arguments. */
export const inlined = (block: Block, inputs: readonly Node[]): readonly Node[] =>
  substitute(block.outputs, new Map(block.parameters.map((p, i) => [p, inputs[i]!])))
