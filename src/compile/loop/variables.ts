import type { Node } from '../../tensor/index.ts'
import type { Programs } from '../step-programs.ts'
import { familyOf, gatheredFamily, type Family } from './runs.ts'

/** The leaves held under one name: a single leaf, or the leaves of one kind of all layers as a stack. */
export interface Variable {
  readonly name: string
  readonly leaves: readonly Node[]
  /** The node that a rolled program reads: the leaf itself, or the placeholder of the stack. */
  readonly node: Node
  readonly family: Family | undefined
}

/** The variables of a session, in the order of the leaves that they hold. */
export interface Variables {
  readonly params: readonly Variable[]
  /** The indices of selected columns or entries. */
  readonly indices: readonly Variable[]
  /** The trained parts that are held separately from their leaves. */
  readonly parts: readonly Variable[]
  readonly state: readonly Variable[]
  readonly gradients: readonly Variable[]
  /** The caches of generation. */
  readonly caches: readonly Variable[]
}

interface Named {
  readonly path: string
  readonly leaf: Node
  /** The path with its n-th number left open, or undefined if it has fewer. */
  readonly pattern: (n: number) => string | undefined
  readonly kind: string
}

/** The path with one of its numbers left open: the first of `model.layers.0.mlp` gives `model.layers.*.mlp`. */
const patternOf = (path: string, n: number): string | undefined => {
  const number = [...path.matchAll(/(?<=^|\.)\d+(?=\.|$)/g)][n]
  return number && `${path.slice(0, number.index)}*${path.slice(number.index + number[0].length)}`
}

interface Group {
  readonly pattern: string
  readonly members: readonly Named[]
}
/**
 * Leaves that share a path pattern, and are equal in shape, dtype and mask. The first number of a path is left open, and
 * for those that are alone with that the next: in `stages.2.5` the stages may differ and the blocks be alike.
 */
const groupsOf = (named: readonly Named[], n = 0): readonly Group[] => {
  const groups = new Map<string, Group>()
  for (const one of named) {
    const pattern = one.pattern(n) ?? one.path
    const key = [pattern, one.kind, one.leaf.dtype, one.leaf.shape.join()].join(' ')
    groups.set(key, { pattern, members: [...(groups.get(key)?.members ?? []), one] })
  }
  const all = [...groups.values()]
  const isAlone = ({ members }: Group): boolean => members.length === 1 && members[0]!.pattern(n + 1) !== undefined
  const alone = all.filter(isAlone).flatMap(({ members }) => members)
  return alone.length === 0 ? all : [...all.filter(group => !isAlone(group)), ...groupsOf(alone, n + 1)]
}

/** The variables of groups of leaves, in the order of their first ones. */
const grouped = (prefix: string, named: readonly Named[]): readonly Variable[] => {
  const order = new Map(named.map((one, i) => [one, i]))
  const placeOf = ({ members: [first] }: Group): number => order.get(first!)!
  const taken = new Set<string>()
  return groupsOf(named)
    .toSorted((a, b) => placeOf(a) - placeOf(b))
    .map(({ pattern, members }) => {
      const [{ path, leaf }] = members as readonly [Named, ...(readonly Named[])]
      const leaves = members.map(member => member.leaf)
      const family = leaves.length > 1 ? familyOf(leaves) : undefined
      // different leaves of one pattern: the first path distinguishes them from earlier groups
      const name = family === undefined ? path : taken.has(pattern) ? `${pattern} from ${path}` : pattern
      taken.add(pattern)
      return { name: `${prefix}/${name}`, leaves, family, node: family?.stack ?? leaf }
    })
}

/**
 * The variables of a step's programs: equal layers share one.
 * @example variablesOf(programs).params[1].name // 'params/model.layers.*.input_layernorm'
 */
export const variablesOf = ({
  params,
  trained,
  state,
  gradient,
  indices,
  caches,
}: Pick<Programs, 'params' | 'trained' | 'state' | 'gradient' | 'indices' | 'caches'>): Variables => {
  // trained rows and their index lie in the same layer as their leaf, so that they are alike only if their leaves are
  const kinds = new Map(
    trained.map(({ path, leaf, lens }) => [path, `${lens.wanted(leaf).kind} of ${leaf.shape.join()}`]),
  )
  const leafPaths = new Map(trained.toReversed().flatMap(({ path, lens }) => lens.index.map(index => [index, path])))
  const named = ([path, leaf]: readonly [string, Node]): Named => ({
    path,
    leaf,
    pattern: n => patternOf(path, n),
    kind: kinds.get(path) ?? 'frozen',
  })
  // a leaf of the state has the path of a trained leaf, inside the state of a transform
  const ofState = ([path, leaf]: readonly [string, Node]): Named => {
    const own = [...kinds.keys()]
      .filter(p => path === p || path.endsWith(`.${p}`))
      .reduce((a, b) => (b.length > a.length ? b : a), '')
    const before = path.slice(0, path.length - own.length)
    const pattern = (n: number): string | undefined => {
      const open = patternOf(own, n)
      return open && before + open
    }
    return { path, leaf, pattern, kind: kinds.get(own) ?? '' }
  }
  return {
    params: grouped('params', params.map(named)),
    indices: grouped(
      'indices',
      indices.map(([path, index]) => ({
        ...named([path, index]),
        kind: kinds.get(leafPaths.get(index) ?? path) ?? 'frozen',
      })),
    ),
    parts: grouped(
      'parts',
      trained.flatMap(({ path, part, lens }) => (lens.index.length > 0 ? [named([path, part])] : [])),
    ),
    state: grouped('state', state.map(ofState)),
    gradients: grouped(
      'gradients',
      trained.map(({ path }, i) => named([path, gradient[i]!])),
    ),
    caches: grouped('cache', caches.map(named)),
  }
}

/** The families among variables. */
export const familiesOf = (variables: Variables): readonly Family[] =>
  Object.values(variables).flatMap((kind: readonly Variable[]) => kind.flatMap(({ family }) => family ?? []))

/** The families of buffers of one kind in all layers, which a step receives one by one. */
export const bufferFamilies = (buffers: Programs['buffers']): readonly Family[] =>
  groupsOf(
    buffers.map(([path, leaf]): Named => ({ path, leaf, pattern: n => patternOf(path, n), kind: 'buffer' })),
  ).flatMap(({ members }) => (members.length > 1 ? [gatheredFamily(members.map(({ leaf }) => leaf))] : []))
