import fc from 'fast-check'
import { add, gradients, interpret, scalar, type Node, type Numbers } from '../src/tensor/index.ts'
import {
  all, applyUpdates, columns, entries, focus, frozen, lensOf, maskedLeaves, putFocus, sgd, tensorsOf, unflatten, type LeafMask,
} from '../src/tune/index.ts'
import { anyLoss, type Loss } from './losses.ts'
import { norm } from './matrices.ts'

/** What of a leaf is trained; an index counts columns or entries. */
interface Choice { readonly kind: LeafMask['mask']; readonly index: readonly number[]; readonly of: number }
/** A sum of losses, each of a weight of its own under a mask of its own, and a step size in units of 1/L. */
export interface Descent { readonly losses: readonly Loss[]; readonly masks: readonly Choice[]; readonly relative: number }

const size = (dim: number | string): number => Number(dim)
type Kind = LeafMask['mask']
const choice = (kinds: readonly Kind[]) => ({ at }: Loss): fc.Arbitrary<Choice> => fc.constantFrom(...kinds).chain(kind => {
  const of = kind === 'columns' ? at.sizes[0]! : kind === 'entries' ? at.data.length : 0
  return fc.shuffledSubarray([...Array(of).keys()], { minLength: Math.min(1, of) }).map(index => ({ kind, index, of }))
})

/** Step sizes t/L: mostly 0 < t < 2, where the loss falls; but the inequality holds for every real t. */
export const within = fc.integer({ min: 1, max: 127 }).map(k => k / 64)
export const beyond = fc.integer({ min: 130, max: 512 }).map(k => k / 64)
const backwards = fc.integer({ min: -128, max: 0 }).map(k => k / 64)
export const anyStep = fc.oneof({ weight: 3, arbitrary: within }, { weight: 1, arbitrary: beyond }, { weight: 1, arbitrary: backwards })

const everyKind: readonly Kind[] = ['all', 'columns', 'entries', 'frozen']
/** Cases of the theorem, or of a part of it. */
export const descents = (
  loss: fc.Arbitrary<Loss> = anyLoss, relative: fc.Arbitrary<number> = anyStep, kinds: readonly Kind[] = everyKind): fc.Arbitrary<Descent> =>
  fc.array(loss, { minLength: 1, maxLength: 3 }).chain(losses =>
    fc.record({ losses: fc.constant(losses), masks: fc.tuple(...losses.map(choice(kinds))), relative }))

/**
 * Deliberate mistakes, for the mutants: taking the gradient, or writing the update, at the neighbours of the chosen columns;
 * or training everything.
 */
export interface Mistake { readonly gradient?: 'shifted'; readonly write?: 'shifted'; readonly mask?: 'ignored' }

/** What one step did. */
export interface Outcome {
  readonly before: number
  readonly after: number
  readonly eta: number
  readonly lipschitz: number
  /** ‖∇P‖² and ‖∇f‖². */
  readonly partial: number
  readonly full: number
  readonly tolerance: number
  /** Whether all coordinates outside the masks have the bits they had. */
  readonly frozenKept: boolean
}

interface Masked { readonly mask: LeafMask; readonly feeds: readonly (readonly [Node, Numbers])[] }
const maskOf = ({ kind, index, of }: Choice, shift: number): Masked => {
  if (kind === 'all' || kind === 'frozen') return { mask: kind === 'all' ? all : frozen, feeds: [] }
  const mask = (kind === 'columns' ? columns : entries)(index.length)
  return { mask, feeds: [[mask.index, { sizes: [index.length], data: Float64Array.from(index, i => (i + shift) % of) }]] }
}

