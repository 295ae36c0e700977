import type {
  Broadcast,
  BroadcastTo,
  Concat,
  Einsum,
  Factors,
  MatMul,
  Product,
  Reduce,
  Reshape,
  Shape,
  Slice,
  Take,
  Transpose,
} from '../../src/tensor/shape/index.ts'
import type { Both, Same, Shaped, Theorem } from './theorem.ts'

// Laws of the shape rules. A rule may compare the names of its dims, which `tsc` decides only where these are known:
// each law is stated for all shapes and proved for a table of them. What can be proved for all shapes is in generic.ts.

// matmul
/** (A B) C = A (B C) */
export type Associates<A extends Shape, B extends Shape, C extends Shape> = [
  Shaped<MatMul<A, B>>,
  Shaped<MatMul<B, C>>,
] extends [infer AB extends Shape, infer BC extends Shape]
  ? Same<MatMul<AB, C>, MatMul<A, BC>>
  : never
export type MatMulAssociates = Theorem<
  [
    Associates<['batch', 'hidden'], ['hidden', 'ffn'], ['ffn', 'classes']>,
    Associates<['batch', 'seq', 'hidden'], ['hidden', 'rank'], ['rank', 'hidden']>,
    Associates<[2, 3], [3, 4], [4, 5]>,
    Associates<['hidden'], ['hidden', 'ffn'], ['ffn', 'hidden']>,
    Associates<['heads*headDim', 'hidden'], ['hidden', '2*ffn'], ['2*ffn', 1]>,
    Associates<
      ['batch', 'heads', 'query', 'headDim'],
      ['batch', 'heads', 'headDim', 'keys'],
      ['batch', 'heads', 'keys', 'headDim']
    >,
  ]
>
/** A square matrix keeps the shape. */
export type KeepsShape<A extends Shape, I extends Shape[number]> = Same<MatMul<A, [I, I]>, Readonly<A>>
export type SquareMatMulKeepsTheShape = Theorem<
  [KeepsShape<['batch', 'hidden'], 'hidden'>, KeepsShape<['batch', 'seq', 8], 8>, KeepsShape<['ffn'], 'ffn'>]
>
/** (A B)ᵀ = Bᵀ Aᵀ */
export type TransposesProduct<A extends Shape, B extends Shape> = [
  Shaped<MatMul<A, B>>,
  Shaped<Transpose<A, [1, 0]>>,
  Shaped<Transpose<B, [1, 0]>>,
] extends [infer AB extends Shape, infer At extends Shape, infer Bt extends Shape]
  ? Same<Transpose<AB, [1, 0]>, MatMul<Bt, At>>
  : never
export type TransposeOfAProductIsTheProductOfTransposesReversed = Theorem<
  [
    TransposesProduct<['batch', 'hidden'], ['hidden', 'ffn']>,
    TransposesProduct<[2, 3], [3, 5]>,
    TransposesProduct<['a', 'b*c'], ['b*c', 1]>,
  ]
>

// transpose
/** Pᵀ P = 1, for a permutation P with the inverse Q. */
export type UndoneBy<S extends Shape, P extends readonly number[], Q extends readonly number[]> = [
  Shaped<Transpose<S, P>>,
] extends [infer SP extends Shape]
  ? Same<Transpose<SP, Q>, Readonly<S>>
  : never
export type TransposeTwiceIsTheIdentity = Theorem<
  [
    UndoneBy<['hidden', 'ffn'], [1, 0], [1, 0]>,
    UndoneBy<['batch', 'seq', 'heads', 'headDim'], [0, 2, 1, 3], [0, 2, 1, 3]>,
    UndoneBy<[2, 'a'], [-1, 0], [-1, 0]>,
  ]
>
export type TransposeIsUndoneByTheInversePermutation = Theorem<
  [
    UndoneBy<['a', 'b', 'c'], [1, 2, 0], [2, 0, 1]>,
    UndoneBy<['a', 'b', 'c', 'd'], [3, 0, 2, 1], [1, 3, 2, 0]>,
    UndoneBy<['a', 7, 7], [-1, 0, 1], [1, 2, 0]>,
    UndoneBy<[], [], []>,
  ]
>

// reshape
export type Undone<S extends Shape, T extends Shape> = [Shaped<Reshape<S, T>>] extends [infer ST extends Shape]
  ? Same<Reshape<ST, S>, Readonly<S>>
  : never
