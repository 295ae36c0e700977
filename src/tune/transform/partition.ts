import { u, type Node } from '../../tensor/index.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import type { Sparse } from './masked.ts'
import { matched } from './patterns.ts'
import { setting, type Setting } from './setting.ts'
import { checksOf, type Apply, type Fn, type Stateless, type Transform } from './transform.ts'

/** The state of a partition: that of each of its transforms by name, for the leaves that are its own. */
export interface Partition<F extends Readonly<Record<string, Fn>>> extends Fn {
  readonly out: { readonly [K in keyof F]: Apply<F[K], Sparse<this['in']>> }
}

/** The name of the transform of each leaf, by path. */
type Names = (params: unknown) => ReadonlyMap<string, string>

/** Applies to each leaf the transform that has its name. */
export const partition = <const F extends Readonly<Record<string, Fn>>>(
  transforms: { readonly [K in keyof F]: Transform<F[K]> },
  namesOf: Names,
): Transform<Partition<F>> => {
  const parts = Object.entries<Transform<Fn>>(transforms)
  const select = <G>(tree: G, names: ReadonlyMap<string, string>, name: string): Sparse<G> =>
    // the type Sparse describes exactly the tree without the other leaves
    mapTree(tree, isTensor, (leaf, path) => (names.get(path) === name ? leaf : undefined)) as Sparse<G>
  // records of the states of all parts
  const byName = (of: (transform: Transform<Fn>, name: string) => unknown): never =>
    Object.fromEntries(parts.map(([name, transform]) => [name, of(transform, name)])) as never
  return {
    ...checksOf(...parts.map(([, part]) => part)),
    init: params => {
      const names = namesOf(params)
      return byName((part, name) => part.init(select(params, names, name)))
    },
    update: (grad, state, params, evaluated) => {
      const names = namesOf(params)
      const states: Readonly<Record<string, unknown>> = state
      const changed = new Map<string, Node>()
      const next = byName((part, name) => {
        const [updates, own] = part.update(
          select(grad, names, name),
          states[name],
          select(params, names, name),
          evaluated && { ...evaluated, gradient: select(evaluated.gradient, names, name) },
        )
        for (const [path, update] of tensorsOf(updates)) changed.set(path, update)
        return own
      })
      // each leaf keeps its shape
      return [mapTree(grad, isTensor, (g, path) => changed.get(path) ?? g) as typeof grad, next]
    },
  }
}

/**
 * A transform for each leaf, by patterns of paths: the first pattern that matches decides. `*` stands for a part of a
 * name, `**` for any names, and a pattern also matches what is below. State exists for the leaves of each transform
 * only. Source: `optax.multi_transform`.
 * @throws {RangeError} when the state is made, for a pattern that matches no leaf, and for a leaf without a pattern
 * @example multiTransform({ slow: sgd({ lr: 1e-3 }), rest: adamw({ lr: 1e-2 }) }, { 'embed': 'slow', '**': 'rest' })
 */
export const multiTransform = <const F extends Readonly<Record<string, Fn>>>(
  transforms: { readonly [K in keyof F]: Transform<F[K]> },
  patterns: Readonly<Record<string, keyof F & string>>,
): Transform<Partition<F>> => {
  const other = Object.values(patterns).find(name => !Object.hasOwn(transforms, name))
  if (other !== undefined)
    throw new RangeError(
      `multiTransform: no transform is called ${other}: there are ${Object.keys(transforms).join(', ')}`,
    )
  return partition(transforms, params => {
    const found = matched('multiTransform', Object.keys(patterns), params)
    const left = tensorsOf(params).find(([path]) => !found.has(path))
    if (left !== undefined)
      throw new RangeError(`multiTransform: no pattern matches ${left[0]}: '**' matches every leaf`)
    return new Map([...found].map(([path, pattern]) => [path, patterns[pattern]!]))
  })
}

/**
 * Updates times a factor for each leaf, by patterns as in {@link multiTransform}; leaves that none matches are
 * unchanged. Last in a chain, these are factors of the rate. Source: `optax.multi_transform` of `optax.scale`.
 * @throws {RangeError} when the state is made, for a pattern that matches no leaf
 * @example chain(adamw({ lr: 1e-3 }), scaleByLeaf({ 'embed': 0.1, 'layers.*.norm': 0 }))
 */
export const scaleByLeaf = (factors: Readonly<Record<string, Setting>>): Transform<Stateless> => {
  for (const [pattern, factor] of Object.entries(factors)) setting(`scaleByLeaf: the factor of ${pattern}`, factor)
  const factorsOf = (tree: unknown): ReadonlyMap<string, string> => matched('scaleByLeaf', Object.keys(factors), tree)
  return {
    init: params => (factorsOf(params), {}),
    update: (grad, state, params) => {
      const found = factorsOf(params)
      const scaled = mapTree(grad, isTensor, (g, path) => {
        const pattern = found.get(path)
        return pattern === undefined ? g : u.mul(g, factors[pattern]!)
      })
      // each leaf keeps its shape
      return [scaled as typeof grad, state]
    },
  }
}
