/** A value, or a promise of one. */
export type Awaitable<A> = A | Promise<A>

/**
 * Work that runs at once as far as possible: it yields the promises that it must wait for, and continues when they are
 * fulfilled. Work that yields nothing ends in the same turn.
 */
export type Work<A> = Generator<Promise<void>, A, void>

const isPromise = <A>(value: Awaitable<A>): value is Promise<A> => value instanceof Promise

/** Values inside work: at once if all of them exist, otherwise when the last one does. */
export function* settled<A>(values: readonly Awaitable<A>[]): Work<readonly A[]> {
  const there = values.filter((value): value is Awaited<A> & A => !isPromise(value))
  if (there.length === values.length) return there
  let all: readonly A[] = []
  yield Promise.all(values).then(found => {
    all = found
  })
  return all
}

/**
 * The result of work: at once if it waits for nothing, otherwise a promise. `within` is called around each part of the
 * work that runs without waiting.
 * @example const handles = await finished(run(plan), part => within(tfjs, 'webgpu', part))
 */
export const finished = <A>(work: Work<A>, within: <B>(part: () => B) => B): Awaitable<A> => {
  const go = (part: () => IteratorResult<Promise<void>, A>): Awaitable<A> => {
    const { done, value } = within(part)
    if (done === true) return value
    return value.then(
      () => go(() => work.next()),
      (error: unknown) => go(() => work.throw(error)),
    )
  }
  return go(() => work.next())
}
