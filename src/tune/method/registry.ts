import type { Method, Opaque } from './method.ts'
import { dora } from './dora.ts'
import { full } from './full.ts'
import { lora, lorafa, type LoraOptions } from './lora.ts'
import { miss } from './miss.ts'
import { moslora } from './moslora.ts'
import { paca } from './paca.ts'
import { shira } from './shira.ts'
import { vera } from './vera.ts'

/** What methods can be told; each takes what it has. */
export interface MethodArguments extends LoraOptions<readonly string[], number> {
  /** A selection of one's own, by path: columns for paca, entries for shira. */
  readonly selection?: ReadonlyMap<string, Int32Array>
  /** Paths whose leaves share a selection. */
  readonly groups?: readonly (readonly string[])[]
  /** What VeRA's d begins with. */
  readonly initial?: number
}

/** A method as the registry has it: how it is made, and what it can be told beside its targets. */
export interface MethodEntry {
  readonly make: (options: MethodArguments) => Method<Opaque>
  readonly takes: readonly (keyof MethodArguments)[]
}

const factors = ['rank', 'alpha', 'rslora', 'ranks', 'alphas', 'seed'] as const

/** Every method by name. Adding one here makes every law test it, and the command line offer it. */
export const methods = {
  paca: { make: paca, takes: ['rank', 'ranks', 'seed', 'selection', 'groups'] },
  lora: { make: lora, takes: [...factors, 'dropout'] },
  dora: { make: dora, takes: [...factors, 'dropout'] },
  moslora: { make: moslora, takes: factors },
  vera: { make: vera, takes: ['rank', 'seed', 'initial'] },
  shira: { make: shira, takes: ['rank', 'ranks', 'seed', 'selection'] },
  lorafa: { make: lorafa, takes: [...factors, 'dropout'] },
  miss: { make: miss, takes: ['rank', 'ranks'] },
  full: { make: full, takes: [] },
} as const satisfies Readonly<Record<string, MethodEntry>>
export type MethodName = keyof typeof methods
/** The names of the methods, in the order in which they are listed. */
export const methodNames = Object.keys(methods) as readonly MethodName[] // the keys of the record
