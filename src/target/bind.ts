import * as E from 'fp-ts/lib/Either.js'
import type { Programs, Size } from '../compile/index.ts'
import { bind, unifyAll, type Dim, type Environment, type Shape, type Source } from '../tensor/index.ts'
import { SessionError, type Buffer } from './device.ts'
import type { Dims } from './session.ts'

const orThrow = <A>(result: E.Either<string, A>): A => {
  if (E.isLeft(result)) throw new SessionError(result.left)
  return result.right
}

/** The sizes that a declaration names, as a source for binding. */
export const given = (where: string, dims: Dims): readonly Source[] => Object.entries(dims).map(([name, size]) => ({ where, shape: [name], sizes: [size] }))

/** Binds dims from the model, then from the sizes of parameters, then from what the caller says; a disagreement is one sentence. */
export const bindDims = (sources: readonly Source[]): Environment => orThrow(unifyAll(sources))

/** The function from dims to sizes; a capacity that is not given is as large as it can be needed. */
export const sizing = (environment: Environment, capacities: Readonly<Record<string, Shape>> = {}): Size => {
  const plain = bind(environment)
  const missing = Object.entries(capacities).flatMap(([name, dims]) =>
    Object.hasOwn(environment, name) ? [] : [[name, dims.reduce<number>((n, dim) => n * E.getOrElse(() => Number.NaN)(plain(dim)), 1)] as const])
  const full = bind({ ...environment, ...Object.fromEntries(missing.filter(([, size]) => Number.isFinite(size))) })
  return (dim: Dim): number => orThrow(full(dim))
}

/** Checks a batch against its declaration and reads the sizes of its dims. */
export const batchSources = (batch: Programs['batch'], values: ReadonlyMap<string, Buffer>): readonly Source[] => batch.map(([path, leaf]) => {
  const value = values.get(path)
  if (value === undefined) throw new SessionError(`the batch has no ${path}`)
  if (value.dtype !== leaf.dtype) throw new SessionError(`${path} of the batch is ${value.dtype}, not ${leaf.dtype}`)
  return { where: `${path} of the batch`, shape: leaf.shape, sizes: value.sizes }
})
