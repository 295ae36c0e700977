import type { FedKey } from '../compile/index.ts'
import { isValue, leaves, type AnyValue } from '../tune/index.ts'
import { SessionError } from './device.ts'
import { seedWords } from './feeding.ts'
import type { SavedSession } from './session.ts'
import { isSame } from './values.ts'

/** The facts of a session that decide, beside its values, what its steps compute. */
interface Drawing {
  /** The trained columns or entries, by the path of their leaf. */
  readonly selection: ReadonlyMap<string, Int32Array>
  readonly keys: readonly FedKey[]
}

/** The parts of a saved session that are trees of the session's own leaves. */
export interface SavedTrees {
  readonly focus?: unknown
  readonly state?: unknown
  readonly buffers?: unknown
}

const integers = (numbers: Iterable<number>): AnyValue => {
  const data = Int32Array.from(numbers)
  return { shape: [data.length], sizes: [data.length], dtype: 'i32', data }
}

/** The facts that a session and a saved one must share, by path, with words for those that differ. */
const shared = ({ selection, keys }: Drawing) =>
  [
    [
      'selection',
      new Map([...selection].map(([path, index]) => [path, integers(index)])),
      (path: string) => `other columns or entries of ${path} are trained in it`,
    ],
    [
      'seeds',
      new Map(keys.map(({ path, seed }) => [path, integers(seedWords(seed))])),
      () => 'its random numbers have another seed',
    ],
  ] as const

/**
 * A saved session: the values of its leaves, what it trains, the seeds of its random numbers, and the number of
 * micro-batches that have drawn from them.
 */
export const savedSession = (trees: SavedTrees, drawing: Drawing, draws: number): SavedSession =>
  ({
    ...trees,
    ...Object.fromEntries(shared(drawing).map(([part, values]) => [part, Object.fromEntries(values)])),
    draws: integers([draws]),
    // the trees are those of the session's values
  }) as SavedSession

const parts: readonly string[] = ['focus', 'state', 'buffers', 'selection', 'seeds', 'draws']

/**
 * The trees of a saved session, whose leaves are not checked yet, and its number of draws.
 * @throws {SessionError} if it is no saved session, or belongs to a step that trains or draws something else
 * @example const { trees, draws } = readSaved(await load('run.safetensors'), { selection, keys })
 */
export const readSaved = (saved: unknown, drawing: Drawing): { readonly trees: SavedTrees; readonly draws: number } => {
  const found = new Map(leaves(saved, isValue))
  const at = found.get('draws')
  const draws = at?.dtype === 'i32' && at.data.length === 1 ? at.data[0]! : -1
  if (typeof saved !== 'object' || saved === null || draws < 0)
    throw new SessionError('a session goes on from what checkpoint() gives, as it was or loaded from a file')
  const other = Object.keys(saved).find(key => !parts.includes(key))
  if (other !== undefined) throw new SessionError(`the saved session has ${other}, which no session has`)
  for (const [part, values, differs] of shared(drawing)) {
    const own = [...found].filter(([path]) => path.startsWith(`${part}.`))
    const wrong =
      [...values].find(([path, value]) => {
        const there = found.get(`${part}.${path}`)
        return there === undefined || !isSame(there, value)
      })?.[0] ?? own.map(([path]) => path.slice(part.length + 1)).find(path => !values.has(path))
    if (wrong !== undefined) throw new SessionError(`the saved session is of another step: ${differs(wrong)}`)
  }
  return { trees: saved, draws }
}
