import * as E from 'fp-ts/lib/Either.js'
import type { Shape, Value } from '../../tensor/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { attemptSync, refusal, type IoError } from '../../host/index.ts'
import { scaleOf, type LoraModule, type MethodTensors, type Adapter } from './adapter.ts'
import { present } from './fields.ts'

type Floats = Value<Shape>

/** The product of a [n, k] and a [k, m] matrix, summed in float64. */
export const product = ({ sizes: [n = 0, k = 0], data: a }: Floats, { sizes: [, m = 0], data: b }: Floats): Floats => {
  const out = new Float32Array(n * m)
  const row = new Float64Array(m)
  for (let i = 0; i < n; i++) {
    row.fill(0)
    for (let l = 0; l < k; l++) {
      const x = a[i * k + l]!
      if (x !== 0) for (let j = 0; j < m; j++) row[j]! += x * b[l * m + j]!
    }
    out.set(row, i * m)
  }
  return valueOf('f32', [n, m], out)
}

/** A matrix whose columns are multiplied by the numbers of a vector. */
const scaledColumns = ({ sizes, data }: Floats, by: (column: number) => number): Floats =>
  valueOf(
    'f32',
    sizes,
    data.map((x, i) => x * by(i % sizes[1]!)),
  )

/** The first rows, or the first columns, of a projection. */
export const firstRows = ({ sizes: [, columns = 0], data }: Floats, rows: number): Floats =>
  valueOf('f32', [rows, columns], data.subarray(0, rows * columns))
export const firstColumns = ({ sizes: [rows = 0, width = 0], data }: Floats, columns: number): Floats => {
  const out = new Float32Array(rows * columns)
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * width, i * width + columns), i * columns)
  return valueOf('f32', [rows, columns], out)
}

/** A module as a low-rank change: scale · A B, added to the weight. */
export interface LowRank extends LoraModule {
  readonly scale: number
}

/** Ones at [chosen column, its place]: A of a PaCA module, [in, r]. */
const oneHots = (width: number, columns: Int32Array, rank: number): Floats => {
  const data = new Float32Array(width * rank)
  columns.forEach((column, j) => {
    data[column * rank + j] = 1
  })
  return valueOf('f32', [width, rank], data)
}

const difference = (a: Floats, b: Floats): Floats =>
  valueOf(
    'f32',
    a.sizes,
    a.data.map((x, i) => x - b.data[i]!),
  )

/** PaCA as LoRA: A takes the chosen inputs, B is what was added to their columns, rounded once. */
const ofPaca = ({ columns, values, base }: MethodTensors['paca'], width: number): LowRank => ({
  lora_A: oneHots(width, columns.data, columns.data.length),
  lora_B: difference(values, base),
  scale: 1,
})

const ofMiss = ({ miss_block }: MethodTensors['miss'], width: number): LowRank => {
  const [rank = 1] = miss_block.sizes
  const data = new Float32Array(width * rank)
  for (let i = 0; i < width; i++) data[i * rank + (i % rank)] = 1
  return { lora_A: valueOf('f32', [width, rank], data), lora_B: miss_block, scale: 1 }
}

const ofVera = (
  { shared }: Adapter<'vera'>,
  { vera_lambda_d: d, vera_lambda_b: b }: MethodTensors['vera'],
  width: number,
): LowRank => ({
  lora_A: scaledColumns(firstRows(shared.vera_A, width), k => d.data[k]!),
  lora_B: scaledColumns(firstColumns(shared.vera_B, b.data.length), j => b.data[j]!),
  scale: 1,
})

/**
 * The change that a module makes, as factors: of the methods whose change of a weight is a low-rank matrix, and
 * undefined for the others. `width` is the number of the module's inputs, which PaCA, MiSS and VeRA do not say
 * themselves.
 */
export const lowRankOf = (adapter: Adapter, path: string, width: number): LowRank | undefined => {
  switch (adapter.method) {
    case 'lora':
    case 'lorafa': {
      const module = adapter.modules.get(path)
      return module && { ...module, scale: scaleOf(adapter, path) }
    }
    case 'moslora': {
      const module = adapter.modules.get(path)
      return (
        module && {
          lora_A: product(module.lora_A, module.lora_mixer),
          lora_B: module.lora_B,
          scale: scaleOf(adapter, path),
        }
      )
    }
    case 'paca': {
      const module = adapter.modules.get(path)
      return module && ofPaca(module, width)
    }
    case 'miss': {
      const module = adapter.modules.get(path)
      return module && ofMiss(module, width)
    }
    case 'vera': {
      const module = adapter.modules.get(path)
      return module && ofVera(adapter, module, width)
    }
    case 'dora':
    case 'shira':
    case 'full':
      return undefined
  }
}

const refused = {
  dora: 'DoRA scales every output of the merged weight',
  shira: 'SHiRA changes single entries',
  full: 'full fine-tuning changes whole weights',
} as const