export type ReshapeIsInvertible = Theorem<
  [
    Undone<['batch', 'seq', 'hidden'], ['batch*seq', 'hidden']>,
    Undone<['batch', 'heads*headDim'], ['batch', 'heads', 'headDim']>,
    Undone<[6, 'a'], [2, 3, 'a']>,
    Undone<['a'], [1, 'a', 1]>,
    Undone<[768, 3072], [2359296]>,
    Undone<[], [1]>,
  ]
>
export type Composes<S extends Shape, T extends Shape, U extends Shape> = [Shaped<Reshape<S, T>>] extends [
  infer ST extends Shape,
]
  ? Same<Reshape<ST, U>, Reshape<S, U>>
  : never
export type ReshapesCompose = Theorem<
  [
    Composes<['a', 'b', 'c', 'd'], ['a*b', 'c', 'd'], ['a*b', 'c*d']>,
    Composes<[4, 6, 'a'], [24, 'a'], [2, 12, 'a']>,
    Composes<['a*b'], ['a', 'b'], ['a', 1, 'b']>,
  ]
>
export type KeepsProduct<S extends Shape, T extends Shape> = [Shaped<Reshape<S, T>>] extends [infer ST extends Shape]
  ? Same<Product<ST>, Product<S>>
  : never
export type ReshapeKeepsTheProduct = Theorem<
  [
    KeepsProduct<['batch', 'seq', 'hidden'], ['batch', 'seq*hidden']>,
    KeepsProduct<[2, 3, 'a'], [6, 'a']>,
    KeepsProduct<['a', 1], ['a']>,
  ]
>

// products of dims
/** A (B C) = (A B) C, as one flat product. */
export type Nests<A extends Shape, B extends Shape> = [Product<A>, Product<B>] extends infer Both extends Shape
  ? Same<Product<Both>, Product<[...A, ...B]>>
  : false
export type ProductAssociates = Theorem<
  [
    Nests<['a', 'b'], ['c']>,
    Nests<[2, 3], [4, 'a']>,
    Nests<['a', 2], [3, 'b']>,
    Nests<[1], ['a']>,
    Nests<[768], [3072]>,
    Nests<[], ['a']>,
  ]
>
export type Renormal<S extends Shape> =
  Product<S> extends infer P extends Shape[number] ? Same<Product<Factors<P>>, P> : false
export type TheNormalFormIsAFixedPoint = Theorem<
  [Renormal<['a', 2, 3, 'b']>, Renormal<['heads*headDim', 4]>, Renormal<[1, 1]>, Renormal<[9, 64]>, Renormal<['a']>]
>
export type NeighbouringNumbersCommute = Theorem<
  [Same<Product<[2, 3]>, Product<[3, 2]>>, Same<Product<['a', 768, 3072]>, Product<['a', 3072, 768]>>]
>
export type OneIsTheUnitOfTheProduct = Theorem<
  [Same<Product<[1, 'a']>, 'a'>, Same<Product<['a', 1]>, 'a'>, Same<Product<[]>, 1>, Same<Product<[1, 7]>, 7>]
>

// broadcast
export type Commutes<A extends Shape, B extends Shape> = Same<Broadcast<A, B>, Broadcast<B, A>>
export type BroadcastCommutes = Theorem<
  [
    Commutes<['batch', 'hidden'], ['hidden']>,
    Commutes<['batch', 1], [1, 'hidden']>,
    Commutes<['a', 'b', 'c'], []>,
    Commutes<[2, 1, 'a'], [3, 1]>,
    Commutes<['a*b', 'c'], ['a*b', 1]>,
  ]
>
export type Aligns<A extends Shape, B extends Shape, C extends Shape> = [
  Shaped<Broadcast<A, B>>,
  Shaped<Broadcast<B, C>>,
] extends [infer AB extends Shape, infer BC extends Shape]
  ? Same<Broadcast<AB, C>, Broadcast<A, BC>>
  : never
export type BroadcastAssociates = Theorem<
  [
    Aligns<['batch', 'seq', 'hidden'], ['hidden'], []>,
    Aligns<['a', 1, 1], ['b', 1], ['c']>,
    Aligns<[], [1], ['a', 'b']>,
    Aligns<[1, 'b'], ['a', 1], [1, 1]>,
  ]
>
export type Unit<A extends Shape> = Both<
  Same<Broadcast<A, A>, Readonly<A>>,
  Both<Same<Broadcast<A, []>, Readonly<A>>, Same<Broadcast<[], A>, Readonly<A>>>
>
export type BroadcastIsIdempotentAndAScalarIsItsUnit = Theorem<
  [Unit<['batch', 'hidden']>, Unit<[2, 1, 'a']>, Unit<['a*b']>]
