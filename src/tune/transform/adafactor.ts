import { integer, u, type Node, type Shape, type Tensor } from '../../tensor/index.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import { chain, type Chain } from './chain.ts'
import { clipByRms } from './clip.ts'
import { combine, meanOver, rmsOf, zerosLike } from './leafwise.ts'
import type { Sparse } from './masked.ts'
import { counted } from './moment.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import { setting, type Setting } from './setting.ts'
import { stateless, type Count, type Fn, type Stateless, type Transform } from './transform.ts'

/** A tree with other tensors at its leaves, some of which may be missing. */
type Reduced<G> = G extends Node
  ? Tensor<Shape> | undefined
  : G extends readonly (infer E)[]
    ? readonly Reduced<E>[]
    : { readonly [K in keyof G as Exclude<K, symbol>]?: Reduced<G[K]> }

/** The state of {@link scaleByFactoredRms}: of large leaves the means of squares of rows and columns, of others all. */
export interface FactoredRmsState<G> {
  readonly rows: Reduced<G>
  readonly columns: Reduced<G>
  readonly nu: Sparse<G>
  readonly count: Count
}
export interface ScaleByFactoredRms extends Fn {
  readonly out: FactoredRmsState<this['in']>
}
export interface FactoredRmsOptions {
  /** The power c of the decay 1 − n^−c. */
  readonly decay?: Setting
  readonly eps?: Setting
  /** The smallest size of both dims of a leaf that is factored. A dim with a name counts as large. */
  readonly smallest?: number
}
/** The default settings of {@link adafactor}. */
export const adafactorDefaults = {
  decay: 0.8,
  eps: 1e-30,
  smallest: 128,
} as const satisfies Required<FactoredRmsOptions>

/** The axes of the two largest dims, the largest last; `undefined` if one is small. */
const factoredAxes = ({ shape }: Node, smallest: number): readonly [number, number] | undefined => {
  const size = (axis: number): number => {
    const dim = shape[axis]!
    return typeof dim === 'number' ? dim : Infinity
  }
  const sorted = shape
    .map((_, axis) => axis)
    .toSorted((a, b) => (size(a) === size(b) ? a - b : size(a) < size(b) ? -1 : 1))
  const [second, first] = sorted.slice(-2)
  return first === undefined || second === undefined || size(second) < smallest ? undefined : [second, first]
}
/** The mean over one axis, which goes away. */
const dropped = (x: Node, axis: number): Node => u.reshape(meanOver(x, [axis]), without(x.shape, axis))
const without = (shape: Shape, axis: number): Shape => shape.filter((_, i) => i !== axis)
const kept = (x: Node, shape: Shape, axis: number): Node =>
  u.reshape(
    x,
    shape.map((dim, i) => (i === axis ? 1 : dim)),
  )

/**
 * Gradients over the root of a mean of their squares, of which a matrix keeps only the means of rows and of columns:
 * v = r cᵀ / mean(r). The mean decays by 1 − n^−decay. Source: `optax.scale_by_factored_rms`; Shazeer and Stern 2018.
 * @example chain(scaleByFactoredRms(), clipByRms(1), scaleByLearningRate(1e-3))
 */
