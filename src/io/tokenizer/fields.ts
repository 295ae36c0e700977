import { refusal, isRecord, quoted } from '../../text/index.ts'

/**
 * One component of a tokenizer.json, whose fields are taken by name. Every error names the file, the place in it and
 * the field. `end` refuses a field that was not taken, because ignoring it silently could change the tokens.
 */
export interface Fields {
  /** The place: `tokenizer.json: pre_tokenizer.pretokenizers[0] Split`. */
  readonly place: string
  readonly type: string
  /** The value of a field; null counts as absent. */
  readonly take: (name: string) => unknown
  readonly string: (name: string, otherwise?: string) => string
  readonly flag: (name: string, otherwise?: boolean) => boolean
  readonly integer: (name: string, otherwise?: number) => number
  readonly oneOf: <const T extends string>(name: string, among: readonly T[], otherwise?: T) => T
  readonly list: (name: string) => readonly unknown[]
  /** Throws a refusal: the component is wrong, or it uses something unsupported. */
  readonly refuse: (reason: string) => never
  readonly unsupported: (what?: string) => never
  readonly end: () => void
}

/** Tests whether a value can be the id of a token. */
export const isId = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31

/**
 * The fields of a component at `path` of a file; `type` is optional if an older format had none.
 * @example fieldsOf('tokenizer.json', 'model', json.model)
 */
export const fieldsOf = (subject: string, path: string, value: unknown, otherwise?: string): Fields => {
  if (value === undefined) throw refusal(`${subject}: ${path} is missing`)
  if (!isRecord(value)) throw refusal(`${subject}: ${path} must be an object, not ${quoted(value)}`)
  const type = value['type'] ?? otherwise
  if (typeof type !== 'string') throw refusal(`${subject}: ${path} names no "type"`)
  const place = `${subject}: ${path} ${type}`
  const taken = new Set(['type'])
  const refuse = (reason: string): never => {
    throw refusal(`${place}: ${reason}`)
  }
  const unsupported = (what?: string): never => {
    throw refusal(
      `${subject}: this tokenizer is not supported: ${path} is ${type}${what === undefined ? '' : ` with ${what}`}`,
    )
  }
  const take = (name: string): unknown => {
    taken.add(name)
    return value[name] ?? undefined
  }
  const field =
    <A>(check: (value: unknown) => value is A, kind: string) =>
    (name: string, otherwise?: A): A => {
      const found = take(name) ?? otherwise
      return check(found)
        ? found
        : refuse(found === undefined ? `"${name}" is missing` : `"${name}" must be ${kind}, not ${quoted(found)}`)
    }
  return {
    place,
    type,
    take,
    refuse,
    unsupported,
    string: field((value): value is string => typeof value === 'string', 'a string'),
    flag: field((value): value is boolean => typeof value === 'boolean', 'true or false'),
    integer: field(isId, 'a whole number'),
    oneOf: (name, among, otherwise) => {
      const found = field((value): value is string => typeof value === 'string', 'a string')(name, otherwise)
      return (
        among.find(known => known === found) ??
        unsupported(`"${name}" ${quoted(found)} (known are ${among.join(', ')})`)
      )
    },
    list: field((value): value is readonly unknown[] => Array.isArray(value), 'a list'),
    end: () => {
      const unknown = Object.keys(value).find(name => !taken.has(name) && value[name] !== null)
      if (unknown !== undefined) unsupported(`the field ${quoted(unknown)}`)
    },
  }
}
