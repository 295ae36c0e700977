import * as E from '../../either/index.ts'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checked, type CheckShapes, type IsLiteral } from './check.ts'

const notLiteral = () => 'einsum: the equation is not one literal string' as const
const noArrow = <Q extends string>(equation: Q) => `einsum: ${equation} has no ->` as const
const wrongCount = <I extends string, N extends number>(inputs: I, given: N) =>
  `einsum: ${inputs} does not name ${given} operands` as const
const wrongRank = <T extends string, S extends string>(term: T, shape: S) =>
  `einsum: ${term} does not name the dims of ${shape}` as const
const notLetter = <C extends string, T extends string>(c: C, term: T) =>
  `einsum: '${c}' in ${term} is not a letter` as const
const differ = <C extends string, D extends Dim, F extends Dim>(letter: C, d: D, e: F) =>
  `einsum: ${letter} is both ${d} and ${e}` as const
const unknownLetter = <C extends string, T extends string>(letter: C, term: T) =>
  `einsum: ${letter} of the output ${term} is in no operand` as const
const repeated = <C extends string, T extends string>(letter: C, term: T) =>
  `einsum: ${letter} is repeated in the output ${term}` as const

/**
 * Einstein summation over any number of operands: a letter stands for one dim, and letters that the output lacks are
 * summed.
 * @example Einsum<'bsi,io->bso', [['batch', 'seq', 'hidden'], ['hidden', 'ffn']]> is ['batch', 'seq', 'ffn']
 */
export type Einsum<Equation extends string, Shapes extends readonly Shape[]> =
  CheckShapes<Shapes> extends true
    ? IsLiteral<Equation> extends true
      ? Equation extends `${infer Inputs}->${infer Output}`
        ? Terms<Inputs>['length'] extends Shapes['length']
          ? Operands<Terms<Inputs>, Shapes, Output>
          : ShapeError<ReturnType<typeof wrongCount<Inputs, Shapes['length']>>>
        : ShapeError<ReturnType<typeof noArrow<Equation>>>
      : ShapeError<ReturnType<typeof notLiteral>>
    : CheckShapes<Shapes>

type Terms<
  Inputs extends string,
  Out extends readonly string[] = readonly [],
> = Inputs extends `${infer Term},${infer Rest}` ? Terms<Rest, readonly [...Out, Term]> : readonly [...Out, Inputs]

/** Binds the letters of one term after another, then reads the output. */
type Operands<
  Left extends readonly string[],
  Shapes extends readonly Shape[],
  Output extends string,
  Letters = object,
> = Left extends readonly [infer Term extends string, ...infer More extends readonly string[]]
  ? Shapes extends readonly [infer S extends Shape, ...infer Rest extends readonly Shape[]]
    ? BindTerm<Term, S, Term, S, Letters> extends infer Bound
      ? Bound extends ShapeError<string>
        ? Bound
        : Operands<More, Rest, Output, Bound>
      : never
    : never
  : ReadOutput<Output, Letters, Output>

/** Binds the letters of one term to the dims of its operand, from the first on. */
type BindTerm<
  Left extends string,
  S extends Shape,
  Term extends string,
  Whole extends Shape,
  Letters,
> = Left extends `${infer C}${infer More}`
  ? S extends readonly [infer D extends Dim, ...infer Rest extends Shape]
    ? Uppercase<C> extends Lowercase<C>
      ? ShapeError<ReturnType<typeof notLetter<C, Term>>>
      : C extends keyof Letters
        ? Same<D, Letters[C]> extends true
          ? BindTerm<More, Rest, Term, Whole, Letters>
          : ShapeError<ReturnType<typeof differ<C, Letters[C] & Dim, D>>>
        : BindTerm<More, Rest, Term, Whole, Letters & { [K in C]: D }>
    : ShapeError<ReturnType<typeof wrongRank<Term, Show<Whole>>>>
  : S extends readonly []
    ? Letters
    : ShapeError<ReturnType<typeof wrongRank<Term, Show<Whole>>>>

type ReadOutput<
  Left extends string,
  Letters,
  Output extends string,
  Seen = never,
  Out extends Shape = readonly [],
> = Left extends `${infer C}${infer More}`
  ? C extends Seen
    ? ShapeError<ReturnType<typeof repeated<C, Output>>>
    : C extends keyof Letters
      ? { readonly d: Letters[C] } extends { readonly d: infer D extends Dim }
        ? ReadOutput<More, Letters, Output, Seen | C, readonly [...Out, D]>
        : never
      : ShapeError<ReturnType<typeof unknownLetter<C, Output>>>
  : Out

type Letters = ReadonlyMap<string, Dim>

const bindTerm = (letters: Letters, term: string, shape: Shape): E.Either<string, Letters> => {
  const bound = [...term].reduce<E.Either<string, Letters>>(
    (left, letter, axis) =>
      E.flatMap(left, known => {
        const dim = shape[axis]
        const before = known.get(letter)
        return dim === undefined
          ? E.left(wrongRank(term, show(shape)))
          : letter.toUpperCase() === letter.toLowerCase()
            ? E.left(notLetter(letter, term))
            : before !== undefined && before !== dim
              ? E.left(differ(letter, before, dim))
              : E.right(new Map(known).set(letter, dim))
      }),
    E.right(letters),
  )
  return E.flatMap(bound, known => (shape.length > term.length ? E.left(wrongRank(term, show(shape))) : E.right(known)))
}

const readOutput = (letters: Letters, output: string): E.Either<string, Shape> =>
  [...output].reduce<E.Either<string, Shape>>(
    (read, letter, i) =>
      E.flatMap(read, dims => {
        const dim = letters.get(letter)
        return output.indexOf(letter) < i
          ? E.left(repeated(letter, output))
          : dim === undefined
            ? E.left(unknownLetter(letter, output))
            : E.right([...dims, dim])
      }),
    E.right([]),
  )

/** The twin of the type. */
export const einsum = (equation: string, shapes: readonly Shape[]): E.Either<string, Shape> =>
  checked(shapes, () => {
    const arrow = equation.indexOf('->')
    if (arrow < 0) return E.left(noArrow(equation))
    const inputs = equation.slice(0, arrow)
    const terms = inputs.split(',')
    if (terms.length !== shapes.length) return E.left(wrongCount(inputs, shapes.length))
    const bound = shapes.reduce<E.Either<string, Letters>>(
      (letters, shape, i) => E.flatMap(letters, known => bindTerm(known, terms[i] ?? '', shape)),
      E.right(new Map()),
    )
    return E.flatMap(bound, letters => readOutput(letters, equation.slice(arrow + 2)))
  })
/** `unknown`, or the error for the argument's type. */
export type EinsumError<Equation extends string, Shapes extends readonly Shape[]> = Fault<
  Einsum<Equation, Shapes>,
  Shapes
>
