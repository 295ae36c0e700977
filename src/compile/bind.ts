import * as E from '../either/index.ts'
import {
  bind,
  misfitIn,
  unifyAll,
  type Dim,
  type Environment,
  type Node,
  type Shape,
  type Source,
} from '../tensor/index.ts'

/** An error of dims that disagree, or that have no size: one clear sentence. */
export class DimsError extends Error {
  override readonly name = 'DimsError'
}

const orThrow = <A>(result: E.Either<string, A>): A => {
  if (E.isLeft(result)) throw new DimsError(result.left)
  return result.right
}

/** The sizes of names, with their source. @example given('the model', { hidden: 576 }) */
export const given = (where: string, dims: Readonly<Record<string, number>>): readonly Source[] =>
  Object.entries(dims).map(([name, size]) => ({ where, shape: [name], sizes: [size] }))

/** Binds dims from the model, then from the sizes of parameters, then from the caller's specification. */
export const bindDims = (sources: readonly Source[]): Environment => orThrow(unifyAll(sources))

/** The function from dims to sizes; an unspecified capacity is as large as can be needed. */
export const sizing = (
  environment: Environment,
  capacities: Readonly<Record<string, Shape>> = {},
): ((dim: Dim) => number) => {
  const plain = bind(environment)
  const unbound = Object.entries(capacities).filter(([name]) => !Object.hasOwn(environment, name))
  const largest = unbound.flatMap(([name, dims]) => {
    const sizes = dims.map(plain).map(E.getOrElse(() => Number.NaN))
    const size = sizes.reduce((n, s) => n * s, 1)
    return Number.isFinite(size) ? [[name, size] as const] : []
  })
  const full = bind({ ...environment, ...Object.fromEntries(largest) })
  const known = new Map<Dim, number>()
  return dim => {
    const size = known.get(dim) ?? orThrow(full(dim))
    known.set(dim, size)
    return size
  }
}

/**
 * Refuses expressions that do not fit the sizes of their dims, in words that name the op and the dims. Only the run can
 * know these sizes.
 * @throws {DimsError} such as `slice: 5 is beyond hidden, which is 2`, and if a dim has no size
 */
export const checkFits = (roots: readonly Node[], size: (dim: Dim) => number): void => {
  const text = misfitIn(roots, size)
  if (text !== undefined) throw new DimsError(text)
}
