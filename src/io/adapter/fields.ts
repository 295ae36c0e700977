import { refusal, isRecord, shown } from '../../text/index.ts'

/**
 * Reads the fields of a JSON object one by one; absent and null are the same. An invalid field is thrown as an
 * `IoError`.
 */
export const fieldsOf = (file: string, json: Readonly<Record<string, unknown>>) => {
  const wrong = (field: string, due: string): Error =>
    refusal(`${file}: ${field} is ${shown(json[field])}: expected ${due}`)
  const given = (field: string): unknown => json[field] ?? undefined
  const optional = <A>(field: string, due: string, valid: (value: unknown) => value is A): A | undefined => {
    const value = given(field)
    if (value !== undefined && !valid(value)) throw wrong(field, due)
    return value
  }
  const must = <A>(field: string, due: string, value: A | undefined): A => {
    if (value === undefined) throw wrong(field, due)
    return value
  }
  const isText = (value: unknown): value is string => typeof value === 'string'
  const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText)
  const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
  const integerFrom =
    (least: number) =>
    (value: unknown): value is number =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= least
  const integer = (field: string, least: number) => optional(field, `an integer from ${least} on`, integerFrom(least))
  const texts = (field: string) => optional(field, 'a list of strings', isTexts)
  return {
    wrong,
    given,
    text: (field: string) => optional(field, 'a string', isText),
    dueText: (field: string) => must(field, 'a string', optional(field, 'a string', isText)),
    texts,
    /** A list of names, or one expression. */
    names: (field: string) =>
      optional(
        field,
        'a list of strings or a string',
        (value): value is readonly string[] | string => isText(value) || isTexts(value),
      ),
    flag: (field: string) => optional(field, 'true or false', (value): value is boolean => typeof value === 'boolean'),
    number: (field: string, due: string, valid: (x: number) => boolean) =>
      optional(field, due, (value): value is number => isNumber(value) && valid(value)),
    integer,
    dueInteger: (field: string, least: number) => must(field, `an integer from ${least} on`, integer(field, least)),
    /** Integers in a list, or a single one. */
    integers: (field: string): readonly number[] | undefined => {
      const value = given(field)
      const list: unknown = integerFrom(0)(value) ? [value] : value
      if (list !== undefined && !(Array.isArray(list) && list.every(integerFrom(0))))
        throw wrong(field, 'an integer from 0 on or a list of them')
      return list
    },
    /** Numbers by name; each must be valid. */
    numbers: (field: string, due: string, valid: (x: number) => boolean) =>
      optional(
        field,
        `an object of ${due}`,
        (value): value is Readonly<Record<string, number>> =>
          isRecord(value) && Object.values(value).every(x => isNumber(x) && valid(x)),
      ),
    record: (field: string) => must(field, 'an object', optional(field, 'an object', isRecord)),
    oneOf: <const A extends string>(field: string, ...allowed: readonly A[]): A | undefined =>
      optional(field, allowed.map(x => JSON.stringify(x)).join(' or '), (value): value is A =>
        allowed.some(x => x === value),
      ),
    must,
  }
}

/** Drops undefined properties, so that a setting is either present or absent. */
export const present = <T extends object>(settings: T): { readonly [K in keyof T]: Exclude<T[K], undefined> } =>
  // only undefined properties are left out, and the result is spread where they are optional
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as never
