import type { Programs } from '../compile/index.ts'
import { factors, isNode, topological, type Dim, type Node } from '../tensor/index.ts'
import { SessionError } from './device.ts'
import type { Dims } from './session.ts'

/** The names in the dims of expressions and of their blocks, and other texts of their ops, which may be names too. */
interface Names {
  readonly shapes: Set<string>
  readonly texts: Set<string>
}

const namesIn = (
  roots: readonly Node[],
  found: Names = { shapes: new Set(), texts: new Set() },
  seen = new Set<unknown>(),
): Names => {
  const note = (to: Set<string>, dim: Dim): void => {
    for (const factor of factors(dim)) if (typeof factor === 'string') to.add(factor)
  }
  const look = (thing: unknown): void => {
    if (typeof thing === 'string') {
      note(found.texts, thing)
      return
    }
    if (typeof thing !== 'object' || thing === null || seen.has(thing) || ArrayBuffer.isView(thing)) return
    seen.add(thing)
    if (isNode(thing)) {
      namesIn([thing], found, seen)
      return
    }
    Object.values(thing).forEach(look)
  }
  for (const n of topological(roots)) {
    for (const dim of n.shape) note(found.shapes, dim)
    look(n.attributes)
  }
  return found
}

/**
 * Refuses sizes of dims that a step does not have. @throws {SessionError} `there is no dim sequence: there are batch,
 * hidden`
 */
export const dimsChecker = (
  {
    params,
    base,
    batch,
    state,
    indices,
    caches,
    declared,
    declaredLoss,
  }: Pick<Programs, 'params' | 'base' | 'batch' | 'state' | 'indices' | 'caches' | 'declared' | 'declaredLoss'>,
  known: readonly string[],
): ((dims: Dims) => void) => {
  let names: Names | undefined
  const leaves = [...params, ...base, ...batch, ...state, ...indices, ...caches].map(([, leaf]) => leaf)
  return dims => {
    if (Object.keys(dims).length === 0) return
    const { shapes, texts } = (names ??= namesIn([
      ...leaves,
      ...declared.outputLeaves.map(([, output]) => output),
      ...declaredLoss,
    ]))
    const wrong = Object.keys(dims).find(name => !shapes.has(name) && !texts.has(name) && !known.includes(name))
    if (wrong !== undefined)
      throw new SessionError(
        `there is no dim ${wrong}: there are ${[...new Set([...shapes, ...known])].sort().join(', ')}`,
      )
  }
}
