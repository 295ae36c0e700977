/**
 * adapter_config.json as PEFT writes it. Every field of PEFT 0.21 is known: those that we have take part, some only
 * tell where an adapter comes from, and all others may only say what they say unless somebody sets them. Source:
 * huggingface/peft, tuners/{lora,vera,miss}/config.py.
 */
import { refusal, isRecord, quoted } from '../../host/index.ts'
import type { Bias, MethodName } from '../../tune/index.ts'
import type { AdapterOrigin, AdapterSettings } from './adapter.ts'
import { dropoutOf, sharedSettings } from './config.ts'
import { fieldsOf, present } from './fields.ts'

type Json = Readonly<Record<string, unknown>>
type Fields = ReturnType<typeof fieldsOf>

/** PEFT's type of an adapter, by which its fields are told apart. */
const peftTypes = ['LORA', 'VERA', 'MISS'] as const
export type PeftType = (typeof peftTypes)[number]

/** What an adapter_config.json of PEFT says. */
export interface PeftConfig {
  readonly type: PeftType
  readonly method: Extract<MethodName, 'lora' | 'dora' | 'vera' | 'miss'>
  readonly rank: number
  readonly origin: AdapterOrigin
  readonly settings: AdapterSettings
  /** Whether head and embedding stay one where the base ties them. */
  readonly ensureTied: boolean
}

/** Fields of every type that change nothing in what an adapter computes. */
const informative = [
  'task_type',
  'peft_type',
  'auto_mapping',
  'peft_version',
  'base_model_name_or_path',
  'revision',
  'inference_mode',
] as const
const targeting = [
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'modules_to_save',
  'bias',
  'r',
] as const

/** Fields of a type that are read, and those that only matter to how an adapter began or is run. */
const supported: { readonly [T in PeftType]: readonly string[] } = {
  LORA: [
    'lora_alpha',
    'lora_dropout',
    'use_rslora',
    'use_dora',
    'rank_pattern',
    'alpha_pattern',
    'init_lora_weights',
    'eva_config',
    'megatron_core',
    'qalora_group_size',
    'runtime_config',
    'ensure_weight_tying',
  ],
  VERA: ['projection_prng_key', 'save_projection', 'd_initial', 'init_weights'],
  MISS: ['init_weights'],
}

/**
 * The value that a field has where nobody sets it, for fields that may have no other; null, false, {} and [] are such
 * values of any field.
 */
const neutral: Json = { vera_dropout: 0, miss_dropout: 0, mini_r: 1 }

const isOff = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0)

/** Ways to begin that leave the base as it was; the others (pissa, olora, corda, loftq, ...) change its weights too. */
const beginnings: readonly unknown[] = [undefined, true, false, 'gaussian', 'eva', 'orthogonal']

const checkSupported = (file: string, type: PeftType, json: Json, fields: Fields): void => {
  const known = new Set<string>([...informative, ...targeting, ...supported[type]])
  for (const [field, value] of Object.entries(json)) {
    if (!known.has(field) && !isOff(value) && value !== neutral[field]) {
      throw refusal(`${file}: ${field} is ${quoted(value)}, and that field of PEFT is not supported`)
    }
  }
  if (type === 'LORA' && !beginnings.includes(fields.given('init_lora_weights'))) {
    throw fields.wrong(
      'init_lora_weights',
      'true, false, "gaussian", "eva" or "orthogonal" (others change the weights of the base)',
    )
  }
  if (type === 'VERA' && fields.given('save_projection') === false) {
    const why = "the projections follow from PyTorch's own random numbers"
    throw refusal(`${file}: save_projection is false, and ${why}: save the adapter with save_projection`)
  }
  if (type === 'MISS' && !([undefined, true, false] as readonly unknown[]).includes(fields.given('init_weights'))) {
    throw fields.wrong('init_weights', 'true or false (the variants "bat" and "mini" are not supported)')
  }
}

/**
 * Biases are told apart by the method: `lora_only`, `vera_only`, `MiSS_only`. A LLaMA has none, so that all of these
 * train the same.
 */
const biasOf = (fields: Fields): Bias => {
  const bias = fields.oneOf('bias', 'none', 'all', 'lora_only', 'vera_only', 'MiSS_only') ?? 'none'
  return bias === 'none' || bias === 'all' ? bias : 'lora_only'
}

/** The defaults of PEFT, for configs that say the least. */
const defaultRank: { readonly [T in PeftType]: number } = { LORA: 8, VERA: 256, MISS: 64 }

const methodOf = (type: PeftType, fields: Fields): PeftConfig['method'] => {
  switch (type) {
    case 'LORA':
      return fields.flag('use_dora') === true ? 'dora' : 'lora'
    case 'VERA':
      return 'vera'
    case 'MISS':
      return 'miss'
  }
}

/** `layers_pattern` is a string or a list of them. */
const layersPattern = (fields: Fields): readonly string[] | undefined => {
  const names = fields.names('layers_pattern')
  return typeof names === 'string' ? (names === '' ? undefined : [names]) : names?.length === 0 ? undefined : names
}

/**
 * Parses adapter_config.json of PEFT. Throws an `IoError` that names the field: one of a wrong type, or one that is set
 * and not supported. `modules` are the last words of the modules that the file has, for configs that leave the targets
 * to PEFT.
 */
export const parsePeftConfig = (file: string, json: Json, modules: readonly string[]): PeftConfig => {
  const fields = fieldsOf(file, json)
  const type = peftTypes.find(known => known === fields.given('peft_type'))
  // its entries are counted in a weight whose sizes, and added to values that, only the base knows
  if (fields.given('peft_type') === 'SHIRA') {
    throw refusal(`${file}: SHiRA adapters of PEFT are not supported: they say what is added, not what there is`)
  }
  if (type === undefined) throw fields.wrong('peft_type', peftTypes.map(known => JSON.stringify(known)).join(' or '))
  checkSupported(file, type, json, fields)
  const lora = type === 'LORA'
  const isDue = (x: number): boolean => Number.isFinite(x)
  return {
    type,
    method: methodOf(type, fields),
    ensureTied: lora && fields.flag('ensure_weight_tying') === true,
    rank: fields.integer('r', 1) ?? defaultRank[type],
    origin: {
      targetModules: fields.names('target_modules') ?? modules,
      settings: {},
      baseModelName: fields.text('base_model_name_or_path') ?? '',
      versions: present({ peft: fields.text('peft_version') }),
      ...present({ seed: type === 'VERA' ? fields.integer('projection_prng_key', 0) : undefined }),
    },
    settings: {
      ...sharedSettings(fields),
      ...present({
        alpha: lora ? (fields.number('lora_alpha', 'a number', isDue) ?? 8) : undefined,
        dropout: lora ? dropoutOf(fields, 'lora_dropout') : undefined,
        layersPattern: layersPattern(fields),
        bias: biasOf(fields),
        initial: type === 'VERA' ? fields.number('d_initial', 'a number', isDue) : undefined,
      }),
    },
  }
}
