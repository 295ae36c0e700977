import {
  add,
  attention,
  broadcastTo,
  cast,
  concat,
  crossEntropy,
  einsum,
  equal,
  f32,
  i32,
  integer,
  matmul,
  max,
  mean,
  model,
  mul,
  nonzero,
  put,
  repeat,
  reshape,
  rmsNorm,
  scan,
  select,
  silu,
  slice,
  softmax,
  sum,
  take,
  transpose,
  vector,
  type Dim,
  type Shape,
  type Tensor,
} from '../../src/tensor/index.ts'
import type { Equal, Expect } from './expect-type.ts'

/**
 * The types that `tsc` infers for the public functions, without a single annotation. This file is its own test: it
 * type-checks.
 */

type Is<T extends { readonly shape: Shape; readonly dtype: string }, S extends Shape, D extends string = 'f32'> = Equal<
  readonly [T['shape'], T['dtype']],
  readonly [S, D]
>
type All<Checks extends readonly true[]> = Checks

const x = f32('batch', 'seq', 'hidden')
const up = f32('hidden', 'ffn')
const down = f32('ffn', 'hidden')
const bias = f32('hidden')
const ids = i32('batch', 'seq')
const columns = i32(8)
const keys = f32('batch', 'heads', 'keys', 'headDim')
const queries = f32('batch', 'heads', 'seq', 'headDim')

const declared = [x, ids, f32(), vector([1, 2], 2)] as const
export type Declared = All<
  [
    Is<(typeof declared)[0], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof declared)[1], readonly ['batch', 'seq'], 'i32'>,
    Is<(typeof declared)[2], readonly []>,
    Is<(typeof declared)[3], readonly [2]>,
  ]
>

const products = [
  matmul(x, up),
  matmul(matmul(x, up), down),
  matmul(queries, f32('batch', 'heads', 'headDim', 'keys')),
  matmul(f32(2, 3), f32(3, 4)),
  matmul(bias, up),
] as const
export type Products = All<
  [
    Is<(typeof products)[0], readonly ['batch', 'seq', 'ffn']>,
    Is<(typeof products)[1], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof products)[2], readonly ['batch', 'heads', 'seq', 'keys']>,
    Is<(typeof products)[3], readonly [2, 4]>,
    Is<(typeof products)[4], readonly ['ffn']>,
  ]
>

const sums = [
  einsum('bsi,io->bso', x, up),
  einsum('bhqd,bhkd->bhqk', queries, keys),
  einsum('bsi,io,oj->bj', x, up, down),
  einsum('bsi->', x),
  einsum('i,o->io', bias, f32('ffn')),
  einsum('ii->i', f32('hidden', 'hidden')),
] as const
export type Sums = All<
  [
    Is<(typeof sums)[0], readonly ['batch', 'seq', 'ffn']>,
    Is<(typeof sums)[1], readonly ['batch', 'heads', 'seq', 'keys']>,
    Is<(typeof sums)[2], readonly ['batch', 'hidden']>,
    Is<(typeof sums)[3], readonly []>,
    Is<(typeof sums)[4], readonly ['hidden', 'ffn']>,
    Is<(typeof sums)[5], readonly ['hidden']>,
  ]
>

const reshaped = [
  reshape(x, ['batch*seq', 'hidden']),
  reshape(f32('batch', 'heads*headDim'), ['batch', 'heads', 'headDim']),
  reshape(f32(6, 'a'), [2, 3, 'a']),
  reshape(ids, ['batch*seq']),
  reshape(bias, [1, 'hidden']),
] as const
export type Reshaped = All<
  [
    Is<(typeof reshaped)[0], readonly ['batch*seq', 'hidden']>,
    Is<(typeof reshaped)[1], readonly ['batch', 'heads', 'headDim']>,
    Is<(typeof reshaped)[2], readonly [2, 3, 'a']>,
    Is<(typeof reshaped)[3], readonly ['batch*seq'], 'i32'>,
    Is<(typeof reshaped)[4], readonly [1, 'hidden']>,
  ]
>

const permuted = [
  transpose(up),
  transpose(queries, [0, 2, 1, 3]),
  transpose(ids, [1, 0]),
  transpose(x, [-1, 0, 1]),
] as const
export type Permuted = All<
  [
    Is<(typeof permuted)[0], readonly ['ffn', 'hidden']>,
    Is<(typeof permuted)[1], readonly ['batch', 'seq', 'heads', 'headDim']>,
    Is<(typeof permuted)[2], readonly ['seq', 'batch'], 'i32'>,
    Is<(typeof permuted)[3], readonly ['hidden', 'batch', 'seq']>,
  ]
>

const parts = [
  take(up, columns, 0),
  take(x, i32('few'), -1),
  take(ids, columns, 1),
  slice(f32('batch', '2*half'), -1, { as: 'half', start: ['half'] }),
  slice(x, 1, { as: 1 }),
  slice(f32('batch', 6), 1, { as: 2, start: [4] }),
] as const
export type Parts = All<
  [
    Is<(typeof parts)[0], readonly [8, 'ffn']>,
    Is<(typeof parts)[1], readonly ['batch', 'seq', 'few']>,
    Is<(typeof parts)[2], readonly ['batch', 8], 'i32'>,
    Is<(typeof parts)[3], readonly ['batch', 'half']>,
    Is<(typeof parts)[4], readonly ['batch', 1, 'hidden']>,
    Is<(typeof parts)[5], readonly ['batch', 2]>,
  ]
