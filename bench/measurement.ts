import { readFileSync, writeFileSync } from 'node:fs'

/**
 * The report of a child process: milliseconds of each repetition, the peak of its resident memory, and further figures.
 */
export interface Measurement {
  readonly times: readonly number[]
  /** Of the whole process, in MB. */
  readonly peakMegabytes: number
  readonly facts: Readonly<Record<string, number | string>>
  /** Milliseconds of named parts. */
  readonly parts: Readonly<Record<string, number>>
}

/**
 * The most memory that a process has held so far, in MB, if the system tells: the resident set alone, from the start of
 * its program.
 * @example peakOf('self')
 */
export const peakOf = (process: number | 'self'): number => {
  try {
    return Math.round(Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${process}/status`, 'utf8'))?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}

/**
 * Forgets the peak so far, so that the next one is that of what follows: of the steps, after what loading has taken.
 * @returns the forgotten peak, in MB
 */
export const forgetPeak = (): number => {
  const peak = peakOf('self')
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // not every system lets it be forgotten: the peak of the steps is then that of all
  }
  return peak
}

/** A measurement that ends now. @example measurement([12.5, 11.9]) */
export const measurement = (
  times: readonly number[],
  facts: Measurement['facts'] = {},
  parts: Measurement['parts'] = {},
): Measurement => ({
  times,
  peakMegabytes: peakOf('self') || Math.round(process.resourceUsage().maxRSS / 1024),
  facts,
  parts,
})

/** Milliseconds that something takes. @example await elapsed(() => session.step([batch])) */
export const elapsed = async (work: () => unknown): Promise<number> => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** The length of a measurement of steps: at least so many after the first one and the warm-up, and then as long as time is left. */
export interface Span {
  readonly warmUp: number
  readonly least: number
  readonly most: number
  readonly milliseconds: number
}

/**
 * Repeats a step that returns its loss: the times after the first step and the warm-up, and the first two losses.
 * `since` is when the program began to be compiled.
 */
export const repeated = async (
  step: () => Promise<number>,
  { warmUp, least, most, milliseconds }: Span,
  since: number,
): Promise<Measurement> => {
  const firstLoss = await step()
  const firstStep = performance.now() - since
  const losses: number[] = []
  const next = async (): Promise<void> => {
    losses.push(await step())
  }
  for (let i = 0; i < warmUp; i++) await next()
  const times: number[] = []
  const start = performance.now()
  while (times.length < least || (times.length < most && performance.now() - start < milliseconds))
    times.push(await elapsed(next))
  return measurement(times, { firstLoss, secondLoss: losses[0]! }, { firstStep })
}
