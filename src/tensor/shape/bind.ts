import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { type Dim, type Shape, show } from './dim.ts'
import { factors } from './product.ts'
import { showSum } from './sum.ts'

/** The sizes of names. */
export type Environment = Readonly<Record<string, number>>

/** The source of sizes: a shape, the actual sizes, and the words that name the place. */
export interface Source {
  readonly where: string
  readonly shape: Shape
  readonly sizes: readonly number[]
}

const isSize = (size: number | undefined): size is number => Number.isSafeInteger(size) && Number(size) > 0
const sizeIn = (environment: Environment, name: string): number | undefined =>
  Object.hasOwn(environment, name) ? environment[name] : undefined

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1)

/**
 * The size of a dim: a number is itself, a name is looked up, a product multiplies.
 * @returns Left if a name has no size, or one that is not a positive whole number
 * @example bind({ heads: 9, headDim: 64 })('heads*headDim') is Right(576)
 */
export const bind =
  (environment: Environment) =>
  (dim: Dim): E.Either<string, number> => {
    const size = (of: Dim, n: number | undefined): E.Either<string, number> =>
      n === undefined
        ? E.left(`dim ${of} has no size: give it one`)
        : isSize(n)
          ? E.right(n)
          : E.left(`dim ${of} is ${n}: a size is a positive whole number`)
    return pipe(
      E.traverseArray((factor: Dim) => size(factor, typeof factor === 'number' ? factor : sizeIn(environment, factor)))(
        factors(dim),
      ),
      E.flatMap(sizes => size(dim, product(sizes))),
    )
  }

/** The sizes of a shape. @example sizesOf({ batch: 2 }, ['batch', 8]) is Right([2, 8]) */
export const sizesOf = (environment: Environment, shape: Shape): E.Either<string, readonly number[]> =>
  E.traverseArray(bind(environment))(shape)

/** An equation between `dim` and `size`; `where` names its source. */
interface Equation {
  readonly dim: Dim
  readonly size: number
  readonly where: string
}
/** Known sizes, and the source of each. */
interface Known {
  readonly environment: Environment
  readonly origins: Readonly<Record<string, string>>
}

const unbound = ({ environment }: Known, dim: Dim): readonly string[] =>
  factors(dim)
    .filter(factor => typeof factor === 'string' && sizeIn(environment, factor) === undefined)
    .map(String)

const originOf = ({ origins }: Known, dim: Dim): string =>
  factors(dim)
    .map(factor => (Object.hasOwn(origins, factor) ? origins[factor] : undefined))
    .find(origin => origin !== undefined) ?? 'the shape'

/** Applies an equation with at most one unknown factor. */
const settle = (known: Known, { dim, size, where }: Equation): E.Either<string, Known> => {
  const [name] = unbound(known, dim)
  return pipe(
    factors(dim).filter(factor => factor !== name),
    E.traverseArray(bind(known.environment)),
    E.map(product),
    E.flatMap(rest =>
      name === undefined
        ? rest === size
          ? E.right(known)
          : E.left(`${dim} is ${rest} in ${originOf(known, dim)} but ${size} in ${where}`)
        : size % rest !== 0
          ? E.left(`${dim} is ${size} in ${where}, which ${rest} does not divide`)
          : E.right({
              environment: { ...known.environment, [name]: size / rest },
              origins: { ...known.origins, [name]: where },
            }),
    ),
  )
}

/** Applies equations in order; one with several unknown factors waits until the others leave it only one. */
const solve = (known: Known, equations: readonly Equation[]): E.Either<string, Known> => {
  const start: { readonly known: Known; readonly waiting: readonly Equation[] } = { known, waiting: [] }
  return pipe(
    equations.reduce<E.Either<string, typeof start>>(
      (state, equation) =>
        E.flatMap(state, now =>
          unbound(now.known, equation.dim).length > 1
            ? E.right({ ...now, waiting: [...now.waiting, equation] })
            : E.map(settle(now.known, equation), more => ({ ...now, known: more })),
        ),
      E.right(start),
    ),
    E.flatMap(({ known: more, waiting }) =>
      waiting.length === 0 || waiting.length === equations.length ? E.right(more) : solve(more, waiting),
    ),
  )
}

const equationsOf = ({ where, shape, sizes }: Source): E.Either<string, readonly Equation[]> => {
  const wrong = sizes.find(size => !isSize(size))
  return shape.length !== sizes.length
    ? E.left(`${where} has the sizes [${sizes.join(', ')}] but the shape ${show(shape)}`)
    : wrong !== undefined
      ? E.left(`${where} has the size ${wrong}: a size is a positive whole number`)
      : E.right(shape.map((dim, axis) => ({ dim, size: sizes[axis] ?? 1, where })))
}

/**
 * Binds the names of a shape to actual sizes: a name takes its size, a product determines one unknown factor.
 * @param where the words for the sources of `environment` and of `sizes`
 * @returns Left if they disagree: `hidden is 64 in the config but 96 in model.embed`
 * @example unify({ heads: 9 }, ['heads*headDim'], [576], { known: 'the config', given: 'q_proj' }) is Right({ heads: 9, headDim: 64 })
 */
export const unify = (
  environment: Environment,
  shape: Shape,
  sizes: readonly number[],
  where: { readonly known: string; readonly given: string },
): E.Either<string, Environment> =>
  pipe(
    equationsOf({ where: where.given, shape, sizes }),
    E.flatMap(equations =>
      solve(
        { environment, origins: Object.fromEntries(Object.keys(environment).map(name => [name, where.known])) },
        equations,
      ),
    ),
    E.map(known => known.environment),
  )

/**
 * Binds names from several sources; the first one that determines a name is its origin. An equation with two unknown
 * factors waits for later sources.
 * @example unifyAll([{ where: 'the config', shape: ['hidden'], sizes: [64] }, { where: 'embed', shape: ['vocab', 'hidden'], sizes: [99, 64] }])
 */
export const unifyAll = (sources: readonly Source[]): E.Either<string, Environment> =>
  pipe(
    E.traverseArray(equationsOf)(sources),
    E.flatMap(equations => solve({ environment: {}, origins: {} }, equations.flat())),
    E.map(known => known.environment),
  )

/**
 * Binds the name that `concat` gave to a sum, or checks it.
 * @example unifySum({ past: 3, seq: 4 }, ['past', 'seq'], 'tokens') is Right({ past: 3, seq: 4, tokens: 7 })
 */
export const unifySum = (environment: Environment, parts: Shape, as: Dim): E.Either<string, Environment> =>
  pipe(
    sizesOf(environment, parts),
    E.map(sizes => sizes.reduce((total, size) => total + size, 0)),
    E.flatMap(total =>
      unify(environment, [as], [total], { known: 'the given dims', given: `the sum ${showSum(parts)}` }),
    ),
  )
