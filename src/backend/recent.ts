/** The number of sets of sizes for which programs are kept: those that were used last. */
export const mostSizes = 32

/** Values by a text; those that were used last are kept. */
export interface Recent<V> {
  /** The value for a text, made if it is not kept. */
  readonly get: (key: string, make: () => V) => V
  readonly has: (key: string) => boolean
  readonly values: () => Iterable<V>
}

/** @example const plans = recent<Plan>(32); plans.get('8 x 64', () => planOf(request)) */
export const recent = <V>(capacity: number, onForgotten: () => void = () => undefined): Recent<V> => {
  // a map keeps the order in which it was written
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