>
const written = [put(up, columns, f32(8, 'ffn'), 0), nonzero(f32('seq'), 'scored')] as const
export type Written = All<
  [Is<(typeof written)[0], readonly ['hidden', 'ffn']>, Is<(typeof written)[1], readonly ['scored'], 'i32'>]
>

const joined = [
  concat([f32('past', 'hidden'), f32('seq', 'hidden')], 0, 'tokens'),
  concat([f32(2, 'hidden'), f32(3, 'hidden')], 0, 5),
  concat([ids, i32('batch', 'more')], -1, 'all'),
] as const
export type Joined = All<
  [
    Is<(typeof joined)[0], readonly ['tokens', 'hidden']>,
    Is<(typeof joined)[1], readonly [5, 'hidden']>,
    Is<(typeof joined)[2], readonly ['batch', 'all'], 'i32'>,
  ]
>

const elementwise = [
  add(x, bias),
  add(bias, x),
  add(x, x),
  mul(x, 2),
  add(f32('batch', 1), f32(1, 'hidden')),
  mul(f32(), x),
  add(ids, integer(1)),
  equal(ids, ids),
  silu(x),
  cast(ids, 'f32'),
  broadcastTo(bias, ['batch', 'hidden']),
] as const
export type Elementwise = All<
  [
    Is<(typeof elementwise)[0], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof elementwise)[1], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof elementwise)[2], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof elementwise)[3], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof elementwise)[4], readonly ['batch', 'hidden']>,
    Is<(typeof elementwise)[5], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof elementwise)[6], readonly ['batch', 'seq'], 'i32'>,
    Is<(typeof elementwise)[7], readonly ['batch', 'seq'], 'bool'>,
    Is<(typeof elementwise)[8], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof elementwise)[9], readonly ['batch', 'seq']>,
    Is<(typeof elementwise)[10], readonly ['batch', 'hidden']>,
  ]
>
const chosen = select(equal(x, x), x, 0)
export type Chosen = Expect<Is<typeof chosen, readonly ['batch', 'seq', 'hidden']>>

const reduced = [sum(x), sum(x, -1), mean(x, [0, 2]), mean(x, -1, true), max(x, [0, 1], true)] as const
export type Reduced = All<
  [
    Is<(typeof reduced)[0], readonly []>,
    Is<(typeof reduced)[1], readonly ['batch', 'seq']>,
    Is<(typeof reduced)[2], readonly ['seq']>,
    Is<(typeof reduced)[3], readonly ['batch', 'seq', 1]>,
    Is<(typeof reduced)[4], readonly [1, 1, 'hidden']>,
  ]
>

const layers = [
  softmax(x),
  rmsNorm(x, bias, 1e-5),
  crossEntropy(f32('batch', 'seq', 'vocab'), ids),
  crossEntropy(f32('vocab'), i32()),
  attention(
    f32('batch', 'kvHeads', 'group', 'seq', 'headDim'),
    f32('batch', 'kvHeads', 'keys', 'headDim'),
    f32('batch', 'kvHeads', 'keys', 'headDim'),
    integer(0),
  ),
] as const
export type Layers = All<
  [
    Is<(typeof layers)[0], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof layers)[1], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof layers)[2], readonly ['batch', 'seq']>,
    Is<(typeof layers)[3], readonly []>,
    Is<(typeof layers)[4], readonly ['batch', 'kvHeads', 'group', 'seq', 'headDim']>,
  ]
>

/** Layers are generic in their dims. */
const mlp = <L extends Shape, I extends Dim, H extends Dim>(
  h: Tensor<readonly [...L, I]>,
  p: { readonly up: Tensor<readonly [I, H]>; readonly down: Tensor<readonly [H, I]> },
) => matmul(silu(matmul(h, p.up)), p.down)
const attend = <B extends Dim, Q extends Dim, K extends Dim, D extends Dim>(
  q: Tensor<readonly [B, Q, D]>,
  k: Tensor<readonly [B, D, K]>,
): Tensor<readonly [B, Q, K]> => softmax(matmul(q, k))
const blocks = Array.from({ length: 3 }, () => ({ up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden') }))
const repeated = [
  repeat(blocks, x, mlp),
  repeat(blocks, x, (h, p) => add(h, mlp(h, p))),
  attend(f32('b', 'q', 'd'), f32('b', 'd', 'k')),
] as const
export type Repeated = All<
  [
    Is<(typeof repeated)[0], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof repeated)[1], readonly ['batch', 'seq', 'hidden']>,
    Is<(typeof repeated)[2], readonly ['b', 'q', 'k']>,
  ]
>

const [carried, yielded] = scan(blocks, x, (h, p) => [mlp(h, p), [matmul(h, p.up), ids]])
export type Scanned = All<
  [
    Is<typeof carried, readonly ['batch', 'seq', 'hidden']>,
    Equal<
      typeof yielded,
      readonly (readonly [Tensor<readonly ['batch', 'seq', 'ffn']>, Tensor<readonly ['batch', 'seq'], 'i32'>])[]
    >,
  ]
>

const net = model({
  params: { blocks, head: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'hidden'), y: i32('batch') },
  forward: (p, b) =>
    matmul(
      repeat(p.blocks, b.x, (h, l) => add(h, mlp(h, l))),
      p.head,
    ),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: sum(cast(equal(b.y, b.y), 'f32')) }),
})
export type Network = All<
  [
    Is<ReturnType<typeof net.forward>, readonly ['batch', 'classes']>,
    Is<typeof net.params.head, readonly ['hidden', 'classes']>,
    Equal<(typeof net.params.blocks)[number]['up'], Tensor<readonly ['hidden', 'ffn']>>,
  ]
>
