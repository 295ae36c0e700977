import {
  addOp,
  blockDims,
  composite,
  composites,
  contractOp,
  channelsOf,
  inlined,
  is,
  mulOp,
  node,
  placeholder,
  reshapeOp,
  sliceOp,
  subOp,
  substitute,
  takeOp,
  u,
  whenTrainingOp,
  type Block,
  type Node,
  type NodeOf,
  type Op,
} from '../../tensor/index.ts'
import type { Rule } from '../rewrite/index.ts'

const {
  causalSoftmax: causalSoftmaxOp,
  crossEntropy: crossEntropyOp,
  softmax: softmaxOp,
  standardize: standardizeOp,
  visibleSoftmax: visibleSoftmaxOp,
} = composites

/**
 * Expressions that are one op in PyTorch, which keeps less for it than for its parts: rules that recognise them. A
 * module keeps the expression that it stands for, so its meaning, shape and cost are unchanged.
 */

interface Fused {
  readonly block: Block
}
const moduleOp = (name: string, autograd: NonNullable<Op<Fused>['autograd']>): Op<Fused> =>
  composite<Fused>({
    name,
    kind: 'other',
    dims: ({ block }) => blockDims(block),
    expand: (inputs, { block }) => inlined(block, inputs)[0]!,
    autograd,
  })

/** An expression as one application of an op to some of its own nodes. */
const fused = (op: Op<Fused>, root: Node, inputs: readonly Node[]): Node => {
  const parameters = inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
  const outputs = substitute([root], new Map(inputs.map((input, i) => [input, parameters[i]!])))
  return node(op, inputs, { block: { name: op.name, parameters, outputs } })
}

/** (q, k, v) => softmax(q kᵀ) v: the fused kernel keeps its operands, its result, and a number for each row of scores. */
const attentionOp = moduleOp('attention', {
  saves: ({ inputs: [q, k] }) => {
    const repeated = [...q!.shape.slice(0, -2), ...k!.shape.slice(-2)]
    return [
      { operand: 0 },
      { operand: 1, repeated },
      { operand: 2, repeated },
      'result',
      { own: 'f32', shape: q!.shape.slice(0, -1) },
    ]
  },
  // the scores again, and two products for each of the two of the forward pass
  products: 2.5,
  autocast: 'half',
})
/** (x, weight, bias?) => a layer normalisation, which keeps its input, and mean and scale of each row. */
const layerNormOp = moduleOp('layerNorm', {
  saves: ({ inputs: [x] }) => [{ operand: 0 }, { own: 'statistics', shape: [2, ...x!.shape.slice(0, -1)] }],
  autocast: 'f32',
})
/** (x, weight, bias) => a batch normalisation, which keeps its input, and mean and scale of each channel. */
const batchNormOp = moduleOp('batchNorm', {
  saves: ({ inputs: [, weight] }) => [{ operand: 0 }, { own: 'f32', shape: [2, ...weight!.shape] }],
  autocast: 'first',
})
/** (x, weight) => a convolution whose windows do not overlap, which keeps what any convolution keeps. */
const convolutionOp = moduleOp('convolution', {
  saves: ({ inputs: [x] }, [, ofWeight]) => [{ operand: 0, along: channelsOf(x!, ofWeight) }, { operand: 1 }],
  autocast: 'half',
})
/** (y, bias) => y + bias, which is a part of the product before it. */
const biasedOp = moduleOp('bias', { saves: () => [], autocast: 'half' })

const probabilities: readonly Op[] = [softmaxOp, causalSoftmaxOp, visibleSoftmaxOp]

/** Queries before they are scaled, which the kernel does, and the scale. */
const scaledQuery = (q: Node): { readonly x: Node; readonly scale: Node } | undefined => {
  if (is(q, reshapeOp)) return scaledQuery(q.inputs[0]!)
  const [x, scale] = q.inputs
  return is(q, mulOp) && scale!.shape.length === 0 ? { x: x!, scale: scale! } : undefined
}

const attention: Rule = {
  name: 'attention',
  apply: n => {
    const [weights, v] = n.inputs
    if (!is(n, contractOp) || !probabilities.includes(weights!.op)) return undefined
    const scores = weights!.inputs[0]!
    if (!is(scores, contractOp)) return undefined
    const [q, k] = scores.inputs as [Node, Node]
    const scaled = scaledQuery(q)
    if (scaled === undefined) return fused(attentionOp, n, [q, k, v!])
    const plain = u.reshape(scaled.x, q.shape)
    const root = substitute([n], new Map([[q, u.mul(plain, scaled.scale)]]))[0]!
    return fused(attentionOp, root, [plain, k, v!])
  },
}

