import { pipe } from '../../either/index.ts'
import * as E from '../../either/index.ts'
import {
  count,
  factors,
  glorotUniformInit,
  is,
  placeholderOp,
  sizesOf,
  zerosInit,
  type Environment,
  type Initializer,
  type Node,
} from '../../tensor/index.ts'
import { quoted } from '../../text/index.ts'
import { declaredLeaves, unflatten, type Values } from '../tree.ts'
import { isAbout, isPath } from './pattern.ts'

/** The choices of first values. */
export interface InitOptions {
  /** A safe integer: all numbers follow from it. */
  readonly seed: number
  /** Sizes of names that the model does not fix. */
  readonly dims?: Readonly<Record<string, number>>
  /**
   * Initializers by path. In a pattern, `*` stands for one key or a part of one, `**` for any number of keys:
   * `'layers.*.up'`, `'**.bias'`. A path of a leaf goes before every pattern; of several patterns, the last one counts.
   */
  readonly leaves?: Readonly<Record<string, Initializer>>
}

/** The most paths that a message lists. */
const mostListed = 8
const listed = (paths: readonly string[]): string =>
  paths.length > mostListed
    ? `${paths.slice(0, mostListed).join(', ')} and ${paths.length - mostListed} more`
    : paths.join(', ')

/** The sizes of all leaves, or one sentence about those that are missing. */
export const sizesFor = (
  leaves: readonly (readonly [path: string, leaf: Node])[],
  own: Environment,
  given: Environment,
): readonly (readonly number[])[] => {
  const other = Object.keys(given).find(name => Object.hasOwn(own, name) && own[name] !== given[name])
  if (other !== undefined)
    throw new RangeError(`init: ${other} is ${own[other]} in the model but ${given[other]} in dims`)
  const environment = { ...own, ...given }
  const names = leaves.flatMap(([, { shape }]) => shape).flatMap(factors)
  const missing = new Set(names.filter(name => typeof name === 'string' && !Object.hasOwn(environment, name)))
  if (missing.size > 0) {
    const [path] = leaves.find(([, { shape }]) => shape.flatMap(factors).some(name => missing.has(name)))!
    const all = [...missing]
    throw new RangeError(
      `init: ${all.join(' and ')}, of ${path}${all.length > 1 ? ' and others' : ''}, ${all.length > 1 ? 'have' : 'has'} no size: specify dims: { ${all.map(name => `${quoted(name)}: …`).join(', ')} }`,
    )
  }
  return leaves.map(([path, { shape }]) =>
    pipe(
      sizesOf(environment, shape),
      E.getOrElse((text): readonly number[] => {
        throw new RangeError(`init: ${path}: ${text}`)
      }),
    ),
  )
}

/** The usual first values of a leaf: those of its declaration; otherwise zeros for a vector, Glorot's for a matrix. */
const usualOf = (leaf: Node): Initializer =>
  (is(leaf, placeholderOp) ? leaf.attributes.usual : undefined) ??
  (leaf.shape.length < 2 ? zerosInit() : glorotUniformInit())

/** The initializer that the patterns choose for a leaf, which may have several paths. */
const chosenFor = (
  paths: readonly string[],
  patterns: Readonly<Record<string, Initializer>>,
): Initializer | undefined => {
  const about = Object.keys(patterns).filter(pattern => paths.some(path => isAbout(pattern, path)))
  const chosen = about.findLast(isPath) ?? about.at(-1)
  return chosen === undefined ? undefined : patterns[chosen]
}

/**
 * First values of a model's parameters, in the structure of `params`. A leaf for which `leaves` has no initializer gets
 * what is usual for it: what its layer in `nn` declares; otherwise `glorotUniform` if it has two axes or more, and
 * zeros if it is a vector or a number. A gain of one's own must be named: `'**.gain': init.ones()`. Every leaf has a
 * stream of random numbers of its own, selected by its path, so that adding a leaf changes no other.
 * @throws {RangeError} for a dim without a size, a pattern that matches nothing, a leaf that is not f32
 * @example const weights = init.params(mlp, { seed: 0, dims: { hidden: 64 }, leaves: { '**.up': init.heNormal() } })
 */
export const params = <P>(
  { params: declared, dims: own = {} }: { readonly params: P; readonly dims?: Readonly<Record<string, number>> },
  { seed, dims = {}, leaves: patterns = {} }: InitOptions,
): Values<P> => {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`init: the seed is ${String(seed)}: it is a whole number`)
  const leaves = declaredLeaves('parameters', declared)
  const paths = leaves.map(([path]) => path)
  const idle = Object.keys(patterns).find(pattern => !paths.some(path => isAbout(pattern, path)))
  if (idle !== undefined)
    throw new RangeError(`init: no parameter is called ${quoted(idle)}: there are ${listed(paths)}`)
  const sizes = sizesFor(leaves, own, dims)
  const made = new Map<Node, unknown>()
  for (const [i, [path, leaf]] of leaves.entries()) {
    // a leaf in several places has one value
    if (made.has(leaf)) continue
    const { shape, dtype } = leaf
    if (dtype !== 'f32') throw new RangeError(`init: ${path} is ${dtype}, and first values are f32`)
    const places = leaves.filter(([, other]) => other === leaf).map(([place]) => place)
    const data = (chosenFor(places, patterns) ?? usualOf(leaf))({ seed, path, sizes: sizes[i]! })
    if (data.length !== count(sizes[i]!))
      throw new RangeError(
        `init: the initializer of ${path} gives ${data.length} numbers, and its sizes are [${sizes[i]!.join(', ')}]`,
      )
    made.set(leaf, { shape, sizes: sizes[i]!, dtype, data })
  }
  // the tree has the structure of `params`, with a value of its shape at each leaf
  return unflatten(
    declared,
    leaves.map(([, leaf]) => made.get(leaf)),
  ) as Values<P>
}