>
export type Stretches<A extends Shape, B extends Shape, C extends Shape> = [Shaped<BroadcastTo<A, B>>] extends [
  infer AB extends Shape,
]
  ? Same<BroadcastTo<AB, C>, BroadcastTo<A, C>>
  : never
export type StretchesCompose = Theorem<
  [
    Stretches<['a'], readonly ['b', 'a'], readonly ['c', 'b', 'a']>,
    Stretches<[], readonly [1], readonly [4]>,
    Stretches<[1, 'a'], readonly ['b', 'a'], readonly ['b', 'a']>,
  ]
>

// take
export type Restores<S extends Shape, A extends number, D extends Shape[number], R extends Shape[number]> = [
  Shaped<Take<S, [R], A>>,
] extends [infer Taken extends Shape]
  ? Same<Take<Taken, [D], A>, Readonly<S>>
  : never
export type TakeChangesOneAxisAlone = Theorem<
  [
    Restores<['hidden', 'ffn'], 0, 'hidden', 8>,
    Restores<['a', 'b', 'c'], -1, 'c', 'rank'>,
    Restores<['channels', 3, 3, 'out'], 0, 'channels', 4>,
  ]
>
export type Exchanges<S extends Shape, R extends Shape[number], C extends Shape[number]> = [
  Shaped<Take<S, [R], 0>>,
  Shaped<Take<S, [C], 1>>,
] extends [infer Rows extends Shape, infer Columns extends Shape]
  ? Same<Take<Rows, [C], 1>, Take<Columns, [R], 0>>
  : never
export type TakesOfTwoAxesCommute = Theorem<
  [Exchanges<['hidden', 'ffn'], 8, 4>, Exchanges<['a', 'b', 'c'], 'r', 'c'>, Exchanges<[9, 64], 1, 'few'>]
>
/** take(A B, i) = take(A, i) B: the rule that derives equation 9 of the paper. */
export type MovesInward<A extends Shape, B extends Shape, R extends Shape[number]> = [
  Shaped<MatMul<A, B>>,
  Shaped<Take<A, [R], 0>>,
  Shaped<Take<B, [R], 1>>,
] extends [infer AB extends Shape, infer Rows extends Shape, infer Columns extends Shape]
  ? Both<Same<Take<AB, [R], 0>, MatMul<Rows, B>>, Same<Take<AB, [R], 1>, MatMul<A, Columns>>>
  : never
export type TakeMovesInsideAMatMul = Theorem<
  [
    MovesInward<['hidden', 'tokens'], ['tokens', 'ffn'], 8>,
    MovesInward<[2, 3], [3, 4], 1>,
    MovesInward<['a', 'b*c'], ['b*c', 'd'], 'r'>,
  ]
>

// concat
export type Joins<A extends Shape, B extends Shape, C extends Shape, X extends number> = [
  Shaped<Concat<[A, B], X>>,
  Shaped<Concat<[B, C], X>>,
] extends [infer AB extends Shape, infer BC extends Shape]
  ? Same<Concat<[AB, C], X>, Concat<[A, BC], X>>
  : never
export type NamedJoins<A extends Shape, B extends Shape, C extends Shape, X extends number> = [
  Shaped<Concat<[A, B], X, 'some'>>,
] extends [infer AB extends Shape]
  ? Same<Concat<[AB, C], X, 'all'>, Concat<[A, B, C], X, 'all'>>
  : never
export type ConcatAssociates = Theorem<
  [
    Joins<[2, 'a'], [3, 'a'], [4, 'a'], 0>,
    Joins<['a', 64], ['a', 48], ['a', 1], -1>,
    NamedJoins<['past', 'a'], ['seq', 'a'], ['next', 'a'], 0>,
    NamedJoins<['a', 'x'], ['a', 2], ['a', 'z'], 1>,
  ]
>
export type JoinsWithMatMul<A extends Shape, B extends Shape, W extends Shape> = [
  Shaped<Concat<[A, B], 0, 'tokens'>>,
  Shaped<MatMul<A, W>>,
  Shaped<MatMul<B, W>>,
] extends [infer AB extends Shape, infer AW extends Shape, infer BW extends Shape]
  ? Same<MatMul<AB, W>, Concat<[AW, BW], 0, 'tokens'>>
  : never
