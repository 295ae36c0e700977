import {
  broadcast,
  broadcastTo,
  concat,
  einsum,
  matmul,
  product,
  reduce,
  reshape,
  slice,
  take,
  takeAlong,
  topK,
  transpose,
  type AxisList,
  type AxisOrName,
  type Broadcast,
  type BroadcastTo,
  type Concat,
  type Dim,
  type Einsum,
  type MatMul,
  type Product,
  type Reduce,
  type Reshape,
  type Shape,
  type Slice,
  type Take,
  type TakeAlong,
  type TopK,
  type Transpose,
} from '../../../src/tensor/shape/index.ts'
import type { Case, Equal, Expect, Wanted } from '../../support/expect-type.ts'
import { agrees } from '../../support/twins.ts'

const products = [
  { of: [[]], is: 1 },
  { of: [['heads', 'headDim']], is: 'heads*headDim' },
  { of: [['headDim', 'heads']], is: 'headDim*heads' },
  { of: [[768, 3072]], is: 2359296 },
  { of: [[49152, 576, 30]], is: 849346560 },
  { of: [[999999, 999999]], is: 999998000001 },
  { of: [['batch', 2, 3, 'heads', 1]], is: 'batch*6*heads' },
  { of: [['batch*2', '3*heads']], is: 'batch*6*heads' },
  { of: [[1, 'seq', 1]], is: 'seq' },
  { of: [[2, 'seq', 3]], is: '2*seq*3' },
  { of: [[1000000007, 1000000009]], error: 'product: 1000000016000000063 is more than a number can hold exactly' },
] as const
type Products<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer S extends Shape] ? Product<S> : never
}
export type _Products = Expect<Equal<Products<typeof products>, Wanted<typeof products>>>
agrees('product', products, ({ of }) => product(of[0]))

const broadcasts = [
  {
    of: [
      ['batch', 'hidden'],
      ['batch', 'hidden'],
    ],
    is: ['batch', 'hidden'],
  },
  { of: [['batch', 'hidden'], ['hidden']], is: ['batch', 'hidden'] },
  { of: [['hidden'], ['batch', 1]], is: ['batch', 'hidden'] },
  { of: [[], ['batch', 3]], is: ['batch', 3] },
  { of: [[1], [1]], is: [1] },
  { of: [['heads*headDim'], ['seq', 'heads*headDim']], is: ['seq', 'heads*headDim'] },
  { of: [['batch', 'hidden'], ['ffn']], error: 'broadcast: dims hidden and ffn differ in [batch, hidden] and [ffn]' },
  {
    of: [
      [2, 3],
      [3, 2],
    ],
    error: 'broadcast: dims 3 and 2 differ in [2, 3] and [3, 2]',
  },
  {
    of: [
      ['batch', 2],
      ['batch', '1*2'],
    ],
    error: 'dim 1 is 1*2: its normal form is 2',
  },
] as const
type Broadcasts<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer A extends Shape, infer B extends Shape]
    ? Broadcast<A, B>
    : never
}
export type _Broadcasts = Expect<Equal<Broadcasts<typeof broadcasts>, Wanted<typeof broadcasts>>>
agrees('broadcast', broadcasts, ({ of }) => broadcast(of[0], of[1]))

const stretched = [
  { of: [['hidden'], ['batch', 'hidden']], is: ['batch', 'hidden'] },
  {
    of: [
      ['batch', 1],
      ['batch', 'hidden'],
    ],
    is: ['batch', 'hidden'],
  },
  { of: [['batch', 'hidden'], ['hidden']], error: 'broadcast: [batch, hidden] does not fit into [hidden]' },
  {
    of: [
      ['batch', 'hidden'],
      ['batch', 1],
    ],
    error: 'broadcast: [batch, hidden] does not fit into [batch, 1]',
  },
  { of: [['seq'], ['hidden']], error: 'broadcast: dims seq and hidden differ in [seq] and [hidden]' },
] as const
type Stretched<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer A extends Shape, infer B extends Shape]
    ? BroadcastTo<A, B>
    : never
}
export type _Stretched = Expect<Equal<Stretched<typeof stretched>, Wanted<typeof stretched>>>
agrees('broadcastTo', stretched, ({ of }) => broadcastTo(of[0], of[1]))

