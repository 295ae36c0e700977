import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  callOp,
  gradients,
  inlined,
  is,
  placeholder,
  primitives,
  rebuild,
  resultOp,
  scalar,
  substitute,
  topological,
  whole,
  u,
  type SumAndCount,
  type Node,
  type Shape,
} from '../../tensor/index.ts'
import { declaredOf, drawsAtRandom, lossOrNothing, variesInTraining } from '../../compile/index.ts'
import { maskedLeaves, type LeafMask, type Tuned } from '../../tune/index.ts'
import {
  leavesIn,
  noBound,
  notSmooth,
  refused,
  type Abstract,
  type Affine,
  type NoBound,
  type TrainedLeaf,
} from './abstract.ts'
import { affineRule, aligned, leafValue } from './affine.ts'

/** The features of a trained leaf, [rows…, features]: only those that its mask trains, if it trains whole ones. */
export interface Features {
  readonly path: string
  readonly expression: Node
  /**
   * Given if the mask trains entries: their index in the flattened leaf, the axis of the leaf that the features run
   * along, and the leaf's shape.
   */
  readonly entries?: { readonly index: Node; readonly along: 0 | 1; readonly shape: Shape }
}

/** Losses of rows whose logits are affine in the trained leaves, with the weight of each in the sum. */
export interface RowLosses {
  readonly name: string
  /** An upper bound of the spectral norm of a row's Hessian with respect to its logits. */
  readonly curvature: number
  /** An upper bound of the absolute weight of every element of a row, of shape [rows…]. */
  readonly weights: Node
  readonly features: readonly Features[]
}

/** A loss as a weighted sum of losses of rows. */
export interface Head {
  readonly losses: readonly RowLosses[]
  readonly count: Node
}

/** The nodes that depend on some leaves. */
export const dependents = (roots: readonly Node[], leaves: ReadonlySet<Node>): ReadonlySet<Node> => {
  const found = new Set<Node>(leaves)
  for (const n of topological(roots)) if (n.inputs.some(input => found.has(input))) found.add(n)
  return found
}

/** Inlines the calls of blocks that depend on the trained leaves; frozen layers stay blocks. */
const opened = (root: Node, leaves: ReadonlySet<Node>): Node => {
  const reached = dependents([root], leaves)
  if (![...reached].some(n => is(n, callOp))) return root
  return opened(
    rebuild([root], (rebuilt, old) => {
      const [of] = rebuilt.inputs
      return is(rebuilt, resultOp) && of && is(of, callOp) && reached.has(old)
        ? inlined(of.attributes.block, of.inputs)[rebuilt.attributes.index]!
        : rebuilt
    })(root),
    leaves,
  )
}

/**
 * A loss of rows, its logits, and the axis along which it has an element for each output, undefined if it has one for
 * each row.
 */
interface Found {
  readonly loss: Node
  readonly logits: Affine
  readonly outputs: number | undefined
}

/** A node as a loss of rows, or undefined if its rows are not the outputs of the logits. */
const found = (loss: Node, logits: Affine): Found | undefined => {
  const { shape } = loss.inputs[0]!
  const isElementwise = loss.shape.length >= shape.length
  if (!isElementwise) return logits.outputs === shape.length - 1 ? { loss, logits, outputs: undefined } : undefined
  const whole = aligned(logits, shape, loss.shape)
  return whole && { loss, logits: whole, outputs: whole.outputs }
}

/** The losses of rows that a sum consists of, or the reason why it does not consist of such losses. */
const lossesIn = (root: Node, trained: readonly TrainedLeaf[]): E.Either<NoBound, readonly Found[]> => {
  const leaves = new Set(trained.map(({ leaf }) => leaf))
  const reached = dependents([root], leaves)
  const order = topological([root])
  const corner = order.find(n => reached.has(n) && !n.op.smooth(n))
  if (corner) return E.left(notSmooth(corner.op.name))
  if (!reached.has(root)) return E.left(noBound('the loss does not depend on what is trained'))
  const values = new Map<Node, Abstract>(trained.map(of => [of.leaf, leafValue(of)]))
  const losses: Found[] = []
  const valueOf = (n: Node): Abstract => {
    if (!reached.has(n)) return { kind: 'constant' }
    const inputs = n.inputs.map(input => values.get(input)!)
    const failed = inputs.find(({ kind }) => kind === 'refused')
    if (failed) return failed
    // if the gradient is stopped somewhere, it is not the gradient of a function
    if (n.op === primitives.stopGradient) return refused('of what is trained, some has its gradient stopped')
    const [logits, ...others] = inputs
    if (n.op.curvature !== undefined && logits?.kind === 'affine' && others.every(({ kind }) => kind === 'constant')) {
      const one = found(n, logits)
      if (one === undefined) return refused(`the rows of ${n.op.name} are not the outputs of ${leavesIn(logits)}`)
      losses.push(one)
      return { kind: 'losses' }
    }
    if (inputs.some(({ kind }) => kind === 'losses')) {
      return inputs.every(({ kind }) => kind === 'losses' || kind === 'constant')
        ? { kind: 'losses' }
        : refused(`${leavesIn(...inputs)} is trained beside a loss of rows, in ${n.op.name}`)
    }
    return affineRule(n, inputs)
  }
  for (const n of order) if (!values.has(n)) values.set(n, valueOf(n))
  const value = values.get(root)!
  return value.kind === 'losses'
    ? E.right(losses)
    : E.left(value.kind === 'refused' ? value.why : noBound(`no loss of rows stands over ${leavesIn(value)}`))
}

