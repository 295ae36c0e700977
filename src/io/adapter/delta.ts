import { count, type Shape, type Value } from '../../tensor/index.ts'
import { addProduct, placesAt, recordOf, type Tensors } from '../../tune/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { refusal } from '../../text/index.ts'
import { layoutOf } from '../checkpoint/load.ts'
import { inputsIn } from '../../model/index.ts'
import { finite } from '../checkpoint/finite.ts'
import { formOfModule, indexIn, savedModule, type Adapter, type AnyAdapter, type WeightedAdapter } from './adapter.ts'

type Floats = Value<Shape>

/** The module that a bias belongs to, if an adapter changes the bias with the weight. */
const moduleOfBias = ({ method, modules }: Adapter, path: string): string | undefined => {
  const module = path.replace(/\.bias$/, '')
  return module !== path && modules.has(module) && recordOf(method).addToBias ? module : undefined
}

/** Tests whether an adapter changes a leaf. */
const touches = (adapter: Adapter, path: string): boolean =>
  adapter.modules.has(path) ||
  adapter.whole?.has(path) === true ||
  adapter.buffers?.has(path) === true ||
  moduleOfBias(adapter, path) !== undefined

/** Tests whether any of the adapters changes a leaf. @example changes([{ adapter }], 'model.norm') */
export const changes = (uses: readonly WeightedAdapter[], path: string): boolean =>
  uses.some(({ adapter }) => touches(adapter, path))

/** The numbers of a weight that an adapter stores: all of them, or those at an index of some kind. */
interface Held {
  readonly values: Float32Array
  /** The base's numbers in those places; a weight that is saved whole does not store them. */
  readonly base: Float32Array | undefined
  /** Their positions in the flattened leaf. */
  readonly places: Int32Array | undefined
}

const floats = (module: Tensors, name: string | undefined): Float32Array | undefined => {
  const tensor = name === undefined ? undefined : module[name]
  return tensor?.dtype === 'f32' ? tensor.data : undefined
}

/** The numbers of a leaf that is trained whole: of a bias that the method changes too, as they become. */
const besideModule = (adapter: Adapter, path: string, leaf: Floats): Float32Array => {
  const of = moduleOfBias(adapter, path)
  if (of === undefined) return leaf.data
  const sum = Float64Array.from(leaf.data)
  recordOf(adapter.method).addToBias?.(sum, savedModule(adapter, of, 0), leaf, 1)
  return Float32Array.from(sum)
}

const heldOf = (adapter: Adapter, path: string, sizes: readonly number[]): Held | undefined => {
  const { method, modules, whole, buffers }: AnyAdapter = adapter
  const buffer = buffers?.get(path)
  if (buffer !== undefined) return { values: buffer.data, base: undefined, places: undefined }
  const leaf = whole?.get(path)
  if (leaf !== undefined) return { values: besideModule(adapter, path, leaf), base: undefined, places: undefined }
  const module = modules.get(path)
  if (module === undefined || recordOf(method).change !== 'values') return undefined
  const form = formOfModule(method, module)
  const before = Object.entries(form).find(([, { from }]) => from === 'before')?.[0]
  const index = indexIn(form)
  const chosen = index && module[index.name]
  return {
    values: floats(module, 'values')!,
    base: floats(module, before),
    places: index && chosen?.dtype === 'i32' ? placesAt(index.among, chosen.data, sizes, index.axis) : undefined,
  }
}

/** Adds `by` times the difference between the numbers that an adapter stores and those of the base. */
const addHeld = (sum: Float64Array, { values, base, places }: Held, leaf: Float32Array, by: number): void => {
  values.forEach((x, i) => {
    const at = places === undefined ? i : places[i]!
    sum[at]! += by * (x - (base === undefined ? leaf[at]! : base[i]!))
  })
}

/** Adds `by` times an adapter's change of a leaf [..., in, out] to a sum. */
const addChange = (sum: Float64Array, adapter: Adapter, path: string, leaf: Floats, by: number): void => {
  const held = heldOf(adapter, path, leaf.sizes)
  if (held !== undefined) {
    addHeld(sum, held, leaf.data, by)
    return
  }
  const { change, lora, addToBias } = recordOf(adapter.method)
  const of = moduleOfBias(adapter, path)
  if (of !== undefined) {
    addToBias?.(sum, savedModule(adapter, of, 0), leaf, by)
    return
  }
  const module = savedModule(adapter, path, leaf.sizes[inputsIn(layoutOf(path))]!)
  if (typeof change === 'object') change.add(sum, module, leaf, by)
  else if ('factors' in lora) {
    const { lora_A, lora_B, scale } = lora.factors(module)
    addProduct(sum, lora_A, lora_B, by * scale)
  }
}

