import { fileURLToPath } from 'node:url'
import { readFileSync } from 'node:fs'
import {
  adamw, adapt, add, chain, clipByGlobalNorm, full, load, openSafetensors, orThrow, paca, trainStep, warmupCosine, type LlamaBatch, type Loaded, type Values,
} from '../../src/index.ts'

/** The tiny LLaMA of test/golden, with PyTorch's batch, columns and curves. */
export const golden = (name: string): string => fileURLToPath(new URL(`../golden/llama-tiny/${name}`, import.meta.url))

export const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const
export type Method = 'paca' | 'full'
interface Recipe { readonly lr: readonly number[]; readonly steps: number; readonly rank: number }
export const curves = JSON.parse(readFileSync(golden('losses.json'), 'utf8')) as { readonly recipe: Recipe } & { readonly [M in Method]: readonly number[] }

export const openTiny = (): Promise<Loaded> => orThrow(load(golden('.')))

const int32 = async (name: string): Promise<{ readonly sizes: readonly number[]; readonly data: Int32Array }> => {
  const archive = await orThrow(openSafetensors(golden('reference.safetensors')))
  const { sizes, data } = await archive.tensors.get(name)!.read()
  await archive.close()
  return { sizes, data: Int32Array.from(data) }
}

export const tinyBatch = async (): Promise<Values<LlamaBatch>> => ({
  input_ids: { shape: ['batch', 'seq'], dtype: 'i32', ...await int32('input_ids') },
  labels: { shape: ['batch', 'seq'], dtype: 'i32', ...await int32('labels') },
})

/** The columns that PyTorch trained, by path. */
export const tinyColumns = async (): Promise<ReadonlyMap<string, Int32Array>> => {
  const archive = await orThrow(openSafetensors(golden('paca.safetensors'))), columns = new Map<string, Int32Array>()
  for (const [name, entry] of archive.tensors) if (name.startsWith('columns.')) columns.set(name.slice('columns.'.length), Int32Array.from((await entry.read()).data))
  await archive.close()
  return columns
}

/** The step of the recipe: the rate of update k is that of a cosine with two warm-up steps at k + 1. */
export const tinyStep = ({ model }: Loaded, method: Method, columns: ReadonlyMap<string, Int32Array>) => {
  const rate = warmupCosine({ peak: 5e-3, warmup: 2, total: curves.recipe.steps }), { rank } = curves.recipe
  const tx = chain(clipByGlobalNorm(1), adamw({ lr: count => rate(add(count, 1)), weightDecay: 0.01 }))
  const names: readonly string[] = targets
  return method === 'paca' ? trainStep(adapt(model, paca({ targets: names, rank, seed: 0, columns })), tx) : trainStep(adapt(model, full({ targets: names })), tx)
}