/** How many inputs a module has; `inputWidths(checkpoint)` says it of a base. */
export type WidthOf = (path: string) => number

/** The fields that survive a change of form: what was asked of whom, and where it comes from. */
const kept = ({
  targetModules,
  settings,
  baseModelName,
  versions,
  seed,
  baseModelHash,
  whole,
  ...adapter
}: Adapter) => {
  const { excludeModules, layersToTransform, layersPattern, modulesToSave, bias, untied } = adapter
  return {
    targetModules,
    settings,
    baseModelName,
    versions,
    ...present({
      seed,
      baseModelHash,
      whole,
      excludeModules,
      layersToTransform,
      layersPattern,
      modulesToSave,
      bias,
      untied,
    }),
  }
}

/**
 * The same change as a LoRA: PaCA with one-hot A and B = values − base, MiSS and VeRA with their factors written out,
 * MosLoRA with its mixer multiplied into A. Errors: a method whose change is no product of two factors.
 * @example loraOf(adapter, inputWidths(checkpoint))
 */
export const loraOf = (adapter: Adapter, widthOf: WidthOf): E.Either<IoError, Adapter<'lora'>> =>
  attemptSync('the adapter', () => {
    const { method } = adapter
    if (method === 'dora' || method === 'shira' || method === 'full')
      throw refusal(`${refused[method]}, which no LoRA says: export it merged`)
    const modules = new Map(
      [...adapter.modules.keys()].map(path => {
        const { lora_A, lora_B } = lowRankOf(adapter, path, widthOf(path))!
        return [path, { lora_A, lora_B }] as const
      }),
    )
    const scaled = method === 'lora' || method === 'lorafa' || method === 'moslora'
    const { rank, rankPattern, alpha, alphaPattern, rslora, dropout } = adapter
    return {
      ...kept(adapter),
      method: 'lora',
      rank,
      modules,
      ...present({ rankPattern }),
      ...(scaled ? present({ alpha, alphaPattern, rslora, dropout }) : {}),
    }
  })

/** An adapter, and how much of it. */
export interface WeightedAdapter {
  readonly adapter: Adapter
  readonly weight?: number
}

/** The number that most have, and the others by path: a default and a pattern. */
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

/** A path as a pattern: earlier versions of PEFT match only words behind the first. */
export const patternKey = (path: string): string => path.replace(/^model\./, '')

const besides = (matrices: readonly Floats[], rows: number): Floats => {
  const width = matrices.reduce((n, { sizes }) => n + sizes[1]!, 0)
  const data = new Float32Array(rows * width)
  matrices.reduce((at, { sizes: [, columns = 0], data: part }) => {
    for (let i = 0; i < rows; i++) data.set(part.subarray(i * columns, (i + 1) * columns), i * width + at)
    return at + columns
  }, 0)
  return valueOf('f32', [rows, width], data)
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
 * One LoRA that is the weighted sum of adapters, exactly: their factors side by side, so that ranks add up; scales and
 * weights go into A. It is `add_weighted_adapter` of PEFT with `combination_type='cat'`. Errors: a method whose change
 * is no product of two factors, modules that are saved whole, adapters of different bases.
 * @example combineAdapters([{ adapter: a, weight: 0.5 }, { adapter: b, weight: 0.5 }], inputWidths(checkpoint))
 */
export const combineAdapters = (
  uses: readonly WeightedAdapter[],
  widthOf: WidthOf,
): E.Either<IoError, Adapter<'lora'>> =>
  attemptSync('the adapters', () => {
    const [first] = uses
    if (first === undefined) throw refusal('there is no adapter to combine')
    const hashes = new Set(uses.flatMap(({ adapter: { baseModelHash: hash } }) => hash ?? []))
    if (hashes.size > 1) throw refusal('the adapters belong to different bases')
    if (uses.some(({ adapter }) => adapter.whole !== undefined)) {
      throw refusal('modules that are saved whole (modules_to_save) cannot be added up as a LoRA')
    }
    const parts = new Map<string, readonly LowRank[]>()
    for (const { adapter, weight = 1 } of uses) {
      const lora = loraOf(adapter, widthOf)
      if (E.isLeft(lora)) throw refusal(lora.left.message)
      for (const [path, module] of lora.right.modules) {
        parts.set(path, [...(parts.get(path) ?? []), { ...module, scale: weight * scaleOf(lora.right, path) }])
      }
    }
    const modules = new Map(
      [...parts].map(([path, factors]): [string, LoraModule] => {
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
        return [path, { lora_A: besides(scaled, scaled[0]!.sizes[0]!), lora_B }]
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
      method: 'lora',
      modules,
      ...patterned(new Map([...modules].map(([path, { lora_B }]) => [path, lora_B.sizes[0]!]))),
    }
  })
