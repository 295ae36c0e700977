import type { Tensors, Word } from './kept.ts'

/** Settings of an adapter that a field of PEFT's config may hold. `tied`: head and embedding stay one. */
export type HeldSetting =
  'rank' | 'alpha' | 'alphaPattern' | 'rankPattern' | 'rslora' | 'dropout' | 'initial' | 'seed' | 'bias' | 'tied'

/** A field of adapter_config.json that only some types have. */
export type PeftField =
  /**
   * Holds a setting. `absent` is read if a file lacks the field, `unset` is written if an adapter lacks the setting;
   * `own` is the type's word for the biases of adapted modules.
   */
  | { readonly holds: HeldSetting; readonly absent?: unknown; readonly unset?: unknown; readonly own?: string }
  /** Tells methods of one type apart. */
  | { readonly is: boolean }
  /** Has this value or is off. */
  | { readonly only: unknown }
  /** Has one of some values. */
  | { readonly oneOf: readonly unknown[]; readonly expected: string; readonly write: unknown }
  /** Has any value but one, for a reason. */
  | { readonly not: unknown; readonly because: string; readonly write: unknown }
  /** Is left alone when it is read; it may follow from the modules. */
  | { readonly leave: true; readonly write?: (modules: ReadonlyMap<string, Tensors>) => unknown }

/** A tensor in PEFT's files: its name, or how it ends, and its sizes there. */
export type PeftTensor = readonly [name: string, ...sizes: Word[]]

/** The form that an adapter has in PEFT. Source: huggingface/peft 0.21, tuners/{lora,vera,miss}/config.py. */
export interface PeftForm {
  readonly type: string
  /** By name of the tensor here. Words in reverse order are a transposed matrix. */
  readonly tensors: Readonly<Record<string, PeftTensor>>
  readonly shared?: Readonly<Record<string, PeftTensor>>
  /** Ends of names that earlier versions wrote, and those of today. */
  readonly older?: Readonly<Record<string, string>>
  /** Ends of names of tensors that are refused, and what they are. */
  readonly refused?: Readonly<Record<string, string>>
  /** All modules have one rank. */
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
