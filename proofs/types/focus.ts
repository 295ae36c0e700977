import type { DType, Kernel, Shape, Tensor, Value } from '../../src/tensor/index.ts'
import type { Take } from '../../src/tensor/shape/index.ts'
import type {
  AdamState,
  AdamW,
  All,
  Apply,
  Chain,
  Columns,
  Count,
  Dynamic,
  Entries,
  Fn,
  Focus,
  Frozen,
  Schedule,
  ScaleByAdam,
  Sgd,
  Stateless,
  Trace,
  Values,
} from '../../src/tune/index.ts'
import type { Same, Shaped, Theorem } from './theorem.ts'

// Laws of the part that a mask trains, and of the states that transforms keep for it, over tables. Laws for every tree
// and mask are in generic.ts.

type Matrix<I extends Shape[number], O extends Shape[number]> = Tensor<readonly [I, O]>
/** A focus without its brand, so that it can be compared with a tree. */
export type Unbranded<F> = { readonly [K in keyof F & string]: F[K] }
/** One leaf under one mask. */
export type FocusOf<S extends Shape, M, D extends DType = 'f32'> =
  Focus<{ readonly leaf: Tensor<S, D> }, { readonly leaf: M }> extends { readonly leaf: infer L } ? L : never

export interface Block {
  readonly q: Matrix<'hidden', 'heads*headDim'>
  readonly up: Matrix<'hidden', 'ffn'>
  readonly norm: Tensor<readonly ['hidden']>
}
export interface Model {
  readonly embed: Matrix<'vocab', 'hidden'>
  readonly layers: readonly Block[]
  readonly head: { readonly w: Matrix<'hidden', 'vocab'> }
}
/** The mask that gives every leaf the same kind; it only depends on the shape of a tree. */
export type Everywhere<T, M> =
  T extends Tensor<infer _S, infer _D> ? M : { readonly [K in keyof T]: Everywhere<T[K], M> }
export interface Mask {
  readonly embed: Frozen
  readonly layers: readonly { readonly q: Columns<8>; readonly up: Entries<'few'>; readonly norm: All }[]
  readonly head: { readonly w: Frozen }
}
export type Part = Focus<Model, Mask>

// structure
type KeepsTheTree<P> = Same<Unbranded<Focus<P, Everywhere<P, All>>>, P>
export type TheFocusOfAllIsTheWholeTree = Theorem<
  [
    KeepsTheTree<{ readonly w: Matrix<'in', 'out'> }>,
    KeepsTheTree<{
      readonly ids: Tensor<readonly ['seq'], 'i32'>
      readonly layers: readonly Tensor<readonly ['hidden']>[]
    }>,
    Same<Focus<Model, Everywhere<Model, All>>['embed'], Model['embed']>,
    Same<Focus<Model, Everywhere<Model, All>>['layers'][number]['up'], Block['up']>,
  ]
>
type HasNoLeaf<P> = Same<Unbranded<Focus<P, Everywhere<P, Frozen>>>, {}>
export type TheFocusOfAFrozenRecordIsEmpty = Theorem<[HasNoLeaf<{ readonly w: Matrix<'in', 'out'> }>, HasNoLeaf<Block>]>
export type FrozenLeavesAreNoKeys = Theorem<
  [
    Same<keyof Part & string, 'layers' | 'head'>,
    Same<keyof Part['layers'][number] & string, 'q' | 'up' | 'norm'>,
    Same<Part['head'], {}>,
    Same<keyof Focus<Block, { readonly q: Frozen; readonly up: Columns<8>; readonly norm: Frozen }> & string, 'up'>,
  ]
>
export type ArraysStayArraysAndRecordsStayRecords = Theorem<
  [
    Same<
      Part['layers'],
      readonly {
        readonly q: Matrix<8, 'heads*headDim'>
        readonly up: Tensor<readonly ['few']>
        readonly norm: Tensor<readonly ['hidden']>
      }[]
    >,
    Same<
      Focus<{ readonly l: readonly Matrix<'in', 'out'>[] }, { readonly l: readonly Columns<2>[] }>['l'],
      readonly Matrix<2, 'out'>[]
    >,
    Same<
      Focus<
        { readonly l: readonly (readonly Matrix<'in', 'out'>[])[] },
        { readonly l: readonly (readonly Columns<2>[])[] }
      >['l'],
      readonly (readonly Matrix<2, 'out'>[])[]
    >,
    Same<Values<Part>['layers'][number]['q'], Value<readonly [8, 'heads*headDim'], 'f32'>>,
    Same<Values<Part>['layers'] extends readonly unknown[] ? 'an array' : 'a record', 'an array'>,
  ]
>
/** Layers whose masks differ in kind are a union, each with its own focus. */
export type LayersOfDifferentMasksAreAUnion = Theorem<
  [
    Same<
      Focus<{ readonly l: readonly Matrix<'in', 'out'>[] }, { readonly l: readonly (Columns<2> | All)[] }>['l'],
      readonly (Matrix<2, 'out'> | Matrix<'in', 'out'>)[]
    >,
  ]
>
export type ADynamicFocusHasNoKeys = Theorem<[Same<Unbranded<Focus<Model, Dynamic>>, {}>]>

// leaves
type ColumnsAreTaken<S extends Shape, R extends Shape[number], D extends DType = 'f32'> = Same<
  FocusOf<S, Columns<R>, D>,
  Tensor<Shaped<Take<S, [R], 0>>, D>
