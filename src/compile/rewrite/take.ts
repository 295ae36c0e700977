import {
  contractOp,
  is,
  node,
  reshapeOp,
  sameAxis,
  takeOp,
  transposeOp,
  u,
  windowsOp,
  type Dim,
  type Node,
  type Shape,
} from '../../tensor/index.ts'
import type { Rule } from './rule.ts'

/**
 * Taking slices moves inward: the rules that derive PaCA. The gradient of a masked weight is the take of the full one;
 * moved into the product, `take(matmul(a, b), i) = matmul(take(a, i), b)`, it is equation 9 of the paper, and only the
 * taken columns of an activation live into the backward pass. The same rule keeps logits only at scored labels. Each of
 * these rules requires that nothing else reads the operand of the take: otherwise it is computed anyway, and taking
 * from it is free.
 */

const axisOf = (taking: Node): number => (is(taking, takeOp) ? taking.attributes.axis : -1)

/** take(Σ a b) = Σ take(a) b, in whichever operand has the letter. */
export const takeContract: Rule = {
  name: 'take-contract',
  apply: (n, { readOnce }) => {
    const [x, index] = n.inputs
    if (!is(n, takeOp) || !is(x!, contractOp) || !readOnce(x)) return undefined
    const { a, b, out } = x.attributes
    const letter = out[n.attributes.axis]!
    const inside = (operand: Node, letters: string): Node =>
      letters.includes(letter) ? u.take(operand, index!, letters.indexOf(letter)) : operand
    return u.contract(inside(x.inputs[0]!, a), inside(x.inputs[1]!, b), x.attributes)
  },
}

/** take(transpose(x)) = transpose(take(x)). */
export const takeTranspose: Rule = {
  name: 'take-transpose',
  apply: (n, { readOnce }) => {
    const [x, index] = n.inputs
    if (!is(n, takeOp) || !is(x!, transposeOp) || !readOnce(x)) return undefined
    return u.transpose(
      u.take(x.inputs[0]!, index!, x.attributes.permutation[n.attributes.axis]!),
      x.attributes.permutation,
    )
  },
}

const withDim = (shape: Shape, axis: number, dim: Dim): Shape => shape.map((d, i) => (i === axis ? dim : d))

/** take(reshape(x)) = reshape(take(x)), if the reshape leaves the axis alone. */
export const takeReshape: Rule = {
  name: 'take-reshape',
  apply: (n, { readOnce }) => {
    const [x, index] = n.inputs
    if (!is(n, takeOp) || !is(x!, reshapeOp) || !readOnce(x)) return undefined
    const inner = x.inputs[0]!
    const axis = sameAxis(inner.shape, x.shape, n.attributes.axis)
    return axis < 0
      ? undefined
      : u.reshape(u.take(inner, index!, axis), withDim(x.shape, n.attributes.axis, index!.shape[0]!))
  },
}

/** take(reshape(Σ a b)) = take(Σ reshape(a) b), if the taken axis merges adjacent letters of `a`. */
export const takeMerged: Rule = {
  name: 'take-merged',
  apply: (n, { readOnce }) => {
    const [merged, index] = n.inputs
    if (!is(n, takeOp) || !is(merged!, reshapeOp) || !readOnce(merged)) return undefined
    const product = merged.inputs[0]!
    const axis = axisOf(n)
    if (!is(product, contractOp) || !readOnce(product)) return undefined
    const { a, b, out } = product.attributes
    const run = out.slice(axis, out.length - (merged.shape.length - axis - 1))
    const unchanged = merged.shape.every(
      (dim, i) => i === axis || dim === product.shape[i < axis ? i : i + run.length - 1],
    )
    if (run.length < 2 || !unchanged || !a.includes(run) || [...run].some(letter => b.includes(letter)))
      return undefined
    const operand = product.inputs[0]!
    const at = a.indexOf(run)
    const letter = run[0]!
    const shape = [...operand.shape.slice(0, at), merged.shape[axis]!, ...operand.shape.slice(at + run.length)]
    return u.take(
      u.contract(u.reshape(operand, shape), product.inputs[1]!, {
        a: a.replace(run, letter),
        b,
        out: out.replace(run, letter),
      }),
      index!,
      axis,
    )
  },
}

/**
 * take(f(x, y)) = f(take(x), take(y)) for elementwise f, so that the take of a sum of gradients reaches their products.
 */
export const takeElementwise: Rule = {
  name: 'take-elementwise',
  apply: (n, { readOnce }) => {
    const [x, index] = n.inputs
    if (!is(n, takeOp) || x!.op.kind !== 'elementwise' || !readOnce(x!)) return undefined
    const axis = n.attributes.axis
    const rank = x!.shape.length
    const inside = (operand: Node): Node => {
      const at = axis - (rank - operand.shape.length)
      return at < 0 || operand.shape[at] !== x!.shape[axis] ? operand : u.take(operand, index!, at)
    }
    return node(x!.op, x!.inputs.map(inside), x!.attributes)
  },
}

/**
 * take(f(x, y)) = f(take(x), take(y)) for a composite whose slices along the axis follow from slices of its operands:
 * so the input channels of a convolution's weight, in its gradient, are channels of x.
 */
export const takeComposite: Rule = {
  name: 'take-composite',
  apply: (n, { readOnce }) => {
    const [x, index] = n.inputs
    if (!is(n, takeOp) || x!.op.expand === undefined || !readOnce(x!)) return undefined
    const along = x!.op.along(x!, n.attributes.axis)
    if (along?.some(axis => axis !== undefined) !== true) return undefined
    const inputs = x!.inputs.map((input, i) => (along[i] === undefined ? input : u.take(input, index!, along[i])))
    const result = x!.op.shape(inputs, x!.attributes)
    // attributes that name the dim of the axis stay as they are, and do not fit what is taken
    return result._tag === 'Right' && result.right.shape.join() === n.shape.join()
      ? node(x!.op, inputs, x!.attributes)
      : undefined
  },
}

/**
 * take(windows(x)) = windows(take(x)), if the windows lie on another axis. What else reads the windows does not matter:
 * they move data and compute nothing, and windows of a slice are made again from the slice alone.
 */
export const takeWindows: Rule = {
  name: 'take-windows',
  apply: n => {
    const [x, index] = n.inputs
    if (!is(n, takeOp) || !is(x!, windowsOp)) return undefined
    const [axis] = x.op.along(x, n.attributes.axis) ?? []
    return axis === undefined ? undefined : u.windows(u.take(x.inputs[0]!, index!, axis), x.attributes)
  },
}

/** The rules that move `take` inwards: with them, the gradient of selected columns is equation 9 of the paper. */
export const takeRules: readonly Rule[] = [
  takeContract,
  takeTranspose,
  takeReshape,
  takeMerged,
  takeElementwise,
  takeComposite,
  takeWindows,
]
