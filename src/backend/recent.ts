/** What is made for a set of sizes is kept for so many sets, those that were asked for last. */
export const mostSizes = 32

/** Values by a text, of which those that were asked for last are kept. */
export interface Recent<V> {
  /** The value of a text, made if it is not kept. */
  readonly get: (key: string, make: () => V) => V
  readonly has: (key: string) => boolean
  readonly values: () => Iterable<V>
}

/** @example const plans = recent<Plan>(32); plans.get('8 x 64', () => planOf(request)) */
export const recent = <V>(capacity: number, onForgotten: () => void = () => undefined): Recent<V> => {
  // a map remembers the order in which it was written
  const kept = new Map<string, V>()
  return {
    get: (key, make) => {
      const value = kept.has(key) ? kept.get(key)! : make()
      kept.delete(key)
      kept.set(key, value)
      const [oldest] = kept.keys()
      if (kept.size > capacity && oldest !== undefined) {
        kept.delete(oldest)
        onForgotten()
      }
      return value
    },
    has: key => kept.has(key),
    values: () => kept.values(),
  }
}