const matmuls = [
  {
    of: [
      ['batch', 'seq', 'hidden'],
      ['hidden', 'ffn'],
    ],
    is: ['batch', 'seq', 'ffn'],
  },
  { of: [['hidden'], ['hidden', 'ffn']], is: ['ffn'] },
  {
    of: [
      [2, 3],
      [3, 4],
    ],
    is: [2, 4],
  },
  {
    of: [
      ['batch', 'heads', 'seq', 'headDim'],
      ['batch', 'heads', 'headDim', 'keys'],
    ],
    is: ['batch', 'heads', 'seq', 'keys'],
  },
  {
    of: [
      ['batch', 'hidden'],
      ['ffn', 'hidden'],
    ],
    error: 'matmul: inner dims hidden and ffn differ',
  },
  {
    of: [
      ['batch', 3],
      [4, 5],
    ],
    error: 'matmul: inner dims 3 and 4 differ',
  },
  {
    of: [
      ['batch', 'm', 'k'],
      ['heads', 'k', 'n'],
    ],
    error: 'matmul: leading dims [batch] and [heads] differ',
  },
  {
    of: [
      ['m', 'k'],
      ['batch', 'k', 'n'],
    ],
    is: ['batch', 'm', 'n'],
  },
  {
    of: [
      ['batch', 1, 'm', 'k'],
      [1, 'heads', 'k', 'n'],
    ],
    is: ['batch', 'heads', 'm', 'n'],
  },
  { of: [['k'], ['batch', 'k', 'n']], is: ['batch', 'n'] },
  { of: [['m', 'k'], ['k']], is: ['m'] },
  { of: [['k'], ['k']], is: [] },
  { of: [[], ['k', 'n']], error: 'matmul: the left operand [] needs at least 1 dim' },
  { of: [['m', 'k'], ['n']], error: 'matmul: inner dims k and n differ' },
  { of: [['m', 'k'], []], error: 'matmul: the right operand [] needs at least 1 dim' },
] as const
type MatMuls<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer A extends Shape, infer B extends Shape]
    ? MatMul<A, B>
    : never
}
export type _MatMuls = Expect<Equal<MatMuls<typeof matmuls>, Wanted<typeof matmuls>>>
agrees('matmul', matmuls, ({ of }) => matmul(of[0], of[1]))

const reshapes = [
  {
    of: [
      ['batch', 'seq', 'hidden'],
      ['batch*seq', 'hidden'],
    ],
    is: ['batch*seq', 'hidden'],
  },
  {
    of: [
      ['batch', 'seq', 'heads*headDim'],
      ['batch', 'seq', 'heads', 'headDim'],
    ],
    is: ['batch', 'seq', 'heads', 'headDim'],
  },
  { of: [[2, 3], [6]], is: [6] },
  { of: [[6], [2, 3]], is: [2, 3] },
  { of: [[768, 3072], [2359296]], is: [2359296] },
  {
    of: [
      ['batch', 6],
      ['batch*2', 3],
    ],
    is: ['batch*2', 3],
  },
  { of: [['seq'], [1, 'seq', 1]], is: [1, 'seq', 1] },
  { of: [[], [1]], is: [1] },
  {
    of: [
      ['batch', 'seq', 'hidden'],
      ['seq', 'batch', 'hidden'],
    ],
    error: 'reshape: [batch, seq, hidden] cannot become [seq, batch, hidden]: batch*seq*hidden is not seq*batch*hidden',
  },
  { of: [[2, 3], [5]], error: 'reshape: [2, 3] cannot become [5]: 6 is not 5' },
  {
    of: [
      ['batch', 2],
      [2, 'batch'],
    ],
    error: 'reshape: [batch, 2] cannot become [2, batch]: batch*2 is not 2*batch',
  },
] as const
type Reshapes<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer A extends Shape, infer B extends Shape]
    ? Reshape<A, B>
    : never
}
export type _Reshapes = Expect<Equal<Reshapes<typeof reshapes>, Wanted<typeof reshapes>>>
agrees('reshape', reshapes, ({ of }) => reshape(of[0], of[1]))

const transposes = [
  {
    of: [
      ['batch', 'seq', 'heads', 'headDim'],
      [0, 2, 1, 3],
    ],
    is: ['batch', 'heads', 'seq', 'headDim'],
  },
  {
    of: [
      ['in', 'out'],
      [-1, 0],
    ],
    is: ['out', 'in'],
  },
  { of: [[], []], is: [] },
  {
    of: [
      ['batch', 'seq', 'hidden'],
      [1, 0],
    ],
    error: 'transpose: [1, 0] does not name every axis of [batch, seq, hidden] once',
  },
  {
    of: [
      ['batch', 'seq'],
      [1, -1],
    ],
    error: 'transpose: axis -1 is repeated in [1, -1]',
  },
  {
    of: [
      ['batch', 'seq'],
      [0, 2],
    ],
    error: 'transpose: axis 2 is out of range for [batch, seq]',
  },
] as const
type Transposes<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer S extends Shape, infer P extends readonly number[]]
    ? Transpose<S, P>
    : never
}
export type _Transposes = Expect<Equal<Transposes<typeof transposes>, Wanted<typeof transposes>>>
agrees('transpose', transposes, ({ of }) => transpose(of[0], of[1]))

