import type { Tensors, Word } from './kept.ts'

/** The settings of an adapter that a field of PEFT's config may hold. `tied`: head and embedding stay tied. */
export type HeldSetting =
  'rank' | 'alpha' | 'alphaPattern' | 'rankPattern' | 'rslora' | 'dropout' | 'initial' | 'seed' | 'bias' | 'tied'

/** A field of adapter_config.json that only some types have. */
export type PeftField =
  /**
   * Holds a setting. `absent` is read if a file lacks the field, `unset` is written if an adapter lacks the setting;
   * `own` is the type's word for the biases of adapted modules.
   */
  | { readonly holds: HeldSetting; readonly absent?: unknown; readonly unset?: unknown; readonly own?: string }
  /** Distinguishes methods of one type. */
  | { readonly is: boolean }
  /** Has this value or is off. */
  | { readonly only: unknown }
  /** Has one of some values. */
  | { readonly oneOf: readonly unknown[]; readonly expected: string; readonly write: unknown }
  /** Has any value but one, for a reason. */
  | { readonly not: unknown; readonly because: string; readonly write: unknown }
  /** Ignored when it is read; its written value may depend on the modules. */
  | { readonly leave: true; readonly write?: (modules: ReadonlyMap<string, Tensors>) => unknown }

/** A tensor in PEFT's files: its name or its ending, and its sizes there. */
export type PeftTensor = readonly [name: string, ...sizes: Word[]]

/** The form of an adapter in PEFT. Source: huggingface/peft 0.21, tuners/{lora,vera,miss}/config.py. */
export interface PeftForm {
  readonly type: string
  /** The tensors by their names here. Words in reverse order mean a transposed matrix. */
  readonly tensors: Readonly<Record<string, PeftTensor>>
  readonly shared?: Readonly<Record<string, PeftTensor>>
  /** The endings of names that earlier versions wrote, and the present ones. */
  readonly older?: Readonly<Record<string, string>>
  /** The endings of refused tensors' names, and the words for these tensors. */
  readonly refused?: Readonly<Record<string, string>>
  /** Modules may be convolutions too, whose factors are convolutions there. */
  readonly convolutions?: true
  /** All modules have the same rank. */
  readonly oneRank?: true
  /** Fields that the other types have and this one lacks. */
  readonly lacks?: readonly string[]
  /** Its own fields, in the order in which they are written. */
  readonly fields: Readonly<Record<string, PeftField>>
}

/** A type of PEFT's that cannot be read, and the reason. */
export interface PeftRefusal {
  readonly type: string
  readonly unsupported: string
}