>
/** Columns r of [in, out] are [r, out]: the result of `take` along the first axis. The dtype stays. */
export type ColumnsAreTakenAlongTheFirstAxis = Theorem<
  [
    Same<FocusOf<readonly ['in', 'out'], Columns<8>>, Matrix<8, 'out'>>,
    Same<FocusOf<readonly ['in', 'out'], Columns<'rank'>>, Matrix<'rank', 'out'>>,
    ColumnsAreTaken<readonly ['in', 'out'], 8>,
    ColumnsAreTaken<readonly ['heads*headDim', 'hidden'], 'rank'>,
    ColumnsAreTaken<readonly ['in'], 3>,
    ColumnsAreTaken<readonly ['channels', 3, 3, 'out'], 4>,
    ColumnsAreTaken<readonly [576, 1536], 64, 'bf16'>,
  ]
>
type Inputs<S extends Shape, A extends number> = Focus<{ readonly w: Kernel<S, A> }, { readonly w: Columns<8> }>['w']
/** The columns of a weight that declares another axis of its inputs are taken along that one. */
export type ColumnsAreTakenAlongTheDeclaredAxis = Theorem<
  [
    Same<Inputs<readonly [3, 3, 'in', 'out'], 2>, Tensor<readonly [3, 3, 8, 'out']>>,
    Same<Inputs<readonly [3, 3, 'in', 'out'], 2>, Tensor<Shaped<Take<readonly [3, 3, 'in', 'out'], [8], 2>>>>,
    Same<Inputs<readonly [3, 3, 'channels'], 2>, Tensor<readonly [3, 3, 8]>>,
    Same<Inputs<readonly ['places', 'in', 'out'], 1>, Tensor<readonly ['places', 8, 'out']>>,
    Same<Inputs<readonly ['in', 'out'], 0>, Tensor<readonly [8, 'out']>>,
  ]
>
type IsAVector<S extends Shape, R extends Shape[number], D extends DType = 'f32'> = Same<
  FocusOf<S, Entries<R>, D>,
  Tensor<readonly [R], D>
>
export type EntriesAreAVector = Theorem<
  [
    IsAVector<readonly ['in', 'out'], 100>,
    IsAVector<readonly [], 1>,
    IsAVector<readonly ['a', 'b', 'c'], 'few', 'bf16'>,
  ]
>
/** A scalar has no columns. */
export type AScalarHasNoColumns = Theorem<
  [Same<[FocusOf<readonly [], Columns<1>>] extends [never] ? 'none' : 'some', 'none'>]
>

// the brand
export type IsA<From, To> = [From] extends [To] ? 'is' : 'is not'
export type W = { readonly w: Matrix<'in', 'out'> }
type V = { readonly v: Tensor<readonly ['in']> }
export type Trained<M> = Focus<W, { readonly w: M }>
export type OnlyAFocusOfTheSameMaskIsAFocus = Theorem<
  [
    Same<IsA<Trained<Columns<8>>, Trained<Columns<8>>>, 'is'>,
    // a full gradient, even where everything is trained
    Same<IsA<W, Trained<Columns<8>>>, 'is not'>,
    Same<IsA<W, Trained<All>>, 'is not'>,
    // other columns, another kind
    Same<IsA<Trained<Columns<16>>, Trained<Columns<8>>>, 'is not'>,
    Same<IsA<Trained<Columns<'rank'>>, Trained<Columns<8>>>, 'is not'>,
    Same<IsA<Trained<All>, Trained<Columns<8>>>, 'is not'>,
    Same<IsA<Trained<Frozen>, Trained<All>>, 'is not'>,
    // another mask whose parts have the same shapes
    Same<IsA<Focus<V, { readonly v: Columns<3> }>, Focus<V, { readonly v: Entries<3> }>>, 'is not'>,
    // a tree that looks like it; the reverse is a tree
    Same<IsA<{ readonly w: Matrix<8, 'out'> }, Trained<Columns<8>>>, 'is not'>,
    Same<IsA<Trained<Columns<8>>, { readonly w: Matrix<8, 'out'> }>, 'is'>,
  ]
>

// states
export type Moments<F> = Apply<ScaleByAdam, F>
export type AdamHasAMomentForEachLeafOfTheFocusAlone = Theorem<
  [
    Same<Moments<Part>, AdamState<Part>>,
    Same<Moments<Part>['mu'], Part>,
    Same<Moments<Part>['count'], Count>,
    Same<Moments<Part>['nu']['layers'][number]['q'], Matrix<8, 'heads*headDim'>>,
    Same<keyof Moments<Part>['mu'] & string, 'layers' | 'head'>,
  ]
>
export type StateIs<T extends Fn, S> = Same<Apply<T, Part>, S>
export type TheStateOfAChainIsTheTupleOfItsParts = Theorem<
  [
    StateIs<Chain<readonly [Stateless, ScaleByAdam]>, readonly [{}, AdamState<Part>]>,
    StateIs<Chain<readonly []>, readonly []>,
    StateIs<
      Chain<readonly [Trace, Chain<readonly [Stateless, Trace]>]>,
      readonly [{ readonly trace: Part }, readonly [{}, { readonly trace: Part }]]
    >,
    StateIs<AdamW<number>, readonly [AdamState<Part>, {}, {}]>,
    StateIs<AdamW<Schedule>, readonly [AdamState<Part>, {}, { readonly count: Count }]>,
    StateIs<Sgd<Trace, number>, readonly [{ readonly trace: Part }, {}]>,
  ]
>
