import { raise } from './error.ts'

/** How much a rendering may do. */
export interface Limits {
  /**
   * Steps: expressions, statements, items of lists and 64 characters of text count one each, what needs a scope ten.
   */
  readonly steps: number
  /** Characters of any text that it makes. */
  readonly characters: number
  /** Macros and loops that call themselves. */
  readonly depth: number
}

/** Enough for any conversation that a model reads, and over in about a second. */
export const usualLimits: Limits = { steps: 2_000_000, characters: 1 << 23, depth: 100 }

/** Counts what a rendering does, and ends it at a limit. */
export class Meter {
  private steps = 0
  private depth = 0
  private readonly limits: Limits
  constructor(limits: Limits) {
    this.limits = limits
  }

  spend(steps: number): void {
    this.steps += steps
    if (this.steps > this.limits.steps) raise(`it does not end within ${this.limits.steps} steps`)
  }

  /** Ends the rendering if a text would be too long. */
  fits(characters: number): void {
    if (characters > this.limits.characters) raise(`it makes a text of more than ${this.limits.characters} characters`)
  }

  /** Asks for room for a text before it is made, and pays for it. */
  room(characters: number): void {
    this.fits(characters)
    this.spend(characters / 64)
  }

  /** A text that was made from parts, paid for. */
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
