/** A generator of pseudo-random numbers in [0, 1) (mulberry32). */
export const randomFrom = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Draws from a seed. */
export interface Dice {
  /** An integer from 0 to `below` - 1. */
  readonly below: (below: number) => number
  readonly of: <A>(items: readonly A[]) => A
  /** True once in so many draws. */
  readonly once: (among: number) => boolean
}

/** Draws of all kinds from one seed. @example diceFrom(7).below(6) // 0 */
export const diceFrom = (seed: number): Dice => {
  const random = randomFrom(seed)
  const below = (most: number): number => Math.floor(random() * most)
  return { below, of: items => items[below(items.length)]!, once: among => below(among) === 0 }
}
