import {
  hashName,
  i32,
  inputDropout,
  placeholder,
  typed,
  u,
  type Dim,
  type Node,
  type Shape,
  type Tensor,
} from '../../tensor/index.ts'
import { all, frozen, type All, type Frozen } from '../mask.ts'
import type { Method, Addition, RandomSource, Reparametrisation } from './method.ts'
import { filled, integers, uniformWithin } from './first-values.ts'
import { leafwise, productDims, type AdaptedLeaf, type FieldOf, type Leafwise, type ProductIn } from './leafwise.ts'
import type { ProductOut } from './leafwise.ts'
import { UnknownTarget, type LeafFunction, type RankOf, type Ranks, type TargetsOf } from './targets.ts'
import { keptFrozen, trained } from './kept.ts'
import type { PeftField } from './peft-form.ts'
import { method, type MethodArguments } from './record.ts'

/** A targeted leaf W with A `[in, r]` and B `[r, out]`; of a convolution, A is `[rows, columns, in, r]`. */
export interface LoraLeaf<R extends Dim> extends LeafFunction {
  readonly becomes: WithFactors<this['leaf'], R>
}
export interface WithFactors<L, R extends Dim> {
  readonly weight: L
  readonly lora_A: Tensor<readonly [...FieldOf<L>, ProductIn<L>, R]>
  readonly lora_B: Tensor<readonly [R, ProductOut<L>]>
}

export interface LoraOptions<T extends readonly string[], R extends number, K extends Ranks | undefined = Ranks> {
  /** Leaves to adapt: names such as `q_proj`, or paths. */
  readonly targets: T
  readonly rank: R
  /** The product is scaled by alpha / rank, or by alpha / √rank with `rslora` (default: the rank). */
  readonly alpha?: number
  /** Rank-stabilised scaling (Kalajdzievski 2023). */
  readonly rslora?: boolean
  /** The fraction of A's input that is zeroed during training; the rest is scaled up to compensate. */
  readonly dropout?: number
  /** Other ranks and alphas for some leaves, by path. */
  readonly ranks?: K
  readonly alphas?: ReadonlyMap<string, number>
  readonly seed: number
}

/** The two factors of a leaf, whatever else a method does with them. */
export interface Factors {
  readonly A: Node
  readonly B: Node
  readonly rank: number
  readonly scale: number
  readonly input: Dim
  readonly output: Dim
  /** The axes of a convolution before its inputs. */
  readonly field: Shape
}

type Options = Omit<LoraOptions<readonly string[], number, Ranks | undefined>, 'targets' | 'seed'>

/** The factors of a leaf, and the scale of their product. */
export const factorsOf = (
  method: string,
  leaf: Node,
  path: string,
  { rank: r, ranks, alpha, alphas, rslora }: Options,
): Factors => {
  const { field, input, output } = productDims(method, leaf, path)
  const rank = ranks?.get(path) ?? r
  const by = alphas?.get(path) ?? alpha ?? rank
  return {
    A: placeholder([...field, input, rank], 'f32'),
    B: placeholder([rank, output], 'f32'),
    rank,
    input,
    output,
    field,
    scale: by / (rslora ? Math.sqrt(rank) : rank),
  }
}

/** The product of matrices, or of A `[rows, columns, in, r]` and a matrix. */
export const product = (a: Node, b: Node): Node => {
  const field = 'xyz'.slice(0, a.shape.length - 2)
  return u.contract(a, b, { a: `${field}ik`, b: 'kj', out: `${field}ij` })
}

/** W + s · A B */
export const lowRankSum = (weight: Node, a: Node, b: Node, scale: number): Node =>
  u.add(weight, u.mul(product(a, b), scale))

/**
 * The first values of the factors: A is uniform within ±1/√in, as in PyTorch's Linear and, with all numbers of a
 * window, in its convolutions (kaiming_uniform with a = √5); B is 0, so that nothing changes at first.
 */
