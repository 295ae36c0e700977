import { fileURLToPath } from 'node:url'
import { readFileSync } from 'node:fs'
import {
  adamw,
  adapt,
  add,
  chain,
  clipByGlobalNorm,
  dora,
  full,
  ia3,
  lora,
  moslora,
  norms,
  orThrow,
  paca,
  s2ft,
  startingFrom,
  trainStep,
  vera,
  type Method,
  type Opaque,
  type Shape,
  type Value,
  type Values,
} from '../../src/index.ts'
import { load } from '../../src/io/checkpoint/load.ts'
import { inputBlocks } from '../../src/compiler.ts'
import { openSafetensors, type Loaded } from '../../src/io.ts'
import type { CausalBatch } from '../../src/model.ts'
import { warmupCosine } from '../../src/tune/index.ts'

/** The tiny LLaMA of test/golden, with PyTorch's batch, columns and curves. */
export const golden = (name: string): string => fileURLToPath(new URL(`../golden/llama-tiny/${name}`, import.meta.url))

export const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const
export const methods = ['paca', 'full', 'lora', 'dora', 'vera', 'moslora', 'ia3', 's2ft', 'norms'] as const
export type CurveMethod = (typeof methods)[number]
interface Recipe {
  readonly lr: readonly number[]
  readonly steps: number
  readonly rank: number
}
export const curves = JSON.parse(readFileSync(golden('losses.json'), 'utf8')) as { readonly recipe: Recipe } & {
  readonly [M in CurveMethod]: readonly number[]
}

export const openTiny = (): Promise<Loaded<'text'>> => orThrow(load(golden('.'), 'text'))

const int32 = async (name: string): Promise<{ readonly sizes: readonly number[]; readonly data: Int32Array }> => {
  const archive = await orThrow(openSafetensors(golden('reference.safetensors')))
  const { sizes, data } = await archive.tensors.get(name)!.read()
  await archive.close()
  return { sizes, data: Int32Array.from(data) }
}

export const tinyBatch = async (): Promise<Values<CausalBatch>> => ({
  input_ids: { shape: ['batch', 'seq'], dtype: 'i32', ...(await int32('input_ids')) },
  labels: { shape: ['batch', 'seq'], dtype: 'i32', ...(await int32('labels')) },
})

/** The columns that PyTorch trained, by path. */
export const tinyColumns = async (method: 'paca' | 's2ft' = 'paca'): Promise<ReadonlyMap<string, Int32Array>> => {
  const archive = await orThrow(openSafetensors(golden(`${method}.safetensors`)))
  const columns = new Map<string, Int32Array>()
  for (const [name, entry] of archive.tensors)
    if (name.startsWith('columns.'))
      columns.set(name.slice('columns.'.length), Int32Array.from((await entry.read()).data))
  await archive.close()
  return columns
}

/** A tensor of PyTorch's as the tree has it: matrices `[out, in]` are turned, IA³'s vectors lie flat. */
const turned = ({
  sizes,
  data,
}: {
  readonly sizes: readonly number[]
  readonly data: ArrayLike<number>
}): Value<Shape> => {
  const [rows = 1, columns = 1] = sizes
  if (sizes.length !== 2 || rows === 1 || columns === 1) {
    const flat = [rows * columns]
    return { shape: flat, sizes: flat, dtype: 'f32', data: Float32Array.from(data) }
  }
  return {
    shape: [columns, rows],
    sizes: [columns, rows],
    dtype: 'f32',
    data: Float32Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!),
  }
}

/** The first values of a method's leaves, or another group of tensors, by path in the tree. */
export const tinyValues = async (method: CurveMethod, group = ''): Promise<ReadonlyMap<string, Value<Shape>>> => {
  if (['paca', 'full', 'norms'].includes(method) || (method === 's2ft' && group === '')) return new Map()
  const file =
    method === 'moslora' || method === 's2ft'
      ? `${method}.safetensors`
      : `${method}/${group === '' ? 'adapter_model' : 'reference'}.safetensors`
  const archive = await orThrow(openSafetensors(golden(file)))
  const values = new Map<string, Value<Shape>>()
  const prefix = method === 'moslora' && group === '' ? 'init.' : group
  for (const [name, entry] of archive.tensors) {
    if (!name.startsWith(prefix)) continue
    const path = name
      .slice(prefix.length)
      .replace(/^base_model\.(model\.)?/, '')
      .replace('.default', '')
      .replace(/\.weight$/, '')
      .replace(/\.mixer$/, '.lora_mixer')
    // PEFT calls factors of outputs, [out, 1], and of inputs, [1, in], alike
    values.set(path.replace(/ia3_l$/, entry.sizes[0] === 1 ? 'ia3_in' : 'ia3_out'), turned(await entry.read()))
  }
  await archive.close()
  return values
}

/** PyTorch's methods, with their first values. */
const adapters = async (
  { model }: Loaded<'text'>,
  method: CurveMethod,
  columns: ReadonlyMap<string, Int32Array>,
): Promise<Method<Opaque>> => {
  const names: readonly string[] = targets
  const { rank } = curves.recipe
  const from = startingFrom(await tinyValues(method))
  const options = { targets: names, rank, alpha: 2 * rank, seed: 0 }
  switch (method) {
    case 'paca':
      return paca({ targets: names, rank, seed: 0, selection: columns })
    case 'full':
      return full({ targets: names })
    case 'lora':
      return from(lora(options))
    case 'dora':
      return from(dora(options))
    case 'moslora':
      return from(moslora(options))
    case 'ia3':
      return from(ia3({ targets: ['k_proj', 'v_proj', 'down_proj'] as readonly string[] }))
    case 's2ft':
      return s2ft({
        targets: ['o_proj', 'down_proj'] as readonly string[],
        rank,
        ranks: new Map([...columns].map(([path, { length }]) => [path, length])),
        seed: 0,
        blocks: inputBlocks(model),
        selection: columns,
      })
    case 'norms':
      return norms()
    case 'vera':
      return from(vera({ targets: ['q_proj', 'o_proj'] as readonly string[], rank: 4 * rank, seed: 0 }))
  }
}

/** The step of the recipe: the rate of update k is that of a cosine with two warm-up steps at k + 1. */
export const tinyStep = async (
  loaded: Loaded<'text'>,
  method: CurveMethod,
  columns?: ReadonlyMap<string, Int32Array>,
) => {
  const rate = warmupCosine({ peak: 5e-3, warmup: 2, total: curves.recipe.steps })
  const tx = chain(clipByGlobalNorm(1), adamw({ lr: count => rate(add(count, 1)), weightDecay: 0.01 }))
  return trainStep(
    adapt(
      loaded.model,
      await adapters(loaded, method, columns ?? (await tinyColumns(method === 's2ft' ? method : 'paca'))),
    ),
    tx,
  )
}