const einsums = [
  {
    of: [
      'bsi,io->bso',
      [
        ['batch', 'seq', 'hidden'],
        ['hidden', 'ffn'],
      ],
    ],
    is: ['batch', 'seq', 'ffn'],
  },
  {
    of: [
      'bhqd,bhkd->bhqk',
      [
        ['batch', 'heads', 'seq', 'headDim'],
        ['batch', 'heads', 'keys', 'headDim'],
      ],
    ],
    is: ['batch', 'heads', 'seq', 'keys'],
  },
  { of: ['ij->ji', [['in', 'out']]], is: ['out', 'in'] },
  { of: ['i,j,k->ijk', [['a'], [2], ['c']]], is: ['a', 2, 'c'] },
  { of: ['i,i->', [['a'], ['a']]], is: [] },
  { of: [',i->i', [[], ['a']]], is: ['a'] },
  {
    of: [
      'bsi,io->bso',
      [
        ['batch', 'seq', 'hidden'],
        ['ffn', 'hidden'],
      ],
    ],
    error: 'einsum: i is both hidden and ffn',
  },
  {
    of: [
      'bi,io->bx',
      [
        ['batch', 'i'],
        ['i', 'o'],
      ],
    ],
    error: 'einsum: x of the output bx is in no operand',
  },
  { of: ['bi->bb', [['batch', 'i']]], error: 'einsum: b is repeated in the output bb' },
  {
    of: [
      'bi,io->bo',
      [
        ['batch', 'seq', 'i'],
        ['i', 'o'],
      ],
    ],
    error: 'einsum: bi does not name the dims of [batch, seq, i]',
  },
  {
    of: [
      'bsi,io->bo',
      [
        ['batch', 'i'],
        ['i', 'o'],
      ],
    ],
    error: 'einsum: bsi does not name the dims of [batch, i]',
  },
  { of: ['bi,io->bo', [['batch', 'i']]], error: 'einsum: bi,io does not name 1 operands' },
  { of: ['bi->b', [['batch', 'i'], ['i']]], error: 'einsum: bi does not name 2 operands' },
  {
    of: [
      'bi,io',
      [
        ['batch', 'i'],
        ['i', 'o'],
      ],
    ],
    error: 'einsum: bi,io has no ->',
  },
  { of: ['b i->b', [['batch', 'seq', 'i']]], error: "einsum: ' ' in b i is not a letter" },
] as const
type Einsums<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer Q extends string, infer S extends readonly Shape[]]
    ? Einsum<Q, S>
    : never
}
export type _Einsums = Expect<Equal<Einsums<typeof einsums>, Wanted<typeof einsums>>>
agrees('einsum', einsums, ({ of }) => einsum(of[0], of[1]))

const concats = [
  {
    of: [
      [
        ['batch', 'past', 64],
        ['batch', 'seq', 64],
      ],
      1,
      'tokens',
    ],
    is: ['batch', 'tokens', 64],
  },
  {
    of: [
      [
        [2, 'hidden'],
        [3, 'hidden'],
        [995, 'hidden'],
      ],
      0,
      undefined,
    ],
    is: [1000, 'hidden'],
  },
  {
    of: [
      [
        ['a', 48],
        ['a', 64],
      ],
      -1,
      112,
    ],
    is: ['a', 112],
  },
  {
    of: [
      [
        ['a', 32],
        ['a', 32],
      ],
      -1,
      'headDim',
    ],
    is: ['a', 'headDim'],
  },
  { of: [[['past'], ['seq']], 0, 128], is: [128] },
  { of: [[['past'], ['seq']], 0, undefined], error: 'concat: past + seq has no name: give one with as' },
  { of: [[[3], [5]], 0, 9], error: 'concat: 3 + 5 is 8, not 9' },
  {
    of: [
      [
        ['past', 'hidden'],
        ['seq', 'ffn'],
      ],
      0,
      'tokens',
    ],
    error: 'concat: dims hidden and ffn differ in [past, hidden] and [seq, ffn]',
  },
  { of: [[['past', 'hidden'], ['seq']], 0, 'tokens'], error: 'concat: [past, hidden] and [seq] differ in rank' },
  { of: [[['past'], ['seq']], 1, 'tokens'], error: 'concat: axis 1 is out of range for [past]' },
  {
    of: [[['past'], ['seq']], 0, 'to kens'],
    error: 'dim as is to kens: a dim is a positive whole number, a name or a product of them',
  },
  { of: [[], 0, 'tokens'], error: 'concat: there is nothing to join' },
  { of: [[['n'], ['n']], 0, '2*n'], is: ['2*n'] },
  { of: [[['n'], ['m']], 0, 'n'], error: 'concat: n + m is never n' },
  { of: [[['n'], ['n']], 0, '3*n'], error: 'concat: n + n is never 3*n' },
  { of: [[['n'], [3]], 0, 3], error: 'concat: n + 3 is never 3' },
  { of: [[[2], [3]], 0, '6*n'], error: 'concat: 2 + 3 is never 6*n' },
  { of: [[['n*m']], 0, 'n'], is: ['n'] },
] as const
type Concats<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [
    infer S extends readonly Shape[],
    infer A extends number,
    infer As extends Dim | undefined,
  ]
    ? Concat<S, A, As>
    : never
}
export type _Concats = Expect<Equal<Concats<typeof concats>, Wanted<typeof concats>>>
agrees('concat', concats, ({ of }) => concat(of[0], of[1], of[2]))