const layerNorm: Rule = {
  name: 'layer-norm',
  apply: (n, { isWeight }) => {
    const [x, weight] = n.inputs
    if (is(n, mulOp) && is(x!, standardizeOp) && isWeight(weight!))
      return fused(layerNormOp, n, [x.inputs[0]!, weight!])
    if (is(n, addOp) && is(x!, layerNormOp) && x.inputs.length === 2 && isWeight(weight!)) {
      const [from, gain] = x.inputs as [Node, Node]
      return fused(layerNormOp, u.add(inlined(x.attributes.block, [from, gain])[0]!, weight!), [from, gain, weight!])
    }
    return undefined
  },
}

/** A norm of some rows is those rows of the norm of all: transformers normalises all of them, and reads a few. */
const normaliseAll: Rule = {
  name: 'normalise-all',
  apply: n => {
    if (!is(n, layerNormOp)) return undefined
    const [x, ...parameters] = n.inputs as [Node, ...Node[]]
    const part = is(x, reshapeOp) && x.shape.at(-1) === x.inputs[0]!.shape.at(-1) ? x.inputs[0]! : x
    if (!is(part, sliceOp) || part.attributes.axis === part.shape.length - 1) return undefined
    const all = part.inputs[0]!
    const { block } = n.attributes
    // the same norm of another number of rows
    const own = block.parameters[0]!
    const other = placeholder(all.shape, all.dtype)
    const outputs = substitute(block.outputs, new Map([[own, other]]))
    const whole = node(layerNormOp, [all, ...parameters], {
      block: { ...block, parameters: [other, ...block.parameters.slice(1)], outputs },
    })
    return u.reshape(node(part.op, [whole], part.attributes), n.shape)
  },
}

const averaged = (n: Node): boolean => is(n, whenTrainingOp) || (is(n, reshapeOp) && averaged(n.inputs[0]!))

/** `(x − mean) (weight / √(variance + ε)) + bias`, with the statistics that training takes from the batch. */
const batchNorm: Rule = {
  name: 'batch-norm',
  apply: (n, { isWeight }) => {
    const [scaled, bias] = n.inputs
    if (!is(n, addOp) || !is(scaled!, mulOp)) return undefined
    const [centred, scale] = scaled.inputs as [Node, Node]
    if (!is(centred, subOp) || !averaged(centred.inputs[1]!)) return undefined
    const product = is(scale, reshapeOp) ? scale.inputs[0]! : scale
    const weight = product.inputs.find(isWeight)
    return weight === undefined ? undefined : fused(batchNormOp, n, [centred.inputs[0]!, weight, bias!])
  },
}

const biased: Rule = {
  name: 'bias',
  apply: (n, { isWeight }) => {
    const [y, bias] = n.inputs
    return is(n, addOp) && bias!.shape.length === 1 && isWeight(bias!) && !isWeight(y!)
      ? fused(biasedOp, n, [y!, bias!])
      : undefined
  },
}

/**
 * The loss of selected rows, weighted: transformers shifts the labels and ignores some, and leaves the logits as they
 * are, so all rows are kept.
 */
const allRows: Rule = {
  name: 'all-rows',
  apply: n => {
    const [loss, weight] = n.inputs
    if (!is(n, mulOp) || !is(loss!, crossEntropyOp) || n.shape.length !== 1 || weight!.shape.length !== 1)
      return undefined
    const logits = loss.inputs[0]!
    return is(logits, takeOp) ? lossOf(logits.inputs[0]!) : undefined
  },
}
const lossOf = (logits: Node): NodeOf<object> =>
  node(crossEntropyOp, [logits, placeholder(logits.shape.slice(0, -1), 'i32')], {})

/** A product with the weight of a convolution, `[rows, columns, in, out]`. */
const convolution: Rule = {
  name: 'convolution',
  apply: (n, { isWeight }) => {
    if (!is(n, contractOp)) return undefined
    const [x, weight] = n.inputs as [Node, Node]
    const whole = is(weight, reshapeOp) ? weight.inputs[0]! : weight
    return isWeight(weight) && whole.shape.length === 4 && n.attributes.a.endsWith('c')
      ? fused(convolutionOp, n, [x, whole])
      : undefined
  },
}

/** The modules of PyTorch and transformers that a method leaves whole, in the order in which they are recognised. */
export const moduleRules: readonly (readonly Rule[])[] = [
  [attention, batchNorm, layerNorm],
  [normaliseAll, allRows],
]
/** Those around products, which are recognised after the terms that a method adds to a product. */
export const productRules: readonly Rule[] = [convolution, biased]
