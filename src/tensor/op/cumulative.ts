import { inF32, savesBoth, savesNothing } from '../autograd.ts'
import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { fitsByShape, node, typed, type Node, type NodeOf, type Op, type Tensor } from '../node.ts'
import { isSmooth, noDims } from '../facets.ts'
import { around } from '../numbers.ts'
import { alongAxis, type AlongAxisError, type AxisOrName, type Shape } from '../shape/index.ts'
import { count, type DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import { wrapped } from './integer.ts'
import { sources } from './placeholder.ts'
import { layouts } from './reshape.ts'
import { positions, sums } from './sum.ts'
import { typesFault } from './types.ts'

/** The axis of a cumulative op, its direction, and if an element excludes its own place. */
export interface Cumulation {
  readonly axis: number
  readonly exclusive: boolean
  readonly reverse: boolean
}

const cumulation = (
  name: string,
  initial: number,
  f: (a: number, b: number) => number,
  takes: readonly DType[],
  vjp: (node: NodeOf<Cumulation>, dy: Node) => Node,
  autograd: Op['autograd'],
): Op<Cumulation> => ({
  name,
  shape: ([x], { axis }) =>
    pipe(
      typesFault(name, [x!], takes),
      E.flatMap(() => alongAxis(name, x!.shape, axis)),
      E.map(shape => ({ shape, dtype: x!.dtype })),
    ),
  misfit: fitsByShape,
  eval: ([x], { axis, exclusive, reverse }, { sizes, inputs: [declared] }) => {
    const [outer, n, inner] = around(sizes, axis)
    const data = new Float64Array(x!.data.length)
    const round = declared!.dtype === 'i32' ? wrapped : (v: number): number => v
    for (let row = 0; row < outer * inner; row++) {
      let total = initial
      for (let k = 0; k < n; k++) {
        const at = (Math.floor(row / inner) * n + (reverse ? n - 1 - k : k)) * inner + (row % inner)
        const next = round(f(total, x!.data[at]!))
        data[at] = exclusive ? total : next
        total = next
      }
    }
    return { sizes, data }
  },
  vjp: (y, dy) => [vjp(y, dy)],
  flops: ([x]) => count(x!),
  kind: 'other',
  along: ({ attributes }, axis) => (axis === attributes.axis ? undefined : [axis]),
  dims: noDims,
  smooth: isSmooth,
  ...(autograd ? { autograd } : {}),
})

// y[i] = Σ x[k], k ≤ i                                  dy, added up from the other end
export const cumsumOp: Op<Cumulation> = cumulation(
  'cumsum',
  0,
  (a, b) => a + b,
  ['f32', 'i32'],
  ({ attributes: { axis, exclusive, reverse } }, dy) => cumulations.cumsum(dy, axis, { exclusive, reverse: !reverse }),
  inF32(savesNothing),
)

/**
 * y[i] = Π x[k], k ≤ i. The cotangent of x[k] is Σ dy[i] Π x[j] over the j ≤ i other than k, which needs no division,
 * so that it is right for zeros too. It takes n² numbers: the gradient of a product does not need it, only that of a
 * gradient.
 */
export const cumprodOp: Op<Cumulation> = cumulation(
  'cumprod',
  1,
  (a, b) => a * b,
  ['f32'],
  ({ inputs: [x], attributes: { axis, exclusive, reverse } }, dy) => {
    const { shape } = x!
    const before = shape.slice(0, axis)
    const n = shape[axis]!
    const after = shape.slice(axis + 1)
    // [i, k]: true if the product at i has the element at k
    const i = layouts.reshape(sources.iota(n), [n, 1])
    const k = sources.iota(n)
    const [less, more] = reverse ? [i, k] : [k, i]
    const isFactor = layouts.reshape(exclusive ? pointwise.less(less, more) : pointwise.lessEqual(less, more), [
      n,
      n,
      ...after.map(() => 1),
    ])
    const repeated = sums.broadcastTo(layouts.reshape(x!, [...before, 1, n, ...after]), [...before, n, n, ...after])
    const factors = pointwise.select(isFactor, repeated, 1)
    const cotangents = pointwise.mul(layouts.reshape(dy, [...before, n, 1, ...after]), others(factors, axis + 1))
    return sums.sum(pointwise.select(isFactor, cotangents, 0), [axis])
  },
  inF32(savesBoth),
)

/** The product of all other elements along an axis, for each. */
export const others = (x: Node, axis: number): Node =>
  pointwise.mul(
    cumulations.cumprod(x, axis, { exclusive: true, reverse: false }),
    cumulations.cumprod(x, axis, { exclusive: true, reverse: true }),
  )

type Options = Omit<Cumulation, 'axis'>
/** The untyped verbs of sums and products up to each place. */
export const cumulations = {
  cumsum: (x: Node, axis: number, { exclusive, reverse }: Options): Node =>
    node(cumsumOp, [x], { axis, exclusive, reverse }),
  cumprod: (x: Node, axis: number, { exclusive, reverse }: Options): Node =>
    node(cumprodOp, [x], { axis, exclusive, reverse }),
}

/** If an element leaves its own place out, and if places are counted from the end. */
export interface CumulativeOptions {
  readonly exclusive?: boolean
  readonly reverse?: boolean
}

/**
 * The sum of the elements up to each place along an axis, that place included; integers wrap around at 32 bits.
 * `exclusive` leaves the place itself out, `reverse` sums from the end.
 * @example cumsum(lengths, 0, { exclusive: true })
 */
export const cumsum = <S extends Shape, D extends 'f32' | 'i32', const A extends AxisOrName>(
  x: Tensor<S, D> & AlongAxisError<'cumsum', S, NoInfer<A>>,
  axis: A,
  { exclusive = false, reverse = false }: CumulativeOptions = {},
): Tensor<S, D> => typed(cumulations.cumsum(x, positions('cumsum', x.shape, axis)[0]!, { exclusive, reverse }))

/**
 * The product of the elements up to each place along an axis, with the options of {@link cumsum}. The gradient is right
 * for zeros too, and takes n² numbers for an axis of n.
 * @example cumprod(sub(scalar(1), opacity), -1, { exclusive: true })
 */
export const cumprod = <S extends Shape, const A extends AxisOrName>(
  x: Tensor<S> & AlongAxisError<'cumprod', S, NoInfer<A>>,
  axis: A,
  { exclusive = false, reverse = false }: CumulativeOptions = {},
): Tensor<S> => typed(cumulations.cumprod(x, positions('cumprod', x.shape, axis)[0]!, { exclusive, reverse }))
