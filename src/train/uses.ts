import * as E from 'fp-ts/lib/Either.js'
import { checkBase, fail, loadAdapter, orThrow, type Checkpoint, type IoError, type WeightedAdapter } from '../io/index.ts'

/** An adapter's directory, and how much of the adapter is wanted. */
export interface AdapterUse { readonly directory: string; readonly weight: number }

/**
 * Reads `DIR` or `DIR:WEIGHT`. Errors: a weight that is no number.
 * @example adapterUse('definitions:0.5') // right { directory: 'definitions', weight: 0.5 }
 */
export const adapterUse = (text: string): E.Either<IoError, AdapterUse> => {
  const colon = text.lastIndexOf(':'), tail = text.slice(colon + 1)
  // a colon may stand in a path
  if (colon < 0 || tail === '' || /[\\/]/.test(tail)) return E.right({ directory: text, weight: 1 })
  const weight = Number(tail)
  return Number.isFinite(weight) ? E.right({ directory: text.slice(0, colon), weight })
    : fail(`--adapter ${text}: behind the colon stands a weight, as in ${text.slice(0, colon)}:0.5`)
}

/** Loads adapters and checks that they belong to a base. Errors are thrown with one sentence. */
export const loadAdapters = async (adapters: readonly string[], checkpoint: Checkpoint): Promise<readonly WeightedAdapter[]> => {
  const uses: WeightedAdapter[] = []
  for (const text of adapters) {
    const { directory, weight } = await orThrow(async () => adapterUse(text)), adapter = await orThrow(loadAdapter(directory))
    await orThrow(checkBase(adapter, checkpoint, directory))
    uses.push({ adapter, weight })
  }
  return uses
}
