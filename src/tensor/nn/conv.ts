import type { Places, Required } from '../autograd.ts'
import { node, type Node, type Op } from '../node.ts'
import { composite } from '../op/composite.ts'
import { u } from '../op/untyped.ts'
import { show, type Dim, type WindowPadding } from '../shape/index.ts'

/**
 * Convolutions of `[batch, height, width, channels]`, with kernels on targets. Each is a product of the windows of its
 * input with the weight `[rows, columns, in, out]`, or `[rows, columns, channels]` if each channel is convolved by
 * itself. The three ops are closed under differentiation: what each is to the others, a product is to the products of
 * its gradients, because all are one function of three tensors, linear in each.
 *
 * They are composites, so their meaning, cost and rows are those of windows and a contraction. A target that names them
 * runs a kernel, and windows are not made; any other makes them.
 */
export interface ConvAttributes {
  /** The two dims of the result that no operand has: those of windows, of the input or of the weight. */
  readonly dims: readonly [Dim, Dim]
  readonly stride: readonly [number, number]
  readonly padding: readonly [WindowPadding, WindowPadding]
  /** True if each channel is convolved by itself. */
  readonly depthwise: boolean
}
type Pair = readonly [Dim, Dim]

/** The letters of the windows, the weight and the result. */
const letters = (depthwise: boolean) =>
  depthwise
    ? ({ windows: 'nhiwjc', weight: 'ijc', result: 'nhwc' } as const)
    : ({ windows: 'nhiwjc', weight: 'ijco', result: 'nhwo' } as const)

const steps = ({ stride, padding }: ConvAttributes, i: 0 | 1) => ({
  stride: stride[i],
  dilation: 1,
  padding: padding[i],
})
/** The windows of x: `[batch, height, width, channels]` becomes `[batch, h, rows, w, columns, channels]`. */
const windowed = (x: Node, attributes: ConvAttributes, [rows, columns]: Pair, [h, w]: Pair): Node =>
  u.windows(u.windows(x, { axis: 1, size: rows, dim: h, value: 0, ...steps(attributes, 0) }), {
    axis: 3,
    size: columns,
    dim: w,
    value: 0,
    ...steps(attributes, 1),
  })
/** Its transpose, to the dims of the input. */
const folded = (y: Node, attributes: ConvAttributes, [rows, columns]: Pair, [h, w]: Pair): Node =>
  u.fold(u.fold(y, { axis: 3, size: columns, dim: w, ...steps(attributes, 1) }), {
    axis: 1,
    size: rows,
    dim: h,
    ...steps(attributes, 0),
  })

const firstTwo = ({ shape: [rows, columns] }: Node): Pair => [rows!, columns!]
const middleTwo = ({ shape: [, h, w] }: Node): Pair => [h!, w!]
const ranked = (what: string, { shape }: Node, rank: number): string | undefined =>
  shape.length === rank ? undefined : `${what} is ${show(shape)}, which has not ${rank} dims`

/** The channels of the input that meet the trained ones of a weight, whose third axis is that of its inputs. */
export const channelsOf = (x: Node, ofWeight: Required | undefined): Places | undefined =>
  ofWeight?.along?.axis === 2 ? { axis: x.shape.length - 1, dim: ofWeight.along.dim } : undefined

/** y = Σ windows(x) w                                   dx: convInput(dy, w); dw: convFilter(x, dy) */
export const convOp: Op<ConvAttributes> = composite<ConvAttributes>({
  name: 'conv',
  kind: 'other',
  dims: ({ dims }) => dims,
  refuses: ([x, w], { depthwise }) => ranked('the input', x!, 4) ?? ranked('the weight', w!, depthwise ? 3 : 4),
  expand: ([x, w], attributes) => {
    const { windows, weight, result } = letters(attributes.depthwise)
    return u.contract(windowed(x!, attributes, firstTwo(w!), attributes.dims), w!, {
      a: windows,
      b: weight,
      out: result,
    })
  },
  vjp: ({ inputs: [x, w], attributes }, dy) => [
    convs.convInput(dy, w!, { ...attributes, dims: middleTwo(x!) }),
    convs.convFilter(x!, dy, { ...attributes, dims: firstTwo(w!) }),
  ],
  autograd: {
    // PyTorch keeps both operands, whichever of them requires a gradient
    saves: ({ inputs: [x] }, [, ofWeight]) => [{ operand: 0, along: channelsOf(x!, ofWeight) }, { operand: 1 }],
    autocast: 'half',
  },
})

/** dx of a convolution, from dy and w                   ddy: conv(g, w); dw: convFilter(g, dy) */
export const convInputOp: Op<ConvAttributes> = composite<ConvAttributes>({
  name: 'convInput',
  kind: 'other',
  dims: ({ dims }) => dims,
  refuses: ([dy, w], { depthwise }) => ranked('the cotangent', dy!, 4) ?? ranked('the weight', w!, depthwise ? 3 : 4),
  expand: ([dy, w], attributes) => {
    const { windows, weight, result } = letters(attributes.depthwise)
    const spread = u.contract(dy!, w!, { a: result, b: weight, out: windows })
    return folded(spread, attributes, firstTwo(w!), attributes.dims)
  },
  vjp: ({ inputs: [dy, w], attributes }, g) => [
    convs.conv(g, w!, { ...attributes, dims: middleTwo(dy!) }),
    convs.convFilter(g, dy!, { ...attributes, dims: firstTwo(w!) }),
  ],
})

/** dw of a convolution, from x and dy                   dx: convInput(dy, g); ddy: conv(x, g) */
export const convFilterOp: Op<ConvAttributes> = composite<ConvAttributes>({
  name: 'convFilter',
  kind: 'other',
  dims: ({ dims }) => dims,
  refuses: ([x, dy]) => ranked('the input', x!, 4) ?? ranked('the cotangent', dy!, 4),
  expand: ([x, dy], attributes) => {
    const { windows, weight, result } = letters(attributes.depthwise)
    return u.contract(windowed(x!, attributes, attributes.dims, middleTwo(dy!)), dy!, {
      a: windows,
      b: result,
      out: weight,
    })
  },
  vjp: ({ inputs: [x, dy], attributes }, g) => [
    convs.convInput(dy!, g, { ...attributes, dims: middleTwo(x!) }),
    convs.conv(x!, g, { ...attributes, dims: middleTwo(dy!) }),
  ],
})

/** The untyped verbs of convolutions and of their gradients. */
const convs = {
  conv: (x: Node, w: Node, attributes: ConvAttributes): Node => node(convOp, [x, w], attributes),
  convInput: (dy: Node, w: Node, attributes: ConvAttributes): Node => node(convInputOp, [dy, w], attributes),
  convFilter: (x: Node, dy: Node, attributes: ConvAttributes): Node => node(convFilterOp, [x, dy], attributes),
}