export const scaleByFactoredRms = ({
  decay = adafactorDefaults.decay,
  eps = adafactorDefaults.eps,
  smallest = adafactorDefaults.smallest,
}: FactoredRmsOptions = {}): Transform<ScaleByFactoredRms> => {
  setting('adafactor: decay', decay, { above: 0 })
  setting('adafactor: eps', eps, { from: 0 })
  setting('adafactor: smallest', smallest, { from: 1 })
  const axesIn = (leaf: Node) => factoredAxes(leaf, smallest)
  /** The parts of a state from a function of each leaf. */
  const reduced = <G>(tree: G, of: (leaf: Node, axes: readonly [number, number], path: string) => Node): Reduced<G> =>
    mapTree(tree, isTensor, (leaf, path) => {
      const axes = axesIn(leaf)
      return axes && of(leaf, axes, path)
    }) as Reduced<G>
  const whole = <G>(tree: G, of: (leaf: Node, path: string) => Node): Sparse<G> =>
    mapTree(tree, isTensor, (leaf, path) => (axesIn(leaf) ? undefined : of(leaf, path))) as Sparse<G>
  return {
    init: params => ({
      rows: zerosLike(reduced(params, (p, [, first]) => dropped(p, first))),
      columns: zerosLike(reduced(params, (p, [second]) => dropped(p, second))),
      nu: zerosLike(whole(params, p => p)),
      count: integer(0),
    }),
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const fresh = u.pow(n, typeof decay === 'number' ? -decay : u.neg(decay))
      const follow = (m: Node | undefined, x: Node): Node => u.add(u.mul(m!, u.sub(1, fresh)), u.mul(x, fresh))
      const square = (g: Node): Node => u.add(u.mul(g, g), eps)
      const [oldRows, oldColumns, oldNu] = [state.rows, state.columns, state.nu].map(part => new Map(tensorsOf(part)))
      const rows = reduced(grad, (g, [, first], path) => follow(oldRows!.get(path), dropped(square(g), first)))
      const columns = reduced(grad, (g, [second], path) => follow(oldColumns!.get(path), dropped(square(g), second)))
      const nu = whole(grad, (g, path) => follow(oldNu!.get(path), square(g)))
      const [newRows, newColumns, newNu] = [rows, columns, nu].map(part => new Map(tensorsOf(part)))
      const updates = mapTree(grad, isTensor, (g, path) => {
        const axes = axesIn(g)
        if (axes === undefined) return u.mul(g, u.rsqrt(newNu!.get(path)!))
        const [second, first] = axes
        const [ofRows, ofColumns] = [
          kept(newRows!.get(path)!, g.shape, first),
          kept(newColumns!.get(path)!, g.shape, second),
        ]
        return u.mul(u.mul(g, u.rsqrt(u.div(ofRows, meanOver(ofRows, [second])))), u.rsqrt(ofColumns))
      })
      // each leaf keeps its shape
      return [updates as typeof grad, { rows, columns, nu, count }]
    },
  }
}

/** max(rms(p), smallest) · g, leaf by leaf. Source: `optax.scale_by_param_block_rms`. @example scaleByParameterRms() */
export const scaleByParameterRms = (smallest: Setting = 1e-3): Transform<Stateless> => (
  setting('scaleByParameterRms: the smallest', smallest, { from: 0 }),
  stateless((grad, params) => combine((g, p) => u.mul(g, u.maximum(rmsOf(p!), smallest)), grad, params))
)

export interface AdafactorOptions<L extends LearningRate> extends FactoredRmsOptions {
  readonly lr: L
  /** The largest root mean square of a leaf's update. */
  readonly clip?: Setting
  readonly weightDecay?: Setting
}
/** The state of {@link adafactor}. */
export type Adafactor<L extends LearningRate> = Chain<
  readonly [ScaleByFactoredRms, Stateless, Rate<L>, Stateless, Stateless]
>
/**
 * Adafactor: {@link scaleByFactoredRms}, a bound of each leaf's update, then −lr in units of the leaf's root mean
 * square; weight decay, which does not depend on the rate, comes last. Source: `optax.adafactor`; Shazeer and Stern
 * 2018.
 * @example adafactor({ lr: 1e-2 })
 */
export const adafactor = <L extends LearningRate>({
  lr,
  clip = 1,
  weightDecay = 0,
  ...options
}: AdafactorOptions<L>): Transform<Adafactor<L>> =>
  chain<readonly [ScaleByFactoredRms, Stateless, Rate<L>, Stateless, Stateless]>(
    scaleByFactoredRms(options),
    clipByRms(clip),
    scaleByLearningRate(lr),
    scaleByParameterRms(),
    shrink(weightDecay),
  )

/** g − rate · p. */
const shrink = (rate: Setting): Transform<Stateless> => (
  setting('adafactor: weightDecay', rate, { from: 0 }),
  stateless((grad, params) => combine((g, p) => u.sub(g, u.mul(p!, rate)), grad, params))
)
