import { refusal } from './error.ts'
import { shown } from './quote.ts'

export type Json = Readonly<Record<string, unknown>>

/** Tests whether a JSON value is an object (not null, not an array). */
export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Reads the fields of one JSON object. A missing field and null are the same; `named` gives the name that a message
 * uses for a field.
 */
export const fieldsOf = (json: Json, file: string, named: (field: string) => string) => {
  const wrong = (field: string, due: string): Error =>
    refusal(`${file}: ${named(field)} is ${shown(json[field])}: expected ${due}`)
  const number = (field: string, fallback: number | undefined, due: string, valid: (x: number) => boolean): number => {
    const value = json[field] ?? fallback
    if (typeof value !== 'number' || !valid(value)) throw wrong(field, due)
    return value
  }
  return {
    wrong,
    integer: (field: string, max: number, fallback?: number): number =>
      number(field, fallback, `an integer from 1 to ${max}`, x => Number.isInteger(x) && x >= 1 && x <= max),
    between: (field: string, min: number, max: number, fallback?: number): number =>
      number(field, fallback, `a number from ${min} to ${max}`, x => x >= min && x <= max),
    flag: (field: string, fallback: boolean): boolean => {
      const value = json[field] ?? fallback
      if (typeof value !== 'boolean') throw wrong(field, 'true or false')
      return value
    },
    ids: (field: string, vocabulary: number): readonly number[] => {
      const value = json[field] ?? []
      const ids: readonly unknown[] = Array.isArray(value) ? value : [value]
      return ids.map(id => {
        if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabulary) return id
        throw wrong(field, `a token id below the vocabulary's ${vocabulary}`)
      })
    },
    strings: (field: string): readonly string[] => {
      const value = json[field] ?? []
      if (!Array.isArray(value) || !value.every(x => typeof x === 'string')) throw wrong(field, 'a list of strings')
      return value
    },
    /** Fields whose only accepted values are those that this implementation supports. */
    only: (field: string, ...allowed: readonly unknown[]): void => {
      const value = json[field] ?? undefined
      const isEmpty = value === undefined || (Array.isArray(value) && value.length === 0)
      if (isEmpty || allowed.includes(value)) return
      throw wrong(field, allowed.map(x => JSON.stringify(x)).join(' or ') || 'nothing')
    },
    object: (field: string): Json | undefined => {
      const value = json[field] ?? undefined
      if (value !== undefined && !isRecord(value)) throw wrong(field, 'an object')
      return value
    },
  }
}

/**
 * Upper limits far above every published model, and low enough that no product of two of them exceeds the safe
 * integers.
 */
export const limits = {
  vocab: 2 ** 24,
  hidden: 2 ** 20,
  intermediate: 2 ** 22,
  layers: 2 ** 12,
  heads: 2 ** 14,
  headDim: 2 ** 14,
  positions: 2 ** 30,
} as const
