import { add, matmul, put, transpose, type Dim, type DType, type Shape, type Tensor } from '../../src/tensor/index.ts'
import {
  focus,
  putFocus,
  type AdamState,
  type All,
  type Apply,
  type Chain,
  type Columns,
  type Count,
  type Dynamic,
  type Entries,
  type Focus,
  type Frozen,
  type Masked,
  type ScaleByAdam,
  type Stateless,
  type Trace,
  type TraceState,
} from '../../src/tune/index.ts'
import type { Both, Is, Same, Theorem } from './theorem.ts'

// Laws that `tsc` proves for every shape, tree, mask and transform at once: it checks a generic function before anyone
// instantiates it. That two type parameters differ is never decided there: laws that rest on it are proved for tables
// in shape.ts and focus.ts.

// Expressions: both sides of a law, of one type. These are functions of the language, so that the test runs them as
// well.
const law = <T>(left: T, right: NoInfer<T>): readonly [left: T, right: T] => [left, right]

/** (A B) C = A (B C) */
export const matmulAssociates = <L extends Shape, I extends Dim, J extends Dim, O extends Dim>(
  a: Tensor<readonly [...L, I]>,
  b: Tensor<readonly [I, J]>,
  c: Tensor<readonly [J, O]>,
) => law(matmul(matmul(a, b), c), matmul(a, matmul(b, c)))
/** (A B) C = A (B C), batched */
export const batchedMatmulAssociates = <L extends Shape, I extends Dim, J extends Dim, K extends Dim, O extends Dim>(
  a: Tensor<readonly [...L, I, J]>,
  b: Tensor<readonly [...L, J, K]>,
  c: Tensor<readonly [...L, K, O]>,
) => law(matmul(matmul(a, b), c), matmul(a, matmul(b, c)))
/** Aᵀᵀ = A */
export const transposeTwiceIsTheIdentity = <I extends Dim, O extends Dim, D extends DType>(
  a: Tensor<readonly [I, O], D>,
) => law(transpose(transpose(a)), a)
/** (A B)ᵀ = Bᵀ Aᵀ */
export const transposeReversesAProduct = <I extends Dim, J extends Dim, O extends Dim>(
  a: Tensor<readonly [I, J]>,
  b: Tensor<readonly [J, O]>,
) => law(transpose(matmul(a, b)), matmul(transpose(b), transpose(a)))
/** a + b = b + a, of one shape */
export const addCommutes = <S extends Shape>(a: Tensor<S>, b: Tensor<S>) => law(add(a, b), add(b, a))
/** (a + b) + c = a + (b + c), of one shape */
export const addAssociates = <S extends Shape>(a: Tensor<S>, b: Tensor<S>, c: Tensor<S>) =>
  law(add(add(a, b), c), add(a, add(b, c)))
/** A (b + c) = A b + A c */
export const matmulDistributes = <L extends Shape, I extends Dim, O extends Dim>(
  a: Tensor<readonly [...L, I]>,
  b: Tensor<readonly [I, O]>,
  c: Tensor<readonly [I, O]>,
) => law(matmul(a, add(b, c)), add(matmul(a, b), matmul(a, c)))
/** put keeps the shape, whatever it writes. */
export const putKeepsTheShape = <I extends Dim, L extends Shape, D extends DType, N extends Dim>(
  x: Tensor<readonly [I, ...L], D>,
  index: Tensor<readonly [N], 'i32'>,
  values: Tensor<readonly [N, ...L], D>,
) => law(put(x, index, values, 0), x)
/** put ∘ get : P, for every tree and every mask */
export const putAfterGetIsATree = <P, M>(params: P, mask: M) => law(params, putFocus(params, mask, focus(params, mask)))
/** get ∘ put : the focus again */
export const getAfterPutIsAFocus = <P, M>(params: P, mask: M, part: Focus<P, M>) =>
  law(part, focus(putFocus(params, mask, part), mask))

// Types: everything known of the left side is known of the right side, so they are the same.

/** The focus of a leaf, or of whatever stands there, under `all` is itself. */
export const allTrainsTheLeaf = <A>(left: Is<Focus<{ readonly w: A }, { readonly w: All }>['w']>): Is<A> => left
/** A focus is a tree if everything is trained; the reverse does not hold: see fixtures/generic-mutants.ts.txt. */
export const theFocusOfAllIsTheTree = <A, B>(
  left: Focus<{ readonly w: A; readonly v: readonly B[] }, { readonly w: All; readonly v: readonly All[] }>,
): { readonly w: A; readonly v: readonly B[] } => left
/** Frozen leaves are no keys. */
export const frozenLeavesAreAbsent = <A, B>(
  left: Is<keyof Focus<{ readonly w: A; readonly v: B }, { readonly w: All; readonly v: Frozen }> & string>,
): Is<'w'> => left
export const nestedFrozenLeavesAreAbsent = <A, B>(
  left: Is<
    Focus<
      { readonly in: { readonly w: A; readonly v: B } },
      { readonly in: { readonly w: All; readonly v: Frozen } }
    >['in']
  >,
): Is<{ readonly w: A }> => left
/** r columns of [in, out] are [r, out], whatever out is. */
export const columnsOfAMatrixAreRowsOfStorage = <O extends Dim, D extends DType>(
  left: Is<Focus<{ readonly w: Tensor<readonly ['in', O], D> }, { readonly w: Columns<8> }>['w']>,
): Is<Tensor<readonly [8, O], D>> => left
/** n entries are a vector of n, whatever the leaf is. */
export const entriesAreAVector = <S extends Shape, D extends DType>(
  left: Is<Focus<{ readonly w: Tensor<S, D> }, { readonly w: Entries<100> }>['w']>,
): Is<Tensor<readonly [100], D>> => left
/** Arrays stay arrays, at every level. */
export const arraysStayArrays = <A>(
  left: Is<Focus<{ readonly l: readonly (readonly A[])[] }, { readonly l: readonly (readonly All[])[] }>['l']>,
): Is<readonly (readonly A[])[]> => left
/** Targets that only the run knows leave an opaque focus. */
export const aDynamicFocusIsOpaque = <P>(left: Is<keyof Focus<P, Dynamic> & string>): Is<never> => left
/**
 * The state of a chain is the tuple of its parts' states, for every focus. (For every part as well `tsc` would accept
 * it, and its mutant too.)
 */