/**
 * Tests whether a change depends on the weight of the base: for a weight that is saved whole, and for methods whose
 * change needs it.
 */
const needsBase = (adapter: Adapter, path: string, sizes: readonly number[]): boolean => {
  const held = heldOf(adapter, path, sizes)
  if (moduleOfBias(adapter, path) !== undefined) return true
  return held === undefined ? typeof recordOf(adapter.method).change === 'object' : held.base === undefined
}

/**
 * The change that an adapter makes to a weight [..., in, out] of the base, summed in float64; undefined if it leaves the
 * weight alone. `base` is the weight itself: its sizes are needed, and its numbers if the change depends on them (DoRA,
 * and weights that are saved whole).
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
  if (given === undefined && needsBase(adapter, path, sizes))
    throw refusal(`${path}: what ${adapter.method} changes depends on the weight of the base`)
  const sum = new Float64Array(count(sizes))
  addChange(sum, adapter, path, given ?? valueOf('f32', sizes, new Float32Array(0)), 1)
  return Float32Array.from(sum)
}

/** A leaf with other numbers at some positions. */
const written = (leaf: Floats, places: Int32Array, numbers: Float32Array): Floats => {
  const data = leaf.data.slice()
  places.forEach((at, i) => {
    data[at] = numbers[i]!
  })
  return { ...leaf, data }
}

/**
 * A leaf with an adapter's own numbers written into it, if the adapter stores numbers of the weight: the trained part,
 * or the base's.
 */
const exactly = (adapter: Adapter, path: string, leaf: Floats, part: 'values' | 'base'): Floats | undefined => {
  const held = heldOf(adapter, path, leaf.sizes)
  const numbers = held?.[part]
  if (held === undefined || numbers === undefined) return undefined
  return held.places === undefined ? { ...leaf, data: numbers } : written(leaf, held.places, numbers)
}

/** Refuses weights with which the sum of variances could be none. */
const checkAveraged = (path: string, uses: readonly WeightedAdapter[]): void => {
  const weights = uses.flatMap(({ adapter: { buffers }, weight = 1 }) => (buffers?.has(path) ? [weight] : []))
  if (weights.some(weight => weight < 0) || weights.reduce((a, b) => a + b, 0) > 1)
    throw refusal(
      `${path}: running statistics are averaged, so the weights of the adapters that hold them are 0 or more, and 1 or less together`,
    )
}

/**
 * A leaf [..., in, out] or a buffer of the base with adapters written into it; the base itself if none of them changes it. If a single
 * adapter of weight 1 stores numbers of the weight (PaCA, SHiRA, full, and buffers), they are written bit for bit; otherwise the
 * result is base + Σ weight · change, summed in float64 and rounded once.
 * @example mergedWeight([{ adapter: a }, { adapter: b, weight: 0.5 }], 'model.layers.0.self_attn.q_proj', base)
 */
export const mergedWeight = (uses: readonly WeightedAdapter[], path: string, base: Value<Shape>): Value<Shape> => {
  const active = uses.filter(({ adapter, weight = 1 }) => weight !== 0 && touches(adapter, path))
  const [first, ...others] = active
  if (first === undefined) return base
  checkAveraged(path, active)
  const exact =
    others.length === 0 && (first.weight ?? 1) === 1 ? exactly(first.adapter, path, base, 'values') : undefined
  if (exact !== undefined) return exact
  const sum = Float64Array.from(base.data)
  for (const { adapter, weight = 1 } of active) addChange(sum, adapter, path, base, weight)
  return finite(`${path} with the adapters merged into it`, { ...base, data: Float32Array.from(sum) })
}

/**
 * Restores a leaf, bit for bit, that one adapter of weight 1 was merged into, from the base's own numbers, for methods
 * that keep them. The others leave the base unchanged, so nothing needs restoring.
 * @example restoredWeight(adapter, 'model.layers.0.self_attn.q_proj', merged)
 */
export const restoredWeight = (adapter: Adapter, path: string, merged: Value<Shape>): Value<Shape> =>
  exactly(adapter, path, merged, 'base') ?? merged