/** One step of the library: its gradients, its lenses, its sgd; evaluated in float64 by the ops' own meaning. */
export const step = ({ losses, masks, relative }: Descent, mistake: Mistake = {}): Outcome => {
  const params = { layers: losses.map(({ leaf }) => ({ w: leaf })) }
  const masked = (shift?: 'shifted') => {
    const made = masks.map(m => maskOf(mistake.mask === 'ignored' ? { ...m, kind: 'all' } : m, shift ? 1 : 0))
    return { tree: { layers: made.map(({ mask }) => ({ w: mask })) }, feeds: made.flatMap(({ feeds }) => feeds) }
  }
  const mask = masked(), gradientMask = masked(mistake.gradient), writeMask = masked(mistake.write)
  const loss = losses.map(({ value }) => value).reduce((a, b) => add(a, b)), eta = relative / lipschitzOf(losses)
  const gradient = (m: typeof mask): readonly Node[] =>
    gradients([loss], [scalar(1)], maskedLeaves(params, m.tree).flatMap(({ leaf, mask: lens }) => lensOf(lens)?.wanted(leaf) ?? [])).gradients

  const part: unknown = focus(params, mask.tree), transform = sgd({ lr: eta })
  const [updates] = transform.update(unflatten(part, gradient(gradientMask)), transform.init(part), part)
  // the trees were made here, of nodes whose types nobody knows before the run
  const next = putFocus(params, writeMask.tree, applyUpdates(part, updates) as never)

  const feeds = new Map([
    ...losses.flatMap(({ leaf, at, data }) => [[leaf, at] as const, ...data]), ...mask.feeds, ...gradientMask.feeds, ...writeMask.feeds])
  const evaluate = (roots: readonly Node[], at: ReadonlyMap<Node, Numbers> = feeds): readonly Numbers[] => interpret(roots, at, size)
  const after = evaluate(tensorsOf(next).map(([, leaf]) => leaf)), correct = evaluate(gradient(mask))
  const whole = evaluate(gradients([loss], [scalar(1)], losses.map(({ leaf }) => lensOf(all)!.wanted(leaf))).gradients)
  const valueAt = (weights: readonly Numbers[]): number =>
    evaluate([loss], new Map([...feeds, ...weights.map((w, i) => [losses[i]!.leaf, w] as const)]))[0]!.data[0]!
  return {
    before: valueAt(losses.map(({ at }) => at)), after: valueAt(after), eta, lipschitz: lipschitzOf(losses),
    partial: norm(...correct) ** 2, full: norm(...whole) ** 2,
    tolerance: tolerance(losses, eta, norm(...correct)),
    frozenKept: losses.every(({ at }, i) => at.data.every((x, k) => trains(masks[i]!, at, k) || Object.is(x, after[i]!.data[k]))),
  }
}

/** A sum of functions of different weights is as smooth as the least smooth of them: its Hessian is block-diagonal. */
const lipschitzOf = (losses: readonly Loss[]): number => Math.max(...losses.map(({ lipschitz }) => lipschitz))

/** Whether a mask trains an element, said without the lens. */
const trains = ({ kind, index }: Choice, { sizes }: Numbers, element: number): boolean =>
  kind === 'all' || (kind === 'entries' && index.includes(element)) || (kind === 'columns' && index.includes(Math.floor(element / sizes[1]!)))

/**
 * How far rounding can move the two sides of the inequality apart. A sum of n products, each of factors that carry rounding of their own, is off by
 * at most γₙ Σ|terms| with γₙ ≈ n u, u = 2⁻⁵³ (Higham 2002, §3.1); exp, log and the division of a loss add a few u each. Every sum in f(W), f(W⁺),
 * η‖∇P‖² and η²L‖∇P‖², the error of W⁺ and that of L (its matrix is built in float64 as well) included, has Σ|terms| ≤ magnitude(‖W‖ + |η| ‖∇P‖):
 *   for f = Σφ(XW − Y), |φ(z)| ≤ (|z| + 1)² and |φ'(z)| ≤ |z| + 1, hence with R = ‖X‖(‖W‖ + |η|‖∇P‖) + ‖Y‖ + √outputs (Frobenius norms)
 *   f ≤ R², |η|‖∇P‖² ≤ |η|‖∇P‖ ‖X‖ R ≤ R², η²L‖∇P‖² ≤ (η‖X‖‖∇P‖)² ≤ R²; for ½ tr WᵀAW the same with ‖A‖(‖W‖ + |η|‖∇P‖)².
 * Sixteen covers the number of such sums and the constants. The mutants show that this is small beside what they get wrong.
 */
const tolerance = (losses: readonly Loss[], eta: number, gradientNorm: number): number =>
  losses.reduce((sum, { terms, magnitude, at }) =>
    sum + 16 * (terms + losses.length) * 2 ** -53 * magnitude(norm(at) + Math.abs(eta) * gradientNorm), 0)

/** What Theorem 1 allows after a step: f(W) − η(1 − ηL/2) · square. */
export const bound = ({ before, eta }: Outcome, square: number, lipschitz: number): number => before - eta * (1 - eta * lipschitz / 2) * square