/**
 * The weight of every loss in a sum: its derivative, which must not depend on the losses, so that the sum is linear in
 * them.
 */
const weightsIn = (root: Node, losses: readonly Found[]): E.Either<NoBound, readonly Node[]> => {
  const stands = losses.map(({ loss }) => placeholder(loss.shape, 'f32'))
  const [sum] = substitute([root], new Map(losses.map(({ loss }, i) => [loss, stands[i]!])))
  const weights = gradients([sum!], [scalar(1)], stands.map(whole)).gradients
  return topological(weights).some(n => stands.includes(n))
    ? E.left(noBound('the loss is not linear in the losses of its rows'))
    : E.right(weights)
}

/** The largest absolute weight among the elements of a row. */
const rowWeights = (weights: Node, outputs: number | undefined): Node => {
  const sizes = u.abs(weights)
  return outputs === undefined ? sizes : u.max(sizes, [outputs])
}

const featuresOf = ({ terms }: Affine, masks: ReadonlyMap<Node, LeafMask>): readonly Features[] =>
  terms.map(({ path, leaf, features, along }) => {
    const mask = masks.get(leaf)!
    // if columns are outputs, training only some of them leaves a principal submatrix of the Hessian
    if (mask.mask === 'columns' && leaf.shape.length === 2 && along === 0)
      return { path, expression: u.take(features, mask.index, features.shape.length - 1) }
    if (mask.mask === 'entries' && leaf.shape.length === 2)
      return { path, expression: features, entries: { index: mask.index, along, shape: leaf.shape } }
    return { path, expression: features }
  })

/**
 * Reads a loss as a weighted sum of losses of rows, of logits that are affine in the trained leaves: a linear, logistic
 * or softmax head over a frozen model, or over given features. The Hessian in the trained part is then Σ_rows w (D ⊗ x
 * xᵀ), x the row's trained features and D ⪯ curvature · 1 the Hessian of the row's loss in its logits.
 * @returns Left with the reason why the loss has another form
 * @example headOf(adapt(logisticRegression, paca({ targets: ['w'], rank: 8, seed: 0 })))
 */
export const headOf = <P, Q, M, B, O, K extends string>(tuned: Tuned<P, Q, M, B, O, K>): E.Either<NoBound, Head> => {
  const masked = maskedLeaves(tuned.params, tuned.mask).filter(({ mask }) => mask.mask !== 'frozen')
  if (masked.length === 0) return E.left(noBound('the mask trains nothing'))
  const drawing = drawsAtRandom(tuned)
  if (drawing !== undefined) return E.left(noBound(`${drawing} draws at random what a step drops`))
  const varying = variesInTraining(tuned)
  if (varying !== undefined) return E.left(noBound(varying))
  const masks = new Map(masked.map(({ leaf, mask }) => [leaf, mask]))
  const leaves = new Set(masks.keys())
  const { sum, count } = lossOf(tuned)
  if (dependents([count], leaves).has(count))
    return E.left(noBound('what the loss is divided by depends on what is trained'))
  const root = opened(sum, leaves)
  return pipe(
    lossesIn(root, masked),
    E.flatMap(losses =>
      pipe(
        weightsIn(root, losses),
        E.map(weights =>
          losses.map(({ loss: { op }, logits, outputs }, i): RowLosses => ({
            name: op.name,
            curvature: op.curvature!,
            weights: rowWeights(weights[i]!, outputs),
            features: featuresOf(logits, masks),
          })),
        ),
      ),
    ),
    E.map(losses => ({ losses, count })),
  )
}

/** The loss of a model with an adapter. */
export const lossOf = <P, Q, M, B, O, K extends string>(tuned: Tuned<P, Q, M, B, O, K>): SumAndCount =>
  lossOrNothing(declaredOf(tuned))