export const firstFactors = ({ A, B, input, field }: Factors, path: string, seed: number) => ({
  of: path,
  leaves: [A, B],
  make: ({ size }: { readonly size: (dim: Dim) => number }) => [
    uniformWithin(A, size, 1 / Math.sqrt([...field, input].reduce<number>((n, dim) => n * size(dim), 1)), {
      seed,
      path: `${path}.lora_A`,
    }),
    filled(B, size),
  ],
})

type Loraed = { readonly weight: Node; readonly lora_A: Node; readonly lora_B: Node; readonly dropout_stream?: Node }

/** The additions to a leaf whose input is dropped out: a random stream of its own. */
interface Dropping {
  readonly becomes: { readonly dropout_stream?: Node }
  readonly mask: { readonly dropout_stream?: Frozen }
  readonly additions: readonly Addition[]
  readonly dropped: (a: Node, leaves: { readonly dropout_stream?: Node }) => Node
}

/** Dropout of A's input; nothing without a source of random numbers. */
export const dropoutOfInput = (rate: number, source: RandomSource | undefined, path: string): Dropping => {
  if (source === undefined) return { becomes: {}, mask: {}, additions: [], dropped: a => a }
  const stream = placeholder([1], 'i32')
  return {
    becomes: { dropout_stream: stream },
    mask: { dropout_stream: frozen },
    additions: [{ of: path, leaves: [stream], make: () => [integers(stream, Int32Array.of(hashName(path)))] }],
    dropped: (a, { dropout_stream: of = stream }) => inputDropout(typed(a), source.key, typed(of), { rate }),
  }
}

/** A key for a method that draws random numbers, and none for other methods. */
export const randomSource = (dropout: number, seed: number): { readonly random?: RandomSource } =>
  dropout > 0 ? { random: { key: i32(3), seed } } : {}

const lowRank = <F extends Reparametrisation>(
  name: string,
  maskA: All | Frozen,
  { targets, seed, dropout = 0, ...options }: LoraOptions<readonly string[], number, Ranks | undefined>,
): Method<F> => ({
  name,
  apply: params => {
    const draws = randomSource(dropout, seed)
    const made = leafwise<F, Loraed>(name, targets, (leaf, path): AdaptedLeaf<Loraed> => {
      const factors = factorsOf(name, leaf, path, options)
      const { A, B, scale, field } = factors
      if (dropout > 0 && field.length > 0)
        throw new UnknownTarget(
          `${name} drops out inputs of matrices, and ${path} is a convolution: set its dropout to 0`,
        )
      const drop = dropoutOfInput(dropout, draws.random, path)
      return {
        becomes: { weight: leaf, lora_A: A, lora_B: B, ...drop.becomes },
        mask: { weight: frozen, lora_A: maskA, lora_B: all, ...drop.mask },
        weight: leaves => lowRankSum(leaves.weight, drop.dropped(leaves.lora_A, leaves), leaves.lora_B, scale),
        additions: [firstFactors(factors, path, seed), ...drop.additions],
      }
    }).apply(params)
    return { ...made, ...draws }
  },
})

export type LoraMask<A = All> = { readonly weight: Frozen; readonly lora_A: A; readonly lora_B: All }

/**
 * Low-rank adaptation (Hu et al., ICLR 2022): W + α/r · A B, with trained A and B. Dropout applies to the input of A,
 * as in PEFT. Of a convolution, A is a convolution to r channels with the same windows, and B maps them to its outputs.
 * @example lora({ targets: ['q_proj', 'v_proj'], rank: 8, alpha: 16, dropout: 0.1, seed: 0 })
 */
export const lora = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>(
  options: LoraOptions<T, R, K>,
): Method<Leafwise<TargetsOf<T>, LoraLeaf<RankOf<R, K>>, LoraMask>> => lowRank('lora', all, options)

/**
 * LoRA with A frozen (Zhang et al. 2023): W + α/r · A B with trained B, so only x A is kept for each token.
 * @example lorafa({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })
 */
