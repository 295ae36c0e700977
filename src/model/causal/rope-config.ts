import type { RopeScaling } from './rope-scaling.ts'
import { fieldsOf, limits, type Json, refusal, quoted } from '../../text/index.ts'

/** Rotary positions in a config. */
export interface Rope {
  readonly rope_theta: number
  readonly rope_scaling: RopeScaling
}

/** Fields that every type may have: they do not change what is computed here, or they are refused. */
const common = [
  'rope_type',
  'type',
  'rope_theta',
  'partial_rotary_factor',
  'original_max_position_embeddings',
  'finetuned',
]
/** The additional fields of each type. */
const fieldsOfType: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor'],
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null

/**
 * The scaling that an object describes. `positions` is the length that llama3 was trained on, if the object does not
 * specify it.
 */
const scalingOf = (json: Json, file: string, where: string, positions: number): RopeScaling => {
  const fields = fieldsOf(json, file, field => `${where}.${field}`)
  const type = json['rope_type'] ?? json['type'] ?? 'default'
  if (isGiven(json['type']) && json['type'] !== type) throw fields.wrong('type', JSON.stringify(type))
  const known = typeof type === 'string' && Object.hasOwn(fieldsOfType, type) ? fieldsOfType[type]! : undefined
  if (known === undefined) {
    const names = 'default, linear and llama3 are'
    throw refusal(`${file}: the rope type ${quoted(type)} in ${where} is not supported (${names})`)
  }
  fields.only('partial_rotary_factor', 1)
  const other = Object.keys(json).find(field => isGiven(json[field]) && ![...common, ...known].includes(field))
  if (other !== undefined) throw refusal(`${file}: ${where}.${other} is no field of the rope type ${quoted(type)}`)
  switch (type) {
    case 'linear':
      return { rope_type: 'linear', factor: fields.between('factor', 1, 1e6) }
    case 'llama3': {
      const low = fields.between('low_freq_factor', 1e-6, 1e6)
      const high = fields.between('high_freq_factor', 1e-6, 1e6)
      if (high <= low) throw fields.wrong('high_freq_factor', `a number above low_freq_factor (${low})`)
      return {
        rope_type: 'llama3',
        factor: fields.between('factor', 1, 1e6),
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: fields.integer(
          'original_max_position_embeddings',
          limits.positions,
          positions,
        ),
      }
    }
    default:
      return { rope_type: 'default' }
  }
}

const agree = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/**
 * Reads rotary positions: `rope_parameters` as transformers 5 writes them, `rope_theta` and `rope_scaling` as earlier
 * versions do. If a file has both, they must agree. Throws an `IoError` that names the field.
 * @example ropeOf({ rope_theta: 5e5 }, 'config.json', name => name, 8192).rope_scaling // { rope_type: 'default' }
 */
export const ropeOf = (json: Json, file: string, named: (field: string) => string, maxPositions: number): Rope => {
  const fields = fieldsOf(json, file, named)
  fields.only('partial_rotary_factor', 1)
  // an empty place does not count
  const places = (['rope_parameters', 'rope_scaling'] as const).flatMap(name => {
    const found = fields.object(name)
    return found === undefined || Object.keys(found).length === 0 ? [] : [{ name, found }]
  })
  const positions = fields.integer('original_max_position_embeddings', limits.positions, maxPositions)
  const scalings = places.map(({ name, found }) => scalingOf(found, file, named(name), positions))
  const [scaling = { rope_type: 'default' as const }, second] = scalings
  if (second !== undefined && !agree(scaling, second)) {
    throw refusal(`${file}: rope_parameters and rope_scaling disagree`)
  }
  const isOwn = isGiven(json['original_max_position_embeddings'])
  if (scaling.rope_type === 'llama3' && isOwn && scaling.original_max_position_embeddings !== positions) {
    throw fields.wrong('original_max_position_embeddings', `${scaling.original_max_position_embeddings}, as rope says,`)
  }
  const rates = [
    ...places
      .filter(({ found }) => isGiven(found['rope_theta']))
      .map(({ name, found }) => ({
        name: `${named(name)}.rope_theta`,
        at: fieldsOf(found, file, field => `${named(name)}.${field}`),
      })),
    ...(isGiven(json['rope_theta']) ? [{ name: named('rope_theta'), at: fields }] : []),
  ].map(({ name, at }) => ({ name, theta: at.between('rope_theta', 1, 1e11) }))
  const [rate, other] = [rates[0], rates.find(({ theta }) => theta !== rates[0]?.theta)]
  if (rate && other) {
    throw refusal(`${file}: ${rate.name} is ${rate.theta} and ${other.name} ${other.theta}: specify one of them`)
  }
  return { rope_theta: rate?.theta ?? 10000, rope_scaling: scaling }
}
