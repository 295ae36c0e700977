import { checkFits } from '../../compile/index.ts'
import type { Dim, Node } from '../../tensor/index.ts'
import type { Compiled } from './compiled.ts'

/** Questions that depend on sizes that are given with the question, or when the session starts. */
export type Sized = 'start' | 'loss' | 'predict' | 'decode'

/**
 * Refuses sizes that do not fit a question. A graph is written before the sizes are known, so they are checked with
 * each question. A limited number of sizes that fit are remembered.
 * @throws {DimsError} like the compiler of a plan
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
    loss: () => {
      const { buffers, gradients } = whole.gradients()
      return [...programs.declaredLoss, ...buffers, ...gradients.map(([, node]) => node)]
    },
    predict: () => programs.declared.outputLeaves.map(([, output]) => output),
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
