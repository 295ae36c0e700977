import { hashName, uniform, type Shape, type Value } from '../tensor/index.ts'
import { isFloats, leaves, mapTree } from '../tune/index.ts'

/** Curvature by power iteration on Hessian-vector products: an estimate at one point, never a bound. */

type Floats = Value<Shape>

/**
 * ⟨a, b⟩ in float64, over all leaves of two trees with the same structure. It uses plain loops, because a tree may have
 * as many numbers as a model.
 */
const inner = (a: unknown, b: unknown): number => {
  const others = new Map(leaves(b, isFloats))
  let sum = 0
  for (const [path, { data }] of leaves(a, isFloats)) {
    const other = others.get(path)!.data
    for (let i = 0; i < data.length; i++) sum += data[i]! * other[i]!
  }
  return sum
}

/** The same tree with other numbers in its leaves. */
const mapped = <T>(tree: T, of: (value: Floats, path: string) => Float32Array): T =>
  // only the numbers change
  mapTree(tree, isFloats, (value, path) => ({ ...value, data: of(value, path) })) as T

const times = (data: Float32Array, factor: number): Float32Array => {
  const out = new Float32Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = data[i]! * factor
  return out
}

/** Σ factorᵢ · treeᵢ, of trees with the same structure. @example weightedSum([[hv, tokens / total]]) */
export const weightedSum = <T>(terms: readonly (readonly [tree: T, factor: number])[]): T => {
  const [[first, weight], ...others] = terms as readonly [readonly [T, number], ...(readonly (readonly [T, number])[])]
  const values = others.map(([tree, factor]) => [new Map(leaves(tree, isFloats)), factor] as const)
  return mapped(first, ({ data }, path) => {
    const sum = times(data, weight)
    for (const [byPath, factor] of values) {
      const { data: more } = byPath.get(path)!
      for (let i = 0; i < sum.length; i++) sum[i]! += factor * more[i]!
    }
    return sum
  })
}

/**
 * A random direction with a tree's structure, from a seed: every number lies in [−1, 1).
 * @example randomDirection(focus, 0)
 */
export const randomDirection = <T>(like: T, seed: number): T =>
  mapped(like, ({ data }, path) => uniform(seed, hashName(path), data.length).map(x => 2 * x - 1))

/** The result of power iteration at one point. */
export interface PowerIteration<T> {
  /** ‖H v‖ / ‖v‖ for the last v: at most the largest |eigenvalue| of the symmetric H, up to rounding. */
  readonly value: number
  /** ⟨v, H v⟩ / ‖v‖², negative if the loss curves downwards in the direction found. */
  readonly rayleigh: number
  readonly iterations: number
  /** The relative change of the value in the last iteration, or 1 after a single one. */
  readonly change: number
  /** The direction, of norm 1, from which another iteration would continue. */
  readonly direction: T
}

/**
 * Power iteration with a symmetric operator: v ← H v / ‖H v‖. The values never decrease, up to rounding, and converge
 * to the largest |eigenvalue| unless the first direction is orthogonal to its eigenvector. It ends early if the value
 * changes by less than `tolerance`. Source: Golub and Van Loan 2013, §7.3.1.
 * @example const { value } = await powerIteration(v => session.hvp(batch, v), randomDirection(focus, 0), { iterations: 20 })
 */
export const powerIteration = async <T>(
  product: (direction: T) => Promise<T>,
  start: T,
  { iterations, tolerance = 1e-4 }: { readonly iterations: number; readonly tolerance?: number },
): Promise<PowerIteration<T>> => {
  let direction = start
  let value = 0
  let rayleigh = 0
  let change = 1
  let k = 0
  while (k < iterations && change > tolerance) {
    const made = await product(direction)
    const square = inner(direction, direction)
    const norm = Math.sqrt(inner(made, made))
    const now = norm / Math.sqrt(square)
    k += 1
    change = k === 1 ? 1 : now === 0 ? 0 : Math.abs(now - value) / now
    rayleigh = inner(direction, made) / square
    value = now
    // a direction without curvature has no successor
    if (norm === 0) return { value, rayleigh, iterations: k, change: 0, direction }
    direction = weightedSum([[made, 1 / norm]])
  }
  return { value, rayleigh, iterations: k, change, direction }
}
