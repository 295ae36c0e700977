import { integer, u, type Node } from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import { adamDefaults, ahead, momentSettings, scaleByAdam, type ScaleByAdam } from './adam.ts'
import { decayed, type Decay, type Decayed } from './descent.ts'
import { combine, normOf, zerosLike } from './leafwise.ts'
import { counted, follow, type Moments } from './moment.ts'
import { partition, type Partition } from './partition.ts'
import type { LearningRate } from './schedule.ts'
import { setting, type Setting } from './setting.ts'
import type { Count, Fn, Transform } from './transform.ts'

/** The state of {@link scaleByMuon}: a mean for each leaf, and the number of updates. */
export interface MuonState<G> {
  readonly mu: G
  readonly count: Count
}
export interface ScaleByMuon extends Fn {
  readonly out: MuonState<this['in']>
}
export interface MuonOptions {
  readonly beta?: Setting
  readonly eps?: Setting
  /** The number of Newton-Schulz steps. */
  readonly iterations?: number
}
/** The default settings of {@link muon}. */
export const muonDefaults = { beta: 0.95, eps: 1e-8, iterations: 5 } as const satisfies Required<MuonOptions>

/** Coefficients of a polynomial of odd powers that takes singular values from 0 to 1 near 1. */
const [linear, cubic, quintic] = [3.4445, -4.775, 2.0315] as const
const size = (dim: Node['shape'][number]): number => (typeof dim === 'number' ? dim : Infinity)

/**
 * A matrix with its singular values near 1, by Newton-Schulz steps X ← aX + (bXXᵀ + c(XXᵀ)²) X from X / ‖X‖. The
 * products are of the smaller side, as far as sizes are numbers.
 */
const orthogonal = (x: Node, eps: Setting, iterations: number): Node => {
  const [rows, columns] = x.shape
  const byRows = size(rows!) <= size(columns!)
  const step = (x: Node): Node => {
    const square = byRows
      ? u.contract(x, x, { a: 'ik', b: 'jk', out: 'ij' })
      : u.contract(x, x, { a: 'ki', b: 'kj', out: 'ij' })
    const fourth = u.contract(square, square, { a: 'ij', b: 'jk', out: 'ik' })
    const factor = u.add(u.mul(square, cubic), u.mul(fourth, quintic))
    const product = byRows
      ? u.contract(factor, x, { a: 'ij', b: 'jk', out: 'ik' })
      : u.contract(x, factor, { a: 'ij', b: 'jk', out: 'ik' })
    return u.add(u.mul(x, linear), product)
  }
  return Array.from({ length: iterations }).reduce<Node>(step, u.div(x, u.add(normOf(x), eps)))
}

/**
 * m ← beta m + (1 − beta) g; the update is the orthogonalised mean, looking one update ahead, times √max(1, out / in).
 * For matrices. Source: `optax.contrib.scale_by_muon`; Jordan et al. 2024.
 * @throws {RangeError} for a leaf that is no matrix
 */
export const scaleByMuon = ({
  beta = muonDefaults.beta,
  eps = muonDefaults.eps,
  iterations = muonDefaults.iterations,
}: MuonOptions = {}): Transform<ScaleByMuon> => {
  momentSettings('muon', { b1: beta, b2: 0, eps })
  setting('muon: iterations', iterations, { from: 0, whole: true })
  return {
    init: params => {
      const other = tensorsOf(params).find(([, { shape }]) => shape.length !== 2)
      if (other !== undefined) throw new RangeError(`scaleByMuon: ${other[0]} is no matrix: muon has Adam for it`)
      return { mu: zerosLike(params), count: integer(0) }
    },
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const mu = follow(beta, state.mu, grad)
      const update = combine(
        m => {
          const [rows, columns] = m.shape
          const ratio = u.sqrt(u.maximum(u.div(u.size(columns!), u.size(rows!)), 1))
          return u.mul(orthogonal(m, eps, iterations), ratio)
        },
        ahead(true, beta, n, mu, grad),
      )
      return [update, { mu, count }]
    },
  }
}

/** The state of {@link orthogonalized}: that of matrices, and that of all other leaves. */
export type Orthogonalized = Partition<{ readonly muon: ScaleByMuon; readonly adam: ScaleByAdam }>
/** {@link scaleByMuon} for matrices, and NAdam for all other leaves. */
export const orthogonalized = ({
  b1 = adamDefaults.b1,
  b2 = adamDefaults.b2,
  ...options
}: MuonOptions & Omit<Moments, 'eps'> = {}): Transform<Orthogonalized> =>
  partition<{ readonly muon: ScaleByMuon; readonly adam: ScaleByAdam }>(
    {
      muon: scaleByMuon(options),
      adam: scaleByAdam({ b1, b2, eps: options.eps ?? muonDefaults.eps, nesterov: true }),
    },
    params => new Map(tensorsOf(params).map(([path, { shape }]) => [path, shape.length === 2 ? 'muon' : 'adam'])),
  )

/** The state of {@link muon}. */
export type Muon<L extends LearningRate> = Decayed<Orthogonalized, L>
/**
 * Muon for matrices, NAdam for all other leaves, and decoupled weight decay for all: −lr (u + weightDecay · p). Source:
 * `optax.contrib.muon` (whose weight decay leaves out what is no matrix); Jordan et al. 2024.
 * @example muon({ lr: 0.02, weightDecay: 0.01 })
 */
export const muon = <L extends LearningRate>({
  lr,
  weightDecay = 0,
  ...options
}: MuonOptions & Omit<Moments, 'eps'> & Decay<L>): Transform<Muon<L>> =>
  decayed(orthogonalized(options), weightDecay, lr)