export const theStateOfAChainIsATuple = <G>(
  left: Is<Apply<Chain<readonly [Stateless, Trace, ScaleByAdam]>, G>>,
): Is<readonly [{}, { readonly trace: G }, AdamState<G>]> => left
/** Adam's moments are a focus each. */
export const adamHasTwoMomentsOfTheFocus = <P, M>(
  left: Is<Apply<ScaleByAdam, Focus<P, M>>>,
): Is<{ readonly mu: Focus<P, M>; readonly nu: Focus<P, M>; readonly count: Count }> => left
/** A transform of selected leaves has the state of these alone. */
export const aMaskedTransformHasTheStateOfItsSelection = <A, B>(
  left: Is<
    Apply<
      Masked<Trace, { readonly by: 'tree'; readonly tree: { readonly w: true; readonly v: false } }>,
      { readonly w: A; readonly v: B }
    >
  >,
): Is<{ readonly trace: { readonly w: A } }> => left

// An instance of each, since `any` and `never` are of every type.
type Sides<L extends readonly [unknown, unknown], T> = Both<Same<L[0], T>, Same<L[1], T>>
type Matrix<I extends Dim, O extends Dim> = Tensor<readonly [I, O]>
type Params = { readonly w: Matrix<'in', 'out'>; readonly v: Tensor<readonly ['out']> }
type Mask = { readonly w: Columns<8>; readonly v: Frozen }
type Given<F> = F extends (left: Is<infer T>) => unknown ? T : never
export type Instances = Theorem<
  [
    Sides<ReturnType<typeof matmulAssociates<['batch'], 'a', 'b', 'c'>>, Matrix<'batch', 'c'>>,
    Sides<
      ReturnType<typeof batchedMatmulAssociates<['batch'], 'a', 'b', 'c', 'd'>>,
      Tensor<readonly ['batch', 'a', 'd']>
    >,
    Sides<ReturnType<typeof transposeTwiceIsTheIdentity<'a', 'b', 'f32'>>, Matrix<'a', 'b'>>,
    Sides<ReturnType<typeof transposeReversesAProduct<'a', 'b', 'c'>>, Matrix<'c', 'a'>>,
    Sides<ReturnType<typeof addCommutes<['a', 2]>>, Tensor<['a', 2]>>,
    Sides<ReturnType<typeof addAssociates<['a', 2]>>, Tensor<['a', 2]>>,
    Sides<ReturnType<typeof matmulDistributes<['batch'], 'a', 'b'>>, Matrix<'batch', 'b'>>,
    Sides<ReturnType<typeof putKeepsTheShape<'a', [2], 'f32', 8>>, Tensor<readonly ['a', 2]>>,
    Sides<ReturnType<typeof putAfterGetIsATree<Params, Mask>>, Params>,
    Sides<ReturnType<typeof getAfterPutIsAFocus<Params, Mask>>, Focus<Params, Mask>>,
    Same<Given<typeof allTrainsTheLeaf<Params['w']>>, Params['w']>,
    Same<Parameters<typeof theFocusOfAllIsTheTree<Params['w'], Params['v']>>[0]['v'], readonly Params['v'][]>,
    Same<Given<typeof frozenLeavesAreAbsent<Params['w'], Params['v']>>, 'w'>,
    Same<Given<typeof nestedFrozenLeavesAreAbsent<Params['w'], Params['v']>>, { readonly w: Params['w'] }>,
    Same<Given<typeof columnsOfAMatrixAreRowsOfStorage<'out', 'f32'>>, Matrix<8, 'out'>>,
    Same<Given<typeof entriesAreAVector<readonly ['a', 'b'], 'f32'>>, Tensor<readonly [100]>>,
    Same<Given<typeof arraysStayArrays<Params['v']>>, readonly (readonly Params['v'][])[]>,
    Same<Given<typeof theStateOfAChainIsATuple<Params>>, readonly [{}, TraceState<Params>, AdamState<Params>]>,
    Same<Given<typeof adamHasTwoMomentsOfTheFocus<Params, Mask>>['nu']['w'], Matrix<8, 'out'>>,
    Same<
      Given<typeof aMaskedTransformHasTheStateOfItsSelection<Params['w'], Params['v']>>['trace'],
      { readonly w: Params['w'] }
    >,
  ]
>
