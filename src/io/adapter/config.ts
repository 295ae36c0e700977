import type * as E from 'fp-ts/lib/Either.js'
import { attemptSync, refusal, type IoError, isRecord } from '../../text/index.ts'
import type { AdapterOrigin, AdapterSettings, AnyAdapter } from './adapter.ts'
import { methodNames, recordOf, type MethodName } from '../../tune/index.ts'
import { fieldsOf, present } from './fields.ts'

/** The content of adapter_config.json: everything in an adapter but its tensors. `version` is that of the format. */
export interface AdapterConfig {
  readonly version: 1 | 2
  readonly origin: AdapterOrigin
  readonly settings: AdapterSettings
  readonly method: MethodName
  /** The rank; undefined for a method that has none. */
  readonly rank: number | undefined
}

const formatVersion = 2

/** The content of adapter_config.json, with PEFT's names for the fields that PEFT has. */
export const configOf = ({ rank, ...adapter }: AnyAdapter): Readonly<Record<string, unknown>> => ({
  format_version: formatVersion,
  method: adapter.method,
  ...present({ rank }),
  ...present({
    alpha: adapter.alpha,
    use_rslora: adapter.rslora,
    dropout: adapter.dropout,
    d_initial: adapter.initial,
    rank_pattern: adapter.rankPattern,
    alpha_pattern: adapter.alphaPattern,
  }),
  target_modules: adapter.targetModules,
  ...present({
    exclude_modules: adapter.excludeModules,
    layers_to_transform: adapter.layersToTransform,
    layers_pattern: adapter.layersPattern,
    modules_to_save: adapter.modulesToSave,
    bias: adapter.bias,
    quantize: adapter.quantize,
    selection: adapter.select,
    share_columns: adapter.shareColumns,
    untied: adapter.untied,
    labels: adapter.labels,
    seed: adapter.seed,
  }),
  settings: adapter.settings,
  base_model_name: adapter.baseModelName,
  ...present({ base_model_hash: adapter.baseModelHash }),
  versions: adapter.versions,
})

type Fields = ReturnType<typeof fieldsOf>

/** Readers of settings that occur here and in PEFT's configs, there under other names. */
export const readers = {
  alpha: (fields: Fields, name: string) => fields.number(name, 'a number', () => true),
  rslora: (fields: Fields, name: string) => fields.flag(name),
  /** A dropout probability below 1. */
  dropout: (fields: Fields, name: string) => fields.number(name, 'a number from 0 on, below 1', x => x >= 0 && x < 1),
  initial: (fields: Fields, name: string) => fields.number(name, 'a number', () => true),
  rankPattern: (fields: Fields, name: string) =>
    fields.numbers(name, 'integers from 1 on', x => Number.isSafeInteger(x) && x >= 1),
  alphaPattern: (fields: Fields, name: string) => fields.numbers(name, 'numbers', () => true),
} as const

/** Fields with the same meaning here and in PEFT's configs. */
export const sharedSettings = (fields: Fields): AdapterSettings =>
  present({
    excludeModules: fields.names('exclude_modules'),
    layersToTransform: fields.integers('layers_to_transform'),
    modulesToSave: fields.texts('modules_to_save'),
  })

const quantization = (fields: Fields): AdapterSettings['quantize'] => {
  const value = fields.given('quantize')
  if (value === undefined) return undefined
  if (!isRecord(value) || value['scheme'] !== 'nf4' || typeof value['double'] !== 'boolean') {
    throw fields.wrong('quantize', '{"scheme":"nf4","double":true or false}')
  }
  return { scheme: 'nf4', double: value['double'] }
}

const settingsOf = (fields: Fields): AdapterSettings => ({
  ...sharedSettings(fields),
  ...present({
    alpha: readers.alpha(fields, 'alpha'),
    rslora: readers.rslora(fields, 'use_rslora'),
    dropout: readers.dropout(fields, 'dropout'),
    rankPattern: readers.rankPattern(fields, 'rank_pattern'),
    alphaPattern: readers.alphaPattern(fields, 'alpha_pattern'),
    layersPattern: fields.texts('layers_pattern'),
    bias: fields.oneOf('bias', 'none', 'all', 'lora_only'),
    quantize: quantization(fields),
    select: fields.oneOf('selection', 'random', 'weight', 'gradient'),
    shareColumns: fields.flag('share_columns'),
    initial: readers.initial(fields, 'd_initial'),
    untied: fields.flag('untied'),
    labels: fields.texts('labels'),
  }),
})

const versionsOf = (fields: Fields): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(fields.record('versions')).map(([name, version]): [string, string] => {
      if (typeof version !== 'string') throw fields.wrong('versions', 'an object of strings')
      return [name, version]
    }),
  )

/**
 * The inverse of `configOf`, with every field checked; `file` begins the message. Version 1 has only the methods with
 * `inVersion1`.
 */
export const parseConfig = (file: string, json: Readonly<Record<string, unknown>>): E.Either<IoError, AdapterConfig> =>
  attemptSync(file, () => {
    const fields = fieldsOf(file, json)
    const version = json['format_version']
    if (version !== 1 && version !== 2) throw fields.wrong('format_version', `${formatVersion} (or 1)`)
    const known = version === 1 ? methodNames.filter(name => recordOf(name).inVersion1) : methodNames
    const method = fields.must<MethodName>(
      'method',
      known.map(name => JSON.stringify(name)).join(' or '),
      fields.oneOf('method', ...known),
    )
    const origin = {
      targetModules: fields.must('target_modules', 'a list of strings or a string', fields.names('target_modules')),
      settings: fields.record('settings'),
      baseModelName: fields.dueText('base_model_name'),
      versions: versionsOf(fields),
      ...present({
        seed: version === 1 ? fields.dueInteger('seed', 0) : fields.integer('seed', 0),
        baseModelHash: version === 1 ? fields.dueText('base_model_hash') : fields.text('base_model_hash'),
      }),
    }
    const rank = recordOf(method).rank === undefined ? undefined : fields.dueInteger('rank', 1)
    return { version, origin, settings: version === 1 ? {} : settingsOf(fields), method, rank }
  })

const configFields = new Set([
  'format_version',
  'peft_type',
  'method',
  'rank',
  'alpha',
  'use_rslora',
  'dropout',
  'rank_pattern',
  'alpha_pattern',
  'd_initial',
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'modules_to_save',
  'bias',
  'quantize',
  'selection',
  'share_columns',
  'untied',
  'labels',
  'seed',
  'settings',
  'base_model_name',
  'base_model_hash',
  'versions',
])

/** Refuses fields that this version does not know, because ignoring them could change the meaning. */
export const checkFields = (file: string, json: Readonly<Record<string, unknown>>): void => {
  const unknown = Object.keys(json).find(field => !configFields.has(field))
  if (unknown !== undefined) throw refusal(`${file}: the field ${unknown} is unknown`)
}