export const lorafa = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>(
  options: LoraOptions<T, R, K>,
): Method<Leafwise<TargetsOf<T>, LoraLeaf<RankOf<R, K>>, LoraMask<Frozen>>> => lowRank('lorafa', frozen, options)

/** The options of a method with two factors and a scale. */
export const factorOptions = [
  'rank',
  'alpha',
  'rslora',
  'ranks',
  'alphas',
  'seed',
] as const satisfies readonly (keyof MethodArguments)[]

/** The tensors of two factors in PEFT, which keeps matrices [out, in], and convolutions [out, in, rows, columns]. */
export const factorsInPeft = {
  lora_A: ['lora_A.weight', 'r', 'in'],
  lora_B: ['lora_B.weight', 'out', 'r'],
} as const

const ofEmbedding = 'a LoRA of an embedding, which is not supported: embeddings are trained whole (modules_to_save)'
/** Tensors of PEFT's LoRA that are refused. */
export const refusedInPeft = { lora_embedding_A: ofEmbedding, lora_embedding_B: ofEmbedding }

/** The fields of PEFT's LoRA, which is DoRA too. */
export const loraFields = (isDora: boolean): Readonly<Record<string, PeftField>> => ({
  r: { holds: 'rank', absent: 8 },
  lora_alpha: { holds: 'alpha', absent: 8 },
  alpha_pattern: { holds: 'alphaPattern', unset: {} },
  rank_pattern: { holds: 'rankPattern', unset: {} },
  lora_dropout: { holds: 'dropout', unset: 0 },
  use_rslora: { holds: 'rslora', unset: false },
  use_dora: { is: isDora },
  bias: { holds: 'bias', unset: 'none', own: 'lora_only' },
  fan_in_fan_out: { only: false },
  // pissa, olora, corda, loftq and others also change the weights of the base
  init_lora_weights: {
    oneOf: [true, false, 'gaussian', 'eva', 'orthogonal'],
    expected: 'true, false, "gaussian", "eva" or "orthogonal" (others change the weights of the base)',
    write: true,
  },
  lora_bias: { only: false },
  ensure_weight_tying: { holds: 'tied' },
  eva_config: { leave: true },
  megatron_core: { leave: true },
  qalora_group_size: { leave: true },
  runtime_config: { leave: true },
})

/** The factors of a matrix, and those of a convolution; `kept` is the origin of A. */
const factorsBy = (kept: typeof trained) =>
  [
    { lora_A: kept('in', 'r'), lora_B: trained('r', 'out') },
    { lora_A: kept('rows', 'columns', 'in', 'r'), lora_B: trained('r', 'out') },
  ] as const

export const loraMethod = method({
  name: 'lora',
  title: 'LoRA',
  trains: 'two narrow factors beside each weight',
  paper: { by: 'Hu et al., ICLR 2022', url: 'https://arxiv.org/abs/2106.09685' },
  make: lora,
  takes: [...factorOptions, 'dropout'],
  rank: { default: 8 },
  reach: 'products',
  targets: 'usual',
  tensors: factorsBy(trained),
  shared: {},
  quantizes: true,
  besides: true,
  change: 'factors',
  lora: { factors: ({ tensors, scale }) => ({ ...tensors, scale }) },
  peft: {
    type: 'LORA',
    tensors: factorsInPeft,
    convolutions: true,
    refused: refusedInPeft,
    fields: loraFields(false),
  },
})

export const lorafaMethod = method({
  name: 'lorafa',
  title: 'LoRA-FA',
  trains: 'the second of two narrow factors beside each weight',
  paper: { by: 'Zhang et al. 2023', url: 'https://arxiv.org/abs/2308.03303' },
  make: lorafa,
  takes: [...factorOptions, 'dropout'],
  rank: { default: 8 },
  reach: 'products',
  targets: 'usual',
  tensors: factorsBy(keptFrozen),
  shared: {},
  quantizes: true,
  besides: true,
  change: 'factors',
  lora: { factors: ({ tensors, scale }) => ({ ...tensors, scale }) },
  peft: undefined,
})
