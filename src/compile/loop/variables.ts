import type { Node } from '../../tensor/index.ts'
import type { Programs } from '../step-programs.ts'
import { familyOf, type Family } from './runs.ts'

/** What is held under one name: a leaf, or the leaves of one kind of all layers as a stack. */
export interface Variable {
  readonly name: string
  readonly leaves: readonly Node[]
  /** What a rolled program reads: the leaf itself, or the placeholder of the stack. */
  readonly node: Node
  readonly family: Family | undefined
}

/** The variables of a session, in the order of the leaves that they hold. */
export interface Variables {
  readonly params: readonly Variable[]
  /** The indices of chosen columns or entries. */
  readonly indices: readonly Variable[]
  /** What is trained, where it is held apart from its leaf. */
  readonly parts: readonly Variable[]
  readonly state: readonly Variable[]
  readonly gradients: readonly Variable[]
  /** What generation remembers. */
  readonly caches: readonly Variable[]
}

interface Named {
  readonly path: string
  readonly leaf: Node
  readonly pattern: string
  readonly kind: string
}

/** The path with its first number left open: `model.layers.*.mlp.up_proj`. */
const patternOf = (path: string): string => path.replace(/(^|\.)\d+(?=\.|$)/, '$1*')

/** Puts leaves of one pattern together that are alike, and of which alike is trained. */
const grouped = (prefix: string, named: readonly Named[]): readonly Variable[] => {
  const groups = new Map<string, readonly Named[]>()
  const taken = new Set<string>()
  for (const one of named) {
    const key = [one.pattern, one.kind, one.leaf.dtype, one.leaf.shape.join()].join(' ')
    groups.set(key, [...(groups.get(key) ?? []), one])
  }
  return [...groups.values()].map(members => {
    const [{ path, leaf, pattern }] = members as readonly [Named, ...(readonly Named[])]
    const leaves = members.map(member => member.leaf)
    const family = leaves.length > 1 ? familyOf(leaves) : undefined
    // layers of one pattern that are not alike: the first path tells them from those before
    const name = family === undefined ? path : taken.has(pattern) ? `${pattern} from ${path}` : pattern
    taken.add(pattern)
    return { name: `${prefix}/${name}`, leaves, family, node: family?.stack ?? leaf }
  })
}

/**
 * The variables of a step's programs: layers that are alike share one.
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
  const kinds = new Map(trained.map(({ path, leaf, lens }) => [path, lens.wanted(leaf).kind]))
  const named = ([path, leaf]: readonly [string, Node]): Named => ({
    path,
    leaf,
    pattern: patternOf(path),
    kind: kinds.get(path) ?? 'frozen',
  })
  // a leaf of the state stands at the path of what is trained, within the state of a transform
  const ofState = ([path, leaf]: readonly [string, Node]): Named => {
    const own = [...kinds.keys()]
      .filter(p => path === p || path.endsWith(`.${p}`))
      .reduce((a, b) => (b.length > a.length ? b : a), '')
    return { path, leaf, pattern: path.slice(0, path.length - own.length) + patternOf(own), kind: kinds.get(own) ?? '' }
  }
  return {
    params: grouped('params', params.map(named)),
    indices: grouped('indices', indices.map(named)),
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
