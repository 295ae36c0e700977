/**
 * Reads adapter_config.json as PEFT writes it. Every field of PEFT 0.21 is known: those of a method are read, some only
 * describe the origin of an adapter, and all others must have their default values. Source: huggingface/peft,
 * tuners/{lora,vera,miss}/config.py.
 */
import { refusal, isRecord, quoted } from '../../text/index.ts'
import { methodNames, recordOf, type MethodName, type PeftField, type PeftForm } from '../../tune/index.ts'
import type { Bias } from '../../tune/modules/modules.ts'
import type { AdapterOrigin, AdapterSettings } from './adapter.ts'
import { readers, sharedSettings } from './config.ts'
import { fieldsOf, present } from './fields.ts'

type Json = Readonly<Record<string, unknown>>
type Fields = ReturnType<typeof fieldsOf>

/** The content of PEFT's adapter_config.json. */
export interface PeftConfig {
  readonly method: MethodName
  readonly form: PeftForm
  readonly rank: number | undefined
  readonly origin: AdapterOrigin
  readonly settings: AdapterSettings
  /** True if head and embedding stay tied when the base ties them. */
  readonly ensureTied: boolean
}

/** A method with its form in PEFT. */
export interface InPeft {
  readonly method: MethodName
  readonly form: PeftForm
}

/** The form of a method in PEFT, if it has one. */
export const peftForm = (method: MethodName): PeftForm | undefined => {
  const { peft } = recordOf(method)
  return peft && 'fields' in peft ? peft : undefined
}
/** Every method that has a form in PEFT. */
export const inPeft: readonly InPeft[] = methodNames.flatMap(method => {
  const form = peftForm(method)
  return form ? [{ method, form }] : []
})

/** Fields of every type that do not affect what an adapter computes. */
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
] as const
const common: readonly string[] = [...informative, ...targeting]

/** Tests for a value of a field that is not set. */
const isOff = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0)

const checkField = (file: string, name: string, value: unknown, field: PeftField | undefined, fields: Fields): void => {
  const fixed = field === undefined ? undefined : 'only' in field ? field.only : undefined
  if ((field === undefined || 'only' in field) && !isOff(value) && value !== fixed)
    throw refusal(`${file}: ${name} is ${quoted(value)}, and that field of PEFT is not supported`)
  if (field && 'oneOf' in field && ![undefined, ...field.oneOf].includes(fields.given(name)))
    throw fields.wrong(name, field.expected)
  if (field && 'not' in field && fields.given(name) === field.not)
    throw refusal(`${file}: ${name} is ${quoted(field.not)}, and ${field.because}`)
}

/** The own words of PEFT's types for the biases of adapted modules: all of them mean the same. */
const ownBiases = inPeft.flatMap(({ form }) =>
  Object.values(form.fields).flatMap(field => ('holds' in field && field.own !== undefined ? [field.own] : [])),
)
const biasOf = (fields: Fields, name: string): Bias => {
  const bias = fields.oneOf(name, 'none', 'all', ...new Set(ownBiases)) ?? 'none'
  return bias === 'none' || bias === 'all' ? bias : 'lora_only'
}

/** The settings that a form's fields hold, with further facts. */
interface HeldByFields {
  readonly settings: AdapterSettings
  readonly rank: number | undefined
  readonly seed: number | undefined
  readonly ensureTied: boolean
}
const heldBy = (form: PeftForm, fields: Fields): HeldByFields => {
  const found: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(form.fields)) {
    if (!('holds' in field)) continue
    const read = {
      ...readers,
      rank: (of: Fields, at: string) => of.integer(at, 1),
      seed: (of: Fields, at: string) => of.integer(at, 0),
      tied: (of: Fields, at: string) => of.flag(at),
      bias: biasOf,
    }[field.holds]
    found[field.holds] = read(fields, name) ?? field.absent
  }
  const { rank, seed, tied, ...settings } = found
  // each reader gives the type of its setting
  return { settings: present(settings), rank, seed, ensureTied: tied === true } as HeldByFields
}

/** The method of a config: among those of its type, the one whose flags it has. */
const methodOf = (of: readonly InPeft[], fields: Fields): InPeft | undefined =>
  of.find(({ form }) =>
    Object.entries(form.fields).every(([name, field]) => !('is' in field) || (fields.flag(name) ?? false) === field.is),
  )

/** Reads `layers_pattern`, which is a string or a list of strings. */
const layersPattern = (fields: Fields): readonly string[] | undefined => {
  const names = fields.names('layers_pattern')
  return typeof names === 'string' ? (names === '' ? undefined : [names]) : names?.length === 0 ? undefined : names
}

/**
 * Parses PEFT's adapter_config.json. Throws an `IoError` that names the field if it has a wrong type, or is set and not
 * supported. `modules` are the last words of the modules in the file, for configs that leave the targets to PEFT.
 */
export const parsePeftConfig = (file: string, json: Json, modules: readonly string[]): PeftConfig => {
  const fields = fieldsOf(file, json)
  const type = fields.given('peft_type')
  for (const name of methodNames) {
    const { peft } = recordOf(name)
    if (peft && 'unsupported' in peft && peft.type === type) throw refusal(`${file}: ${peft.unsupported}`)
  }
  const ofType = inPeft.filter(({ form }) => form.type === type)
  const [first] = ofType
  if (first === undefined) {
    const types = [...new Set(inPeft.map(({ form }) => JSON.stringify(form.type)))]
    throw fields.wrong('peft_type', types.join(' or '))
  }
  const { method, form } = methodOf(ofType, fields) ?? first
  for (const [name, value] of Object.entries(json))
    if (!common.includes(name)) checkField(file, name, value, form.fields[name], fields)
  const { settings, rank, seed, ensureTied } = heldBy(form, fields)
  return {
    method,
    form,
    ensureTied,
    rank,
    origin: {
      targetModules: fields.names('target_modules') ?? modules,
      settings: {},
      baseModelName: fields.text('base_model_name_or_path') ?? '',
      versions: present({ peft: fields.text('peft_version') }),
      ...present({ seed }),
    },
    settings: { ...sharedSettings(fields), ...present({ layersPattern: layersPattern(fields) }), ...settings },
  }
}
