import type { Node } from './node.ts'

/** The options for choosing the values of a block that are kept for its backward half. */
export interface Keeping {
  /** Tests which values may be recomputed (default: those of cheap ops). */
  readonly isCheap?: (node: Node) => boolean
  /** The bytes of a node's value: the cost of keeping it. */
  readonly bytes?: (node: Node) => number
  /** The operations that computing a node's value takes. */
  readonly flops?: (node: Node) => number
  /**
   * The values that backward recomputes: none; cheap ones if that keeps fewer bytes (the default); everything from the
   * block's inputs, which is gradient checkpointing; or, as a number, those that take at most so many operations for
   * each byte that need not be kept.
   */
  readonly recompute?: 'none' | 'cheap' | 'all' | number
}

/** The choice of the values of a block that live from its forward to its backward half. */
export interface Kept {
  readonly kept: readonly Node[]
  /**
   * The limits on operations for each byte at which another choice is made, in ascending order; none unless the choice
   * was made by such a limit.
   */
  readonly limits: readonly number[]
}

/** The values that cross from forward to backward, and those that both halves have. */
interface Crossing {
  /** Without those at hand, and each datum once whatever its shape. */
  readonly crossing: readonly Node[]
  /** Every forward value that backward reads. */
  readonly boundary: readonly Node[]
  readonly free: (n: Node) => boolean
  /** The value whose data a node shows, perhaps with another shape. */
  readonly data: (n: Node) => Node
}

/**
 * Chooses the values to keep. By default it starts from every value that crosses the boundary, and replaces cheap ones
 * by their sources if those have fewer bytes.
 */
export const keep = (of: Crossing, options: Keeping): Kept => {
  const { recompute = 'cheap' } = options
  if (typeof recompute === 'number') return keepWithin(of, recompute, options)
  return {
    kept: recompute === 'all' ? [] : recompute === 'none' ? of.crossing : keepCheap(of, options),
    limits: [],
  }
}

const keepCheap = (
  { crossing, free }: Crossing,
  { bytes = () => 1, isCheap = n => n.op.cheap === true }: Keeping,
): readonly Node[] => {
  let kept: ReadonlySet<Node> = new Set(crossing)
  const total = (set: ReadonlySet<Node>): number => [...set].reduce((sum, n) => sum + bytes(n), 0)
  for (const candidate of crossing.toReversed()) {
    if (!isCheap(candidate)) continue
    const instead = new Set([...kept].filter(n => n !== candidate))
    for (const source of sources(candidate, isCheap, n => free(n) || instead.has(n))) instead.add(source)
    if (total(instead) < total(kept)) kept = instead
  }
  return [...kept]
}

/** The values not at hand from which a cheap value can be computed with cheap ops. */
const sources = (value: Node, isCheap: (n: Node) => boolean, atHand: (n: Node) => boolean): readonly Node[] =>
  value.inputs.flatMap(input => (atHand(input) ? [] : isCheap(input) ? sources(input, isCheap, atHand) : [input]))

/** A set of kept values, their bytes, and the operations that backward takes to recompute the others. */
interface Choice {
  readonly kept: ReadonlySet<Node>
  readonly bytes: number
  readonly flops: number
}

/** The least limit above another: choices of one price have limits of their own. */
const above = (limit: number): number => limit + Math.max(Math.abs(limit), 1) * 2 ** -40

/**
 * Gives up kept values one after the other, that with the fewest operations for each byte first, as long as those are
 * within the limit: a value is recomputed from others, or from its operands, which are then kept instead. The choices
 * under all limits are beginnings of one sequence, which ends with nothing kept: under a higher limit backward takes
 * more operations, and fewer bytes are kept.
 */
const keepWithin = (
  { crossing, boundary, free, data }: Crossing,
  limit: number,
  { bytes = () => 1, flops = () => 1 }: Keeping,
): Kept => {
  const choiceOf = (kept: ReadonlySet<Node>): Choice => ({
    kept,
    bytes: [...kept].reduce((sum, n) => sum + bytes(n), 0),
    flops: [...recomputed(boundary, n => kept.has(n) || free(n))].reduce((sum, n) => sum + flops(n), 0),
  })
  const limits: number[] = []
  let now = choiceOf(new Set(crossing))
  for (;;) {
    const before = now
    const next = [...before.kept]
      .flatMap(n => {
        const others = [...before.kept].filter(other => other !== n)
        const operands = n.inputs.map(data).filter(input => !free(input))
        return [new Set(others), new Set([...others, ...operands])].map(choiceOf)
      })
      .filter(choice => choice.bytes < before.bytes)
      .map(choice => ({ choice, price: (choice.flops - before.flops) / (before.bytes - choice.bytes) }))
    const [first, ...rest] = next
    if (first === undefined) break
    const best = rest.reduce(
      (least, other) =>
        other.price < least.price || (other.price === least.price && other.choice.bytes < least.choice.bytes)
          ? other
          : least,
      first,
    )
    // what saves bytes and operations is done under any limit
    if (best.price >= 0) {
      const last = limits.at(-1)
      const own = last === undefined ? best.price : Math.max(best.price, above(last))
      if (own > limit) break
      limits.push(own)
    }
    now = best.choice
  }
  return { kept: [...now.kept], limits }
}

/** The values that backward computes again in order to have those of a boundary. */
const recomputed = (boundary: readonly Node[], isHad: (n: Node) => boolean): ReadonlySet<Node> => {
  const found = new Set<Node>()
  const visit = (n: Node): void => {
    if (isHad(n) || found.has(n)) return
    found.add(n)
    n.inputs.forEach(visit)
  }
  boundary.forEach(visit)
  return found
}
