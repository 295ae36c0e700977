import * as E from 'fp-ts/lib/Either.js'
import { count, type Shape, type Value } from '../../tensor/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { layoutOf } from '../checkpoint/load.ts'
import { attemptSync, refusal, type IoError } from '../../text/index.ts'
import { lowRankMethod, recordOf, type LowRankMethod } from '../../tune/index.ts'
import {
  rankOf,
  savedModule,
  scaleOf,
  type Adapter,
  type AnyAdapter,
  type MethodTensors,
  type WeightedAdapter,
} from './adapter.ts'
import { present } from './fields.ts'

type Floats = Value<Shape>

/** A module as the two factors of a LoRA. */
type Factors = MethodTensors[LowRankMethod]

/** The number of inputs of a module; `inputWidths(checkpoint)` gives it for a base. */
export type WidthOf = (path: string) => number

/** The fields that survive a change of form: the targets and the origin. */
const kept = ({
  targetModules,
  settings,
  baseModelName,
  versions,
  seed,
  baseModelHash,
  whole,
  buffers,
  ...adapter
}: Adapter) => {
  const { excludeModules, layersToTransform, layersPattern, modulesToSave, bias, untied, labels } = adapter
  return {
    targetModules,
    settings,
    baseModelName,
    versions,
    ...present({
      seed,
      baseModelHash,
      whole,
      buffers,
      excludeModules,
      layersToTransform,
      layersPattern,
      modulesToSave,
      bias,
      untied,
      labels,
    }),
  }
}

/**
 * The same change as a LoRA: PaCA with one-hot A (of a convolution for each place of its window) and B = values − base, MiSS and VeRA with their factors written out,
 * MosLoRA with its mixer multiplied into A. Errors: a method whose change is not a product of two factors.
 * @example loraOf(adapter, inputWidths(checkpoint))
 */
export const loraOf = (adapter: Adapter, widthOf: WidthOf): E.Either<IoError, Adapter<LowRankMethod>> =>
  attemptSync('the adapter', () => {
    const { lora, takes } = recordOf(adapter.method)
    if ('none' in lora) throw refusal(`${lora.none}, which no LoRA says: export it merged`)
    const modules = new Map(
      [...adapter.modules.keys()].map(path => {
        if (layoutOf(path) === 'depthwise')
          throw refusal(`${path} convolves each channel by itself, which no LoRA says: export it merged`)
        const { lora_A, lora_B } = lora.factors(savedModule(adapter, path, widthOf(path)))
        return [path, { lora_A, lora_B }] as const
      }),
    )
    const { rank = 0, rankPattern, alpha, alphaPattern, rslora, dropout }: AnyAdapter = adapter
    const ranks = new Map([...modules].map(([path, { lora_A }]) => [path, lora_A.sizes.at(-1)!]))
    // a method may train more than the rank that it was asked for, as whole heads
    const asAsked = [...ranks].every(([path, own]) => own === rankOf(adapter, path))
    return {
      ...kept(adapter),
      method: lowRankMethod,
      modules,
      ...(asAsked ? { rank, ...present({ rankPattern }) } : patterned(ranks)),
      ...(takes.includes('alpha') ? present({ alpha, alphaPattern, rslora, dropout }) : {}),
    }
  })

/** The most frequent number, and the others by path: a default and a pattern. */
const patterned = (
  ranks: ReadonlyMap<string, number>,
): { readonly rank: number; readonly rankPattern?: Readonly<Record<string, number>> } => {
  const all = [...ranks.values()]
  const frequency = (rank: number): number => all.filter(other => other === rank).length
  const rank = all.reduce((most, other) => (frequency(other) > frequency(most) ? other : most))
  const others = [...ranks]
    .filter(([, other]) => other !== rank)
    .map(([path, other]) => [patternKey(path), other] as const)
  return { rank, ...(others.length > 0 ? { rankPattern: Object.fromEntries(others) } : {}) }
}

