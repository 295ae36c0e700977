import type { Shape, Value } from '../../tensor/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { refusal } from '../../host/index.ts'
import { finite } from '../checkpoint/finite.ts'
import { scaleOf, type LoraModule, type Adapter } from './adapter.ts'
import { lowRankOf, type WeightedAdapter } from './lora-form.ts'

type Floats = Value<Shape>

/** Whether an adapter changes a leaf. */
const touches = ({ modules, whole }: Adapter, path: string): boolean => modules.has(path) || whole?.has(path) === true

/** Whether any of the adapters changes a leaf. @example changes([{ adapter }], 'model.norm') */
export const changes = (uses: readonly WeightedAdapter[], path: string): boolean =>
  uses.some(({ adapter }) => touches(adapter, path))

/** Adds `by` times the product of a [in, r] and b [r, out] to a sum [in, out]. */
const addProduct = (sum: Float64Array, { lora_A, lora_B }: LoraModule, by: number): void => {
  const {
    sizes: [input = 0, rank = 0],
    data: a,
  } = lora_A
  const {
    sizes: [, output = 0],
    data: b,
  } = lora_B
  for (let i = 0; i < input; i++) {
    for (let k = 0; k < rank; k++) {
      const x = by * a[i * rank + k]!
      if (x !== 0) for (let j = 0; j < output; j++) sum[i * output + j]! += x * b[k * output + j]!
    }
  }
}

/** DoRA's weight, less the base: (m / ‖V‖) ⊙ V − W with V = W + s · A B, the norm over the inputs of every output. */
const addDora = (sum: Float64Array, adapter: Adapter<'dora'>, path: string, base: Float32Array, by: number): void => {
  const module = adapter.modules.get(path)!
  const {
    data: m,
    sizes: [output = 0],
  } = module.lora_magnitude_vector
  const V = Float64Array.from(base)
  const squares = new Float64Array(output)
  addProduct(V, module, scaleOf(adapter, path))
  V.forEach((v, i) => {
    squares[i % output]! += v * v
  })
  V.forEach((v, i) => {
    sum[i]! += by * ((m[i % output]! / Math.sqrt(squares[i % output]!)) * v - base[i]!)
  })
}

const addWhole = (sum: Float64Array, values: Float32Array, base: Float32Array, by: number): void => {
  values.forEach((x, i) => {
    sum[i]! += by * (x - base[i]!)
  })
}

/** Adds `by` times what an adapter changes of a leaf [in, out] to a sum. */
const addChange = (
  sum: Float64Array,
  adapter: Adapter,
  path: string,
  { sizes, data: base }: Floats,
  by: number,
): void => {
  const whole = adapter.whole?.get(path)
  if (whole !== undefined) {
    addWhole(sum, whole.data, base, by)
    return
  }
  switch (adapter.method) {
    case 'dora':
      addDora(sum, adapter, path, base, by)
      return
    case 'full':
      addWhole(sum, adapter.modules.get(path)!.values.data, base, by)
      return
    case 'shira': {
      const { entries, values, base: before } = adapter.modules.get(path)!
      entries.data.forEach((entry: number, i: number) => {
        sum[entry]! += by * (values.data[i]! - before.data[i]!)
      })
      return
    }
    case 'paca': {
      const { columns, values, base: before } = adapter.modules.get(path)!
      const [, output = 0] = sizes
      columns.data.forEach((column: number, k: number) => {
        for (let j = 0; j < output; j++)
          sum[column * output + j]! += by * (values.data[k * output + j]! - before.data[k * output + j]!)
      })
      return
    }
    default: {
      const factors = lowRankOf(adapter, path, sizes[0]!)!
      addProduct(sum, factors, by * factors.scale)
    }
  }
}

/** The change needs the base where it depends on it: of DoRA, and of weights that are saved whole. */
const needsBase = (adapter: Adapter, path: string): boolean =>
  adapter.method === 'dora' || adapter.method === 'full' || adapter.whole?.has(path) === true

/**
 * What an adapter adds to a weight [in, out] of the base, summed in float64; undefined where it leaves the weight
 * alone. `base` is the weight itself: its sizes count, and for DoRA and weights that are saved whole its numbers.
 * @example deltaOf(adapter, 'model.layers.0.self_attn.q_proj', base)
 */
export const deltaOf = (
  adapter: Adapter,
  path: string,
  base: Value<Shape> | readonly number[],
): Float32Array | undefined => {
  if (!touches(adapter, path)) return undefined
  const given = 'data' in base ? base : undefined
  const sizes = 'data' in base ? base.sizes : base
  if (given === undefined && needsBase(adapter, path))
    throw refusal(`${path}: what ${adapter.method} changes depends on the weight of the base`)
  const sum = new Float64Array(sizes.reduce((n, size) => n * size, 1))
  addChange(sum, adapter, path, given ?? valueOf('f32', sizes, new Float32Array(0)), 1)
  return Float32Array.from(sum)
}

/** A leaf with other numbers at some places, each as long as `width`. */
const written = (leaf: Floats, at: Int32Array, values: Float32Array, width: number): Floats => {
  const data = leaf.data.slice()
  at.forEach((place, i) => data.set(values.subarray(i * width, (i + 1) * width), place * width))
  return { ...leaf, data }
}

/** A leaf with an adapter's own numbers in it, where it holds such: its own part, or the base's. */
const exactly = (adapter: Adapter, path: string, leaf: Floats, part: 'values' | 'base'): Floats | undefined => {
  const whole = adapter.whole?.get(path) ?? (adapter.method === 'full' ? adapter.modules.get(path)?.values : undefined)
  if (whole !== undefined) return part === 'values' ? { ...leaf, data: whole.data } : undefined
  if (adapter.method === 'paca') {
    const module = adapter.modules.get(path)
    return module && written(leaf, module.columns.data, module[part].data, leaf.sizes[1]!)
  }
  if (adapter.method !== 'shira') return undefined
  const module = adapter.modules.get(path)
  return module && written(leaf, module.entries.data, module[part].data, 1)
}

/**
 * A leaf [in, out] of the base with adapters written into it; the base itself where none of them changes it. One
 * adapter of weight 1 that holds numbers of the weight (PaCA, SHiRA, full) has them written bit for bit; else it is
 * base + Σ weight · change, summed in float64 and rounded once.
 * @example mergedWeight([{ adapter: a }, { adapter: b, weight: 0.5 }], 'model.layers.0.self_attn.q_proj', base)
 */
export const mergedWeight = (uses: readonly WeightedAdapter[], path: string, base: Value<Shape>): Value<Shape> => {
  const active = uses.filter(({ adapter, weight = 1 }) => weight !== 0 && touches(adapter, path))
  const [first, ...others] = active
  if (first === undefined) return base
  const exact =
    others.length === 0 && (first.weight ?? 1) === 1 ? exactly(first.adapter, path, base, 'values') : undefined
  if (exact !== undefined) return exact
  const sum = Float64Array.from(base.data)
  for (const { adapter, weight = 1 } of active) addChange(sum, adapter, path, base, weight)
  return finite(`${path} with the adapters merged into it`, { ...base, data: Float32Array.from(sum) })
}

/**
 * The base's own numbers written back into a leaf that one adapter of weight 1 was merged into, bit for bit: of PaCA
 * and SHiRA, which keep them. The other methods leave the base as it is, so that it needs no restoring.
 * @example restoredWeight(adapter, 'model.layers.0.self_attn.q_proj', merged)
 */
export const restoredWeight = (adapter: Adapter, path: string, merged: Value<Shape>): Value<Shape> =>
  exactly(adapter, path, merged, 'base') ?? merged