const slices = [
  { of: [['batch', 6], -1, 2, [4]], is: ['batch', 2] },
  { of: [['batch', '2*half'], 1, 'half', ['half']], is: ['batch', 'half'] },
  { of: [['batch', 'seq'], 1, 1, []], is: ['batch', 1] },
  { of: [['batch', 6], 1, 3, [4]], error: 'slice: 4 + 3 is beyond 6 in [batch, 6]' },
  { of: [['batch', 6], 1, 7, []], error: 'slice: 7 is beyond 6 in [batch, 6]' },
  { of: [['batch', 6], -3, 7, []], error: 'slice: axis -3 is out of range for [batch, 6]' },
  { of: [['batch', 6], 1, 0, []], error: 'dim as is 0: a dim is a positive whole number, a name or a product of them' },
  {
    of: [['batch', 6], 1, 1, [0]],
    error: 'dim start is 0: a dim is a positive whole number, a name or a product of them',
  },
  {
    of: [['batch', 'n'], 1, 1, ['n', 2.5]],
    error: 'dim start is 2.5: a dim is a positive whole number, a name or a product of them',
  },
  { of: [['batch', 'n'], 1, '2*n', []], error: 'slice: 2*n is beyond n in [batch, n]' },
  { of: [['batch', 'n'], 1, '2*n*m', []], error: 'slice: 2*n*m is beyond n in [batch, n]' },
  { of: [['batch', 'n'], 1, 'm*2*n', []], error: 'slice: m*2*n is beyond n in [batch, n]' },
  { of: [['batch', 'n'], 1, 'm', ['n']], error: 'slice: n + m is beyond n in [batch, n]' },
  { of: [['batch', 'n'], 1, 'n', [1]], error: 'slice: 1 + n is beyond n in [batch, n]' },
  { of: [['batch', '3*n'], 1, 'n', ['2*n', 'n']], error: 'slice: 2*n + n + n is beyond 3*n in [batch, 3*n]' },
  { of: [['batch', 6], 1, 'n', [6]], error: 'slice: 6 + n is beyond 6 in [batch, 6]' },
  { of: [['batch', 'n'], 1, 'n*m', []], is: ['batch', 'n*m'] },
  { of: [['batch', '3*n'], 1, 'n', ['2*n']], is: ['batch', 'n'] },
  { of: [['batch', 'n*m'], 1, 'n', ['m']], is: ['batch', 'n'] },
  { of: [['batch', 'n'], 1, 5, []], is: ['batch', 5] },
] as const
type Slices<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [
    infer S extends Shape,
    infer A extends number,
    infer As extends Dim,
    infer Start extends Shape,
  ]
    ? Slice<S, A, As, Start>
    : never
}
export type _Slices = Expect<Equal<Slices<typeof slices>, Wanted<typeof slices>>>
agrees('slice', slices, ({ of }) => slice(of[0], of[1], of[2], of[3]))

