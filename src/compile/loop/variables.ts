import type { Node } from '../../tensor/index.ts'
import type { Programs } from '../programs.ts'
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

type Named = readonly (readonly [path: string, leaf: Node])[]

/** The path with its first number left open: `model.layers.*.mlp.up_proj`. */
const patternOf = (path: string): string => path.replace(/(^|\.)\d+(?=\.|$)/, '$1*')

/** Puts leaves of one pattern, shape and dtype together. */
const grouped = (prefix: string, named: Named, pattern: (path: string) => string): readonly Variable[] => {
  const groups = new Map<string, (readonly [string, Node])[]>()
  for (const [path, leaf] of named) {
    const key = `${pattern(path)} ${leaf.dtype} ${leaf.shape.join()}`
    groups.set(key, [...(groups.get(key) ?? []), [path, leaf]])
  }
  return [...groups.values()].map(members => {
    const [[path, first]] = members as [readonly [string, Node]], leaves = members.map(([, leaf]) => leaf)
    const family = leaves.length > 1 ? familyOf(leaves) : undefined
    return { name: `${prefix}/${family ? pattern(path) : path}`, leaves, family, node: family?.stack ?? first }
  })
}

/** The variables of a step's programs: layers that are alike share one. @example variablesOf(programs).params[1].name // 'params/model.layers.*.input_layernorm' */
export const variablesOf = (
  { params, trained, state, gradient, indices, caches }: Pick<Programs, 'params' | 'trained' | 'state' | 'gradient' | 'indices' | 'caches'>): Variables => {
  const paths = trained.map(({ path }) => path)
  // a leaf of the state stands at the path of what is trained, within the state of a transform
  const ofState = (path: string): string => {
    const own = paths.find(p => path.endsWith(p))
    return own === undefined ? path : path.slice(0, path.length - own.length) + patternOf(own)
  }
  return {
    params: grouped('params', params, patternOf),
    indices: grouped('indices', indices, patternOf),
    parts: grouped('parts', trained.flatMap(({ path, part, lens }) => (lens.index.length > 0 ? [[path, part] as const] : [])), patternOf),
    state: grouped('state', state, ofState),
    gradients: grouped('gradients', trained.map(({ path }, i) => [path, gradient[i]!] as const), patternOf),
    caches: grouped('cache', caches, patternOf),
  }
}

/** The families among variables. */
export const familiesOf = (variables: Variables): readonly Family[] => Object.values(variables).flatMap((kind: readonly Variable[]) => kind.flatMap(({ family }) => family ?? []))
