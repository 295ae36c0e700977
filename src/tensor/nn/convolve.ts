import { node, ruled, type Node } from '../node.ts'
import { u } from '../op/untyped.ts'
import { arePieces, windowsPart } from '../op/windows.ts'
import { convolved, pairOf, product, stepsOf, type Dim, type Shape } from '../shape/index.ts'
import type { PairSteps, WindowOptions, WindowSteps } from '../shape/index.ts'
import { convOp } from './conv.ts'

const joined = (dims: Shape): Dim => ruled(product(dims))

/** A convolution whose windows are made, for geometries that no runtime has kernels for. */
const expanded = (
  x: Node,
  w: Node,
  steps: readonly [WindowSteps, WindowSteps],
  to: Shape,
  groups: Dim | undefined,
): Node => {
  const [rows, columns] = w.shape as readonly [Dim, Dim]
  const at = (of: Node, axis: number, i: 0 | 1): Node =>
    windowsPart(of, { axis, size: i === 0 ? rows : columns, dim: to[i + 1]!, value: 0, ...steps[i] })
  const windowsOf = (image: Node): Node => at(at(image, 1, 0), 3, 1)
  const [n, h, v] = to as readonly [Dim, Dim, Dim]
  if (w.shape.length === 3) return u.contract(windowsOf(x), w, { a: 'nhiwjc', b: 'ijc', out: 'nhwc' })
  if (groups === undefined) return u.contract(windowsOf(x), w, { a: 'nhiwjc', b: 'ijco', out: 'nhwo' })
  const [, , channels, out] = w.shape as readonly [Dim, Dim, Dim, Dim]
  const each = groupsOf(out, groups)
  const grouped = u.contract(
    windowsOf(u.reshape(x, [...x.shape.slice(0, 3), groups, channels])),
    u.reshape(w, [rows, columns, channels, groups, each]),
    { a: 'nhiwjgc', b: 'ijcgo', out: 'nhwgo' },
  )
  return u.reshape(grouped, [n, h, v, out])
}

/** The channels of one group. */
const groupsOf = (out: Dim, groups: Dim): Dim =>
  out === groups
    ? 1
    : typeof out === 'number'
      ? out / Number(groups)
      : ruled(product([String(out).slice(String(groups).length + 1)]))

/** The untyped convolution of `[batch, height, width, channels]`, to a shape that its rule gives. */
const convolution = (
  x: Node,
  w: Node,
  steps: readonly [WindowSteps, WindowSteps],
  to: Shape,
  groups: Dim | undefined,
): Node => {
  const depthwise = w.shape.length === 3
  const dims = [to[1]!, to[2]!] as const
  const pieces = steps.map((of, i) => arePieces(x.shape[i + 1]!, { size: w.shape[i]!, dim: dims[i]!, ...of }))
  if (groups === undefined && !depthwise && w.shape[0] === 1 && w.shape[1] === 1 && pieces.every(Boolean))
    return u.contract(x, u.reshape(w, w.shape.slice(2)), { a: 'nhwc', b: 'co', out: 'nhwo' })
  const dilated = steps.some(({ dilation }, i) => dilation !== 1 && w.shape[i] !== 1)
  if (groups !== undefined || dilated || pieces.every(Boolean)) return expanded(x, w, steps, to, groups)
  const [rows, columns] = steps
  return node(convOp, [x, w], {
    dims,
    stride: [rows.stride, columns.stride],
    padding: [rows.padding, columns.padding],
    depthwise,
  })
}

/** Convolves over the last axes but one, whatever the leading axes are. */
const overLeading = (x: Node, w: Node, steps: readonly WindowSteps[], to: Shape, groups: Dim | undefined): Node => {
  const n = steps.length
  const lead = x.shape.slice(0, x.shape.length - n - 1)
  const batch = lead.length === 1 ? lead[0]! : joined(lead)
  // one axis is an image of one row
  const one = n === 1 ? [1] : []
  const rows: readonly WindowSteps[] = n === 1 ? [stepsOf({}), ...steps] : steps
  const image = u.reshape(x, [batch, ...one, ...x.shape.slice(lead.length)])
  const weight = u.reshape(w, [...one, ...w.shape])
  // two axes have two steps
  const of = rows as readonly [WindowSteps, WindowSteps]
  return u.reshape(convolution(image, weight, of, [batch, ...one, ...to.slice(lead.length)], groups), to)
}

/** The untyped `conv2d`, and `depthwiseConv2d` if the weight has three axes. */
export const convolved2d = (
  op: string,
  x: Node,
  weight: Node,
  { stride = 1, dilation = 1, padding = 'valid', groups, as }: UntypedGeometry,
): Node => {
  const steps = pairOf({ stride, dilation, padding })
  const depthwise = weight.shape.length === 3 && op !== 'conv2d'
  const shape = ruled(convolved(x.shape, weight.shape, { op, steps, depthwise, groups, as }))
  return overLeading(x, weight, steps, shape, groups)
}
/** The untyped options. */
interface UntypedGeometry extends Partial<PairSteps> {
  readonly groups?: Dim | undefined
  readonly as?: readonly [Dim | undefined, Dim | undefined] | undefined
}

/** The untyped `conv1d`. */
export const convolved1d = (
  x: Node,
  weight: Node,
  { groups, as, ...options }: WindowOptions & { readonly groups?: Dim | undefined; readonly as?: Dim | undefined },
): Node => {
  const steps = [stepsOf(options)]
  const shape = ruled(convolved(x.shape, weight.shape, { op: 'conv1d', steps, depthwise: false, groups, as: [as] }))
  return overLeading(x, weight, steps, shape, groups)
}
