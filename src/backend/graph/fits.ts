import { checkFits } from '../../compile/index.ts'
import type { Dim, Node } from '../../tensor/index.ts'
import type { Compiled } from './compiled.ts'

/** What a graph is asked that depends on sizes which it is given with the question, or when it starts. */
export type Sized = 'start' | 'loss' | 'logits' | 'decode'

/**
 * Refuses sizes that what is asked does not fit: a graph is written before it knows them, so that they are checked when
 * it is asked. What was found to fit is remembered for as long as it is small.
 * @throws {DimsError} as a plan's compiler does
 * @example fitting(compiled)('loss', sizing(sizes), JSON.stringify(sizes))
 */
export const fitting = ({
  programs,
  whole,
}: Pick<Compiled, 'programs' | 'whole'>): ((what: Sized, size: (dim: Dim) => number, key: string) => void) => {
  const roots: { readonly [K in Sized]: () => readonly Node[] } = {
    start: () => {
      const { norm, replaced } = whole.apply()
      return [norm, ...[...replaced, ...whole.initial()].map(([, node]) => node)]
    },
    loss: () => [...programs.declaredLoss, ...whole.gradients().gradients.map(([, node]) => node)],
    logits: () => [programs.declared],
    decode: () => {
      const made = whole.decode?.()
      return made ? [made.logits, ...made.caches.map(([, node]) => node)] : []
    },
  }
  const known = new Set<string>()
  const most = 256
  const made = new Map<Sized, readonly Node[]>()
  const rootsOf = (what: Sized): readonly Node[] => {
    const found = made.get(what) ?? roots[what]()
    made.set(what, found)
    return found
  }
  return (what, size, sizes) => {
    const key = `${what} ${sizes}`
    if (known.has(key)) return
    checkFits(rootsOf(what), size)
    if (known.size >= most) known.clear()
    known.add(key)
  }
}