export type ConcatOfRowsMovesInsideAMatMul = Theorem<
  [
    JoinsWithMatMul<['past', 'hidden'], ['seq', 'hidden'], ['hidden', 'ffn']>,
    JoinsWithMatMul<[2, 'a', 'b'], [3, 'a', 'b'], ['b', 4]>,
  ]
>
/** Slicing recovers the joined parts: the first from 0, the second from the end of the first. */
export type SlicesOut<A extends Shape, B extends Shape> = [Shaped<Concat<[A, B], 0>>] extends [
  infer Joined extends Shape,
]
  ? Both<Same<Slice<Joined, 0, A[0]>, Readonly<A>>, Same<Slice<Joined, 0, B[0], [A[0]]>, Readonly<B>>>
  : false
export type SliceUndoesConcat = Theorem<
  [SlicesOut<[2, 'hidden'], [3, 'hidden']>, SlicesOut<[64, 1], [48, 1]>, SlicesOut<[1, 'a*b'], [9, 'a*b']>]
>

// einsum
export type EinsumIsMatMul = Theorem<
  [
    Same<
      Einsum<'ij,jk->ik', [['hidden', 'tokens'], ['tokens', 'ffn']]>,
      MatMul<['hidden', 'tokens'], ['tokens', 'ffn']>
    >,
    Same<
      Einsum<'bsi,io->bso', [['batch', 'seq', 'hidden'], ['hidden', 'ffn']]>,
      MatMul<['batch', 'seq', 'hidden'], ['hidden', 'ffn']>
    >,
    Same<
      Einsum<'bhqd,bhdk->bhqk', [['b', 'h', 'q', 4], ['b', 'h', 4, 'k']]>,
      MatMul<['b', 'h', 'q', 4], ['b', 'h', 4, 'k']>
    >,
    Same<
      Einsum<'ij,jk,kl->il', [['a', 'b'], ['b', 'c'], ['c', 'd']]>,
      MatMul<Shaped<MatMul<['a', 'b'], ['b', 'c']>>, ['c', 'd']>
    >,
  ]
>
export type EinsumIsTransposeAndReduce = Theorem<
  [
    Same<Einsum<'ij->ji', [['hidden', 'ffn']]>, Transpose<['hidden', 'ffn'], [1, 0]>>,
    Same<Einsum<'ijk->kij', [['a', 'b', 3]]>, Transpose<['a', 'b', 3], [2, 0, 1]>>,
    Same<Einsum<'bsi->bi', [['batch', 'seq', 'hidden']]>, Reduce<['batch', 'seq', 'hidden'], 1>>,
    Same<Einsum<'ij->', [['a', 'b']]>, Reduce<['a', 'b'], [0, 1]>>,
  ]
>
export type EinsumDependsNeitherOnLettersNorOnTheOrderOfOperands = Theorem<
  [
    Same<Einsum<'ij,jk->ik', [['a', 'b'], ['b', 'c']]>, Einsum<'xy,yz->xz', [['a', 'b'], ['b', 'c']]>>,
    Same<Einsum<'ij,jk->ik', [['a', 'b'], ['b', 'c']]>, Einsum<'jk,ij->ik', [['b', 'c'], ['a', 'b']]>>,
  ]
>

// reduce
export type ReducesInSteps<S extends Shape> = [Shaped<Reduce<S, 1>>] extends [infer R extends Shape]
  ? Same<Reduce<R, 0>, Reduce<S, [0, 1]>>
  : never
export type ReductionsCompose = Theorem<
  [ReducesInSteps<['batch', 'seq', 'hidden']>, ReducesInSteps<[2, 3]>, ReducesInSteps<['a', 'b*c', 1, 'd']>]
>
export type Reduced<S extends Shape, A extends number> = [Shaped<Reduce<S, A, true>>, Shaped<Reduce<S, A>>] extends [
  infer Kept extends Shape,
  infer Dropped extends Shape,
]
  ? Same<Reshape<Kept, Dropped>, Reduce<S, A>>
  : never
export type KeptDimsReshapeAway = Theorem<
  [Reduced<['batch', 'seq', 'hidden'], -1>, Reduced<['a', 'b'], 0>, Reduced<[2, 3, 4], 1>]
>
export type Stretched<S extends Shape, A extends number> = [Shaped<Reduce<S, A, true>>] extends [
  infer Kept extends Shape,
]
  ? Same<Broadcast<S, Kept>, Readonly<S>>
  : never
export type KeptDimsBroadcastBack = Theorem<
  [Stretched<['batch', 'seq', 'hidden'], -1>, Stretched<['a', 'b'], 0>, Stretched<[2, 3, 4], 1>]
>
