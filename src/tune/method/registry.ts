import type { Adapter, Opaque } from './method.ts'
import { dora } from './dora.ts'
import { full } from './full.ts'
import { lora, lorafa, type LoraOptions } from './lora.ts'
import { miss } from './miss.ts'
import { moslora } from './moslora.ts'
import { paca } from './paca.ts'
import { shira } from './shira.ts'
import { vera } from './vera.ts'

/** What methods can be told; each takes what it has. */
export interface AdapterOptions extends LoraOptions<readonly string[], number> {
  /** A selection of one's own, by path: columns for paca, entries for shira. */
  readonly columns?: ReadonlyMap<string, Int32Array>
  /** Paths whose leaves share a selection. */
  readonly groups?: readonly (readonly string[])[]
  /** What VeRA's d begins with. */
  readonly initial?: number
}

/** A method as the registry has it: how it is made, and what it can be told beside its targets. */
export interface AdapterEntry {
  readonly adapter: (options: AdapterOptions) => Adapter<Opaque>
  readonly takes: readonly (keyof AdapterOptions)[]
}

const factors = ['rank', 'alpha', 'rslora', 'ranks', 'alphas', 'seed'] as const

/** Every method by name. Adding one here makes every law test it, and the command line offer it. */
export const adapters = {
  paca: { adapter: paca, takes: ['rank', 'ranks', 'seed', 'columns', 'groups'] },
  full: { adapter: full, takes: [] },
  lora: { adapter: lora, takes: [...factors, 'dropout'] },
  dora: { adapter: dora, takes: [...factors, 'dropout'] },
  moslora: { adapter: moslora, takes: factors },
  vera: { adapter: vera, takes: ['rank', 'seed', 'initial'] },
  shira: {
    adapter: ({ columns, ...options }) => shira({ ...options, ...(columns ? { entries: columns } : {}) }),
    takes: ['rank', 'ranks', 'seed', 'columns'],
  },
  lorafa: { adapter: lorafa, takes: [...factors, 'dropout'] },
  miss: { adapter: miss, takes: ['rank', 'ranks'] },
} as const satisfies Readonly<Record<string, AdapterEntry>>
export type AdapterName = keyof typeof adapters
