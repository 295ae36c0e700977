/** The bounds of work that is done ahead. */
export interface AheadOptions {
  /** The most results that are made or in the making before they are asked for. */
  readonly ahead: number
  /** The most tasks that run at the same time. */
  readonly together: number
}

/**
 * The results of tasks in their order, made ahead of the reader, even while the reader does other work. When the reader
 * stops, no further task starts, and the loop ends when the running ones have ended. Tasks do not reject.
 * @example for await (const picture of inOrder(tasks, { ahead: 64, together: 8 })) …
 */
export async function* inOrder<T>(
  tasks: Iterable<() => Promise<T>>,
  { ahead, together }: AheadOptions,
): AsyncGenerator<T, void, undefined> {
  const source = tasks[Symbol.iterator]()
  const waiting: Promise<T>[] = []
  let running = 0
  let stopped = false
  const fill = (): void => {
    while (!stopped && running < together && waiting.length < ahead) {
      const { done, value: task } = source.next()
      if (done === true) {
        stopped = true
        return
      }
      running++
      waiting.push(
        task().finally(() => {
          running--
          fill()
        }),
      )
    }
  }
  try {
    for (fill(); waiting.length > 0; fill()) {
      const result = await waiting[0]!
      waiting.shift()
      // the place is free before the reader works on the result
      fill()
      yield result
    }
  } finally {
    stopped = true
    await Promise.allSettled(waiting)
  }
}
