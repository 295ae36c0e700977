import { placeholder, u, type Dim, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All, type Frozen } from '../mask.ts'
import { tensorsOf } from '../tree.ts'
import type { Method, Reparametrisation } from './method.ts'
import { filled, uniformWithin } from './first-values.ts'
import { leafwise, matrixDims, type Out } from './leafwise.ts'
import { product } from './lora.ts'
import {
  moduleOf,
  targeted,
  UnknownTarget,
  type Extend,
  type LeafFunction,
  type Select,
  type TargetFault,
  type TargetsOf,
} from './targets.ts'
import { keptFrozen, trained } from './kept.ts'
import { firstColumns, firstRows, scaledColumns } from './low-rank.ts'
import { method } from './record.ts'

export interface VeraLeaf<R extends Dim> extends LeafFunction {
  readonly becomes: WithVectors<this['leaf'], R>
}
export interface WithVectors<L, R extends Dim> {
  readonly weight: L
  readonly vera_lambda_d: Tensor<readonly [R]>
  readonly vera_lambda_b: Tensor<readonly [Out<L>]>
}
export interface Vera<T extends string, R extends number> extends Reparametrisation {
  readonly params: Extend<this['in'], T, VeraLeaf<R>> & {
    readonly vera_A: Tensor<readonly ['vera_in', R]>
    readonly vera_B: Tensor<readonly [R, 'vera_out']>
  }
  readonly mask: string extends T
    ? Select<this['in'], T, never>
    : Select<this['in'], T, { readonly weight: Frozen; readonly vera_lambda_d: All; readonly vera_lambda_b: All }> & {
        readonly vera_A: Frozen
        readonly vera_B: Frozen
      }
  readonly fault: TargetFault<this['in'], T>
}
type Scaled = { readonly weight: Node; readonly vera_lambda_d: Node; readonly vera_lambda_b: Node }

/** The first rows or columns of a projection, which is as large as the largest module needs. */
const cut = (x: Node, axis: number, dim: Dim): Node => u.slice(x, axis, { as: dim })

/**
 * Vector-based random matrix adaptation (Kopiczko et al., ICLR 2024): W + A diag(d) B diag(b) with trained d and b, and
 * frozen random A and B that all modules share. A and B are as large as the largest module needs; the others use a part
 * of them.
 * @example vera({ targets: ['q_proj', 'v_proj'], rank: 256, seed: 0 })
 */
export const vera = <const T extends readonly string[], const R extends number>({
  targets,
  rank,
  seed,
  initial = 0.1,
}: {
  readonly targets: T
  readonly rank: R
  readonly seed: number
  /** The initial value of d; that of b is 0. */
  readonly initial?: number
}): Method<Vera<TargetsOf<T>, R>> => ({
  name: 'vera',
  apply: params => {
    const taken = ['vera_A', 'vera_B'].find(name => Object.hasOwn(params as object, name))
    if (taken)
      throw new UnknownTarget(
        `vera adds its projections to the parameters as vera_A and vera_B, and the model has a ${taken}: rename it`,
      )
    const A = placeholder(['vera_in', rank], 'f32')
    const B = placeholder([rank, 'vera_out'], 'f32')
    const paths = targeted(params, targets)
    const shapes = tensorsOf(params).flatMap(([path, leaf]) =>
      paths.has(path) ? [matrixDims('vera', leaf, moduleOf(path))] : [],
    )
    const own = (shared: { readonly vera_A: Node; readonly vera_B: Node }) =>
      leafwise<Reparametrisation, Scaled>('vera', targets, (leaf, path) => {
        const [input, output] = matrixDims('vera', leaf, path)
        const d = placeholder([rank], 'f32')
        const b = placeholder([output], 'f32')
        return {
          becomes: { weight: leaf, vera_lambda_d: d, vera_lambda_b: b },
          mask: { weight: frozen, vera_lambda_d: all, vera_lambda_b: all },
          weight: ({ weight, vera_lambda_d, vera_lambda_b }) =>
            u.add(
              weight,
              u.mul(
                product(u.mul(cut(shared.vera_A, 0, input), vera_lambda_d), cut(shared.vera_B, 1, output)),
                vera_lambda_b,
              ),
            ),
          additions: [{ of: path, leaves: [d, b], make: ({ size }) => [filled(d, size, initial), filled(b, size)] }],
        }
      }).apply(params)
    const made = own({ vera_A: A, vera_B: B })
    const largest = (axis: 0 | 1, size: (dim: Dim) => number) => Math.max(...shapes.map(shape => size(shape[axis])))
    // PEFT's kaiming_uniform: within ±√(6 / fan in)
    const projections = {
      leaves: [A, B],
      make: ({ size }: { readonly size: (dim: Dim) => number }) => {
        const rows = largest(0, size)
        const columns = largest(1, size)
        const named = (dim: Dim): number => (dim === 'vera_in' ? rows : dim === 'vera_out' ? columns : size(dim))
        return [
          uniformWithin(A, named, Math.sqrt(6 / rows), { seed, path: 'vera_A' }),
          uniformWithin(B, named, Math.sqrt(6 / rank), { seed, path: 'vera_B' }),
        ]
      },
    }
    return {
      ...made,
      additions: [...made.additions, projections],
      params: { ...(made.params as object), vera_A: A, vera_B: B },
      mask: { ...(made.mask as object), vera_A: frozen, vera_B: frozen },
      weight: made.weight,
      // the trees have the structures that `Vera` computes
    } as never
  },
})

export const veraMethod = method({
  name: 'vera',
  title: 'VeRA',
  trains: 'two vectors that scale random factors, which all modules share',
  paper: { by: 'Kopiczko et al., ICLR 2024', url: 'https://arxiv.org/abs/2310.11454' },
  make: vera,
  takes: ['rank', 'seed', 'initial'],
  // it trains so little that its rank is large
  rank: { default: 256 },
  reach: 'linear',
  targets: 'usual',
  tensors: [{ vera_lambda_d: trained('r'), vera_lambda_b: trained('out') }],
  shared: { vera_A: keptFrozen('in', 'r'), vera_B: keptFrozen('r', 'out') },
  quantizes: true,
  besides: true,
  change: 'factors',
  lora: {
    factors: ({ tensors: { vera_lambda_d: d, vera_lambda_b: b }, shared: { vera_A, vera_B }, inputs }) => ({
      lora_A: scaledColumns(firstRows(vera_A, inputs), d),
      lora_B: scaledColumns(firstColumns(vera_B, b.data.length), b),
      scale: 1,
    }),
  },
  dims: modules => ({
    vera_in: Math.max(...modules.map(module => module.in)),
    vera_out: Math.max(...modules.map(({ out }) => out)),
  }),
  peft: {
    type: 'VERA',
    tensors: { vera_lambda_d: ['vera_lambda_d', 'r'], vera_lambda_b: ['vera_lambda_b', 'out'] },
    shared: { vera_A: ['vera_A', 'r', 'in'], vera_B: ['vera_B', 'out', 'r'] },
    oneRank: true,
    lacks: ['exclude_modules'],
    fields: {
      r: { holds: 'rank', absent: 256 },
      d_initial: { holds: 'initial', unset: 0.1 },
      projection_prng_key: { holds: 'seed', unset: 0 },
      save_projection: {
        not: false,
        because: "the projections follow from PyTorch's own random numbers: save the adapter with save_projection",
        write: true,
      },
      vera_dropout: { only: 0 },
      bias: { holds: 'bias', unset: 'none', own: 'vera_only' },
      fan_in_fan_out: { only: false },
      init_weights: { leave: true, write: () => true },
    },
  },
})