/** A path as a pattern: earlier versions of PEFT only match words after the first. */
export const patternKey = (path: string): string => path.replace(/^model\./, '')

/** Arrays side by side, along their last axis. */
const besides = (parts: readonly Floats[]): Floats => {
  const before = parts[0]!.sizes.slice(0, -1)
  const rows = count(before)
  const width = parts.reduce((n, { sizes }) => n + sizes.at(-1)!, 0)
  const data = new Float32Array(rows * width)
  parts.reduce((at, { sizes, data: part }) => {
    const columns = sizes.at(-1)!
    for (let i = 0; i < rows; i++) data.set(part.subarray(i * columns, (i + 1) * columns), i * width + at)
    return at + columns
  }, 0)
  return valueOf('f32', [...before, width], data)
}
const below = (matrices: readonly Floats[], columns: number): Floats => {
  const rows = matrices.reduce((n, { sizes }) => n + sizes[0]!, 0)
  const data = new Float32Array(rows * columns)
  matrices.reduce((at, { data: part }) => {
    data.set(part, at)
    return at + part.length
  }, 0)
  return valueOf('f32', [rows, columns], data)
}

/**
 * A single LoRA that equals the weighted sum of adapters exactly: their factors are concatenated, so ranks add up;
 * scales and weights go into A. It is `add_weighted_adapter` of PEFT with `combination_type='cat'`. Errors: a method
 * whose change is not a product of two factors, modules that are saved whole, adapters of different bases.
 * @example combineAdapters([{ adapter: a, weight: 0.5 }, { adapter: b, weight: 0.5 }], inputWidths(checkpoint))
 */
export const combineAdapters = (
  uses: readonly WeightedAdapter[],
  widthOf: WidthOf,
): E.Either<IoError, Adapter<LowRankMethod>> =>
  attemptSync('the adapters', () => {
    const [first] = uses
    if (first === undefined) throw refusal('there is no adapter to combine')
    const hashes = new Set(uses.flatMap(({ adapter: { baseModelHash: hash } }) => hash ?? []))
    if (hashes.size > 1) throw refusal('the adapters belong to different bases')
    if (uses.some(({ adapter }) => adapter.whole !== undefined)) {
      throw refusal('modules that are saved whole (modules_to_save) cannot be added up as a LoRA')
    }
    if (uses.some(({ adapter }) => adapter.buffers !== undefined))
      throw refusal('running statistics of norms cannot be added up as a LoRA: export merged')
    const parts = new Map<string, readonly (Factors & { readonly scale: number })[]>()
    for (const { adapter, weight = 1 } of uses) {
      const lora = loraOf(adapter, widthOf)
      if (E.isLeft(lora)) throw refusal(lora.left.message)
      for (const [path, module] of lora.right.modules) {
        parts.set(path, [...(parts.get(path) ?? []), { ...module, scale: weight * scaleOf(lora.right, path) }])
      }
    }
    const modules = new Map(
      [...parts].map(([path, factors]): [string, Factors] => {
        const scaled = factors.map(({ lora_A, scale }) =>
          valueOf(
            'f32',
            lora_A.sizes,
            lora_A.data.map(x => x * scale),
          ),
        )
        const lora_B = below(
          factors.map(factor => factor.lora_B),
          factors[0]!.lora_B.sizes[1]!,
        )
        return [path, { lora_A: besides(scaled), lora_B }]
      }),
    )
    const bound = uses.find(({ adapter }) => adapter.baseModelHash !== undefined) ?? first
    const { settings, baseModelName, versions, baseModelHash } = bound.adapter
    const untied = uses.some(({ adapter }) => adapter.untied === true) ? true : undefined
    return {
      settings,
      baseModelName,
      versions,
      ...present({ baseModelHash, untied }),
      targetModules: [...modules.keys()],
      method: lowRankMethod,
      modules,
      ...patterned(new Map([...modules].map(([path, { lora_B }]) => [path, lora_B.sizes[0]!]))),
    }
  })
