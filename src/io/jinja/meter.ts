import { raise } from './error.ts'

/** The limits of a rendering. */
export interface Limits {
  /**
   * Steps: an expression, a statement, an item of a list and 64 characters of text count as one each, a new scope as
   * ten.
   */
  readonly steps: number
  /** Characters of any text that the rendering makes. */
  readonly characters: number
  /** Depth of recursive macros and loops. */
  readonly depth: number
}

/** Limits that suffice for any conversation a model reads, and are reached within about a second. */
export const usualLimits: Limits = { steps: 2_000_000, characters: 1 << 23, depth: 100 }

/** Counts the work of a rendering, and ends it at a limit. */
export class Meter {
  private steps = 0
  private depth = 0
  private readonly limits: Limits
  constructor(limits: Limits) {
    this.limits = limits
  }

  /** Counts steps. Numbers come from the template: a negative one earns nothing, and one that is no number ends it. */
  spend(steps: number): void {
    this.steps += Math.max(0, steps)
    if (!(this.steps <= this.limits.steps)) raise(`it does not end within ${this.limits.steps} steps`)
  }

  /** Ends the rendering if a text would be too long. */
  fits(characters: number): void {
    if (!(characters <= this.limits.characters))
      raise(`it makes a text of more than ${this.limits.characters} characters`)
  }

  /** Reserves room for a text before it is made, and counts it. */
  room(characters: number): void {
    this.fits(characters)
    this.spend(characters / 64)
  }

  /** A text that was made from parts, counted. */
  text(made: string): string {
    this.room(made.length)
    return made
  }

  within<A>(run: () => A): A {
    this.spend(10)
    if (++this.depth > this.limits.depth) raise(`it calls itself more than ${this.limits.depth} deep`)
    try {
      return run()
    } finally {
      this.depth--
    }
  }
}
