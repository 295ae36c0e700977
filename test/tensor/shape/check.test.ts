import {
  checkDim,
  checkShape,
  factors,
  type Broadcast,
  type CheckShape,
  type Concat,
  type Dim,
  type DimError,
  type Einsum,
  type Factors,
  type Fault,
  type MatMul,
  type Ok,
  type Reduce,
  type Reshape,
  type Shape,
  type ShapeError,
  type Slice,
  type Transpose,
} from '../../../src/tensor/shape/index.ts'
import type { Case, Equal, Expect, Wanted } from '../../support/expect-type.ts'
import { agrees } from '../../support/twins.ts'
import * as E from 'fp-ts/lib/Either.js'

const dims = [
  { of: ['hidden'], is: 'hidden' },
  { of: ['heads*headDim'], is: 'heads*headDim' },
  { of: ['2*half'], is: '2*half' },
  { of: ['layer.0/q-proj_2'], is: 'layer.0/q-proj_2' },
  { of: ['constructor*__proto__'], is: 'constructor*__proto__' },
  { of: [8], is: 8 },
  { of: [1], is: 1 },
  { of: [0], error: 'dim 0 is 0: a dim is a positive whole number, a name or a product of them' },
  { of: [-1], error: 'dim 0 is -1: a dim is a positive whole number, a name or a product of them' },
  { of: [2.5], error: 'dim 0 is 2.5: a dim is a positive whole number, a name or a product of them' },
  { of: [''], error: 'dim 0 is : a dim is a positive whole number, a name or a product of them' },
  { of: ['a**b'], error: 'dim 0 is a**b: a dim is a positive whole number, a name or a product of them' },
  { of: ['a * b'], error: 'dim 0 is a * b: a dim is a positive whole number, a name or a product of them' },
  { of: ['3d'], error: 'dim 0 is 3d: a dim is a positive whole number, a name or a product of them' },
  { of: ['007*a'], error: 'dim 0 is 007*a: a dim is a positive whole number, a name or a product of them' },
  { of: ['7'], error: "dim 0 is the text '7': write the number" },
  { of: ['2*3*a'], error: 'dim 0 is 2*3*a: its normal form is 6*a' },
  { of: ['1*a'], error: 'dim 0 is 1*a: its normal form is a' },
  { of: ['2*3'], error: 'dim 0 is 2*3: its normal form is 6' },
] as const
type Checked<D extends Dim> = [DimError<D>] extends [never] ? D : DimError<D>
type Dims<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer D extends Dim] ? Checked<D> : never
}
export type _Dims = Expect<Equal<Dims<typeof dims>, Wanted<typeof dims>>>
agrees('a dim', dims, ({ of }) => checkDim(of[0]))

const shapes = [
  { of: [[]], is: [] },
  { of: [['batch', 8]], is: ['batch', 8] },
  { of: [['batch', 0, -1]], error: 'dim 1 is 0: a dim is a positive whole number, a name or a product of them' },
] as const
type Good<S extends Shape> = CheckShape<S> extends true ? S : CheckShape<S>
type Shapes<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer S extends Shape] ? Good<S> : never
}
export type _Shapes = Expect<Equal<Shapes<typeof shapes>, Wanted<typeof shapes>>>
agrees('a shape', shapes, ({ of }) => checkShape(of[0]))

const split = [
  { of: [1], is: [] },
  { of: [6], is: [6] },
  { of: ['heads*headDim'], is: ['heads', 'headDim'] },
  { of: ['2*half'], is: [2, 'half'] },
] as const
type Splits<C extends readonly Case[]> = {
  readonly [K in keyof C]: C[K]['of'] extends readonly [infer D extends Dim] ? Factors<D> : never
}
export type _Splits = Expect<Equal<Splits<typeof split>, Wanted<typeof split>>>
agrees('factors', split, ({ of }) => E.right(factors(of[0])))

// Only types can be vague: a value is always one literal, so these have no twin.
type BareNumber = ShapeError<'dim 0 is a bare number: name it'>
type BareString = ShapeError<'dim 0 is a bare string: name it'>
type Union = ShapeError<'dim 0 is a union: name it'>
export type _Vague = [
  Expect<Equal<DimError<number>, BareNumber>>,
  Expect<Equal<DimError<string>, BareString>>,
  Expect<Equal<DimError<`x${string}`>, BareString>>,
  Expect<Equal<DimError<'a' | 'b'>, Union>>,
  Expect<Equal<DimError<2 | 3>, Union>>,
  Expect<Equal<DimError<'a' | 3>, Union>>,
  Expect<Equal<DimError<never>, ShapeError<'dim 0 is a bare never: name it'>>>,
  Expect<Equal<CheckShape<readonly ['batch', number]>, ShapeError<'dim 1 is a bare number: name it'>>>,
  Expect<Equal<CheckShape<Shape>, ShapeError<'the shape has no fixed rank: write its dims'>>>,
  Expect<Equal<CheckShape<readonly ['a', ...Shape]>, ShapeError<'the shape has no fixed rank: write its dims'>>>,
]

// A vague dim is refused by every rule, on either side: it would match anything.
type Vague = readonly [number, 'out']
export type _Refused = [
  Expect<Equal<Broadcast<Vague, readonly [3, 'out']>, BareNumber>>,
  Expect<Equal<Broadcast<readonly [3, 'out'], Vague>, BareNumber>>,
  Expect<Equal<MatMul<readonly ['a', 3], Vague>, BareNumber>>,
  Expect<Equal<MatMul<readonly ['hidden' | 'ffn'], readonly ['hidden', 'out']>, Union>>,
  Expect<Equal<Reshape<Vague, Vague>, BareNumber>>,
  Expect<Equal<Transpose<Vague, readonly [1, 0]>, BareNumber>>,
  Expect<Equal<Einsum<'io->oi', readonly [Vague]>, BareNumber>>,
  Expect<Equal<Concat<readonly [readonly ['past'], readonly [number]], 0, 'tokens'>, BareNumber>>,
  Expect<
    Equal<
      Concat<readonly [readonly ['past'], readonly ['seq']], 0, string>,
      ShapeError<'dim as is a bare string: name it'>
    >
  >,
  Expect<Equal<Slice<Vague, 1, 'part'>, BareNumber>>,
  Expect<Equal<Slice<readonly ['out'], 0, number>, ShapeError<'dim as is a bare number: name it'>>>,
  Expect<Equal<Reduce<Vague, 0>, BareNumber>>,
  Expect<Equal<Reduce<readonly ['in', 'out'], number>, ShapeError<'reduce: the axis is not one literal number'>>>,
  Expect<Equal<Reduce<readonly ['in', 'out'], 0 | 1>, ShapeError<'reduce: the axis is not one literal number'>>>,
  Expect<Equal<Reduce<readonly ['in', 'out'], number[]>, ShapeError<'reduce: the axis is not one literal number'>>>,
  Expect<
    Equal<
      Transpose<readonly ['in', 'out'], readonly number[]>,
      ShapeError<'transpose: the axis is not one literal number'>
    >
  >,
  Expect<
    Equal<Einsum<string, readonly [readonly ['in']]>, ShapeError<'einsum: the equation is not one literal string'>>
  >,
  Expect<Equal<Fault<Reduce<Vague, 0>>, BareNumber>>,
  Expect<Equal<Ok<Reduce<Vague, 0>>, never>>,
  Expect<Equal<Fault<Reduce<readonly ['in'], 0>>, unknown>>,
  Expect<Equal<Ok<Reduce<readonly ['in'], 0>>, readonly []>>,
]