const takes = [
  { of: [['hidden', 'ffn'], [8], 0], is: [8, 'ffn'] },
  { of: [['hidden', 'ffn'], ['rank'], -1], is: ['hidden', 'rank'] },
  { of: [['hidden', 'ffn'], [8], 2], error: 'take: axis 2 is out of range for [hidden, ffn]' },
  { of: [['vocab', 'hidden'], ['batch', 'seq'], 0], is: ['batch', 'seq', 'hidden'] },
  { of: [['batch', 'vocab'], [], -1], is: ['batch'] },
  { of: [[], ['batch'], 0], error: 'take: axis 0 is out of range for []' },
] as const
type Takes<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [
    infer S extends Shape,
    infer I extends Shape,
    infer A extends number,
  ]
    ? Take<S, I, A>
    : never
}
export type _Takes = Expect<Equal<Takes<typeof takes>, Wanted<typeof takes>>>
agrees('take', takes, ({ of }) => take(of[0], of[1], of[2]))

const takesAlong = [
  { of: [['batch', 'vocab'], ['batch', 5], -1], is: ['batch', 5] },
  { of: [['batch', 'vocab'], ['few', 'vocab'], 'batch'], is: ['few', 'vocab'] },
  { of: [['n'], ['m'], 0], is: ['m'] },
  {
    of: [['batch', 'vocab'], ['seq', 5], 1],
    error: 'takeAlong: the index [seq, 5] does not go along axis 1 of [batch, vocab]',
  },
  {
    of: [['batch', 'vocab'], ['batch'], 1],
    error: 'takeAlong: the index [batch] does not go along axis 1 of [batch, vocab]',
  },
  { of: [['batch'], ['batch'], 1], error: 'takeAlong: axis 1 is out of range for [batch]' },
  { of: [['batch'], ['batch'], 'n'], error: 'takeAlong: [batch] has no dim n' },
] as const
type TakesAlong<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [
    infer S extends Shape,
    infer I extends Shape,
    infer A extends AxisOrName,
  ]
    ? TakeAlong<S, I, A>
    : never
}
export type _TakesAlong = Expect<Equal<TakesAlong<typeof takesAlong>, Wanted<typeof takesAlong>>>
agrees('takeAlong', takesAlong, ({ of }) => takeAlong(of[0], of[1], of[2]))

const tops = [
  { of: [['batch', 'vocab'], 5], is: ['batch', 5] },
  { of: [['batch', 6], 6], is: ['batch', 6] },
  { of: [['batch', 6], 7], error: 'topK: 7 is beyond 6 in [batch, 6]' },
  { of: [['batch', 'n'], '2*n'], error: 'topK: 2*n is beyond n in [batch, n]' },
  { of: [[], 1], error: 'topK: axis -1 is out of range for []' },
] as const
type Tops<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer S extends Shape, infer N extends Dim] ? TopK<S, N> : never
}
export type _Tops = Expect<Equal<Tops<typeof tops>, Wanted<typeof tops>>>
agrees('topK', tops, ({ of }) => topK(of[0], of[1]))

const reductions = [
  { of: [['batch', 'seq', 'hidden'], -1, false], is: ['batch', 'seq'] },
  { of: [['batch', 'seq', 'hidden'], -1, true], is: ['batch', 'seq', 1] },
  { of: [['batch', 'seq', 'hidden'], [0, -1], false], is: ['seq'] },
  { of: [['batch', 'seq', 'hidden'], [0, 1, 2], false], is: [] },
  { of: [['batch', 'seq'], [], true], is: ['batch', 'seq'] },
  { of: [['batch', 'seq'], 2, false], error: 'reduce: axis 2 is out of range for [batch, seq]' },
  { of: [['batch', 'seq'], -3, false], error: 'reduce: axis -3 is out of range for [batch, seq]' },
  { of: [['batch', 'seq'], [1, -1], false], error: 'reduce: axis -1 is repeated in [1, -1]' },
  { of: [['batch', 'seq', 'hidden'], 'seq', false], is: ['batch', 'hidden'] },
  { of: [['batch', 'seq', 'hidden'], ['hidden', 'batch'], true], is: [1, 'seq', 1] },
  { of: [['heads*headDim', 'n'], 'heads*headDim', false], is: ['n'] },
  { of: [['batch', 'seq'], 'hidden', false], error: 'reduce: [batch, seq] has no dim hidden' },
  { of: [['n', 'm', 'n'], 'n', true], error: 'reduce: n is 2 dims of [n, m, n]: give the number of the axis' },
  { of: [['batch', 'seq'], [0, 'batch'], false], error: 'reduce: axis batch is repeated in [0, batch]' },
] as const
type Reductions<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [
    infer S extends Shape,
    infer A extends AxisList,
    infer Keep extends boolean,
  ]
    ? Reduce<S, A, Keep>
    : never
}
export type _Reductions = Expect<Equal<Reductions<typeof reductions>, Wanted<typeof reductions>>>
agrees('reduce', reductions, ({ of }) => reduce(of[0], of[1], of[2]))
