import { raise } from './error.ts'
import { Undefined, defined, isText, numberOf, textOf, truth, typeOf, type Given, type Value } from './value.ts'

/** The arguments of a call by the names of its parameters; a name that ends with `?` is optional. */
export interface Bound {
  readonly get: (name: string) => Value | undefined
  readonly text: (name: string, otherwise?: string) => string
  readonly integer: (name: string, otherwise?: number) => number
  readonly flag: (name: string, otherwise: boolean) => boolean
}

/** A whole number of any size, or an error in Python's words. */
export const wholeOf = (value: Value): bigint => {
  const number = numberOf(defined(value))
  return typeof number === 'bigint' ? number : raise(`'${typeOf(value)}' object cannot be interpreted as an integer`)
}

/** A whole number for counting: one beyond 2^53 is rounded, and one beyond all numbers is infinite. */
export const integerOf = (value: Value): number => Number(wholeOf(value))

/**
 * Binds arguments to parameters as Python does. Ends the rendering if one is missing, repeated or unknown.
 * @example bind('replace', ['old', 'new', 'count?'], given).text('old')
 */
export const bind = (callee: string, parameters: readonly string[], { positional, named }: Given): Bound => {
  const names = parameters.map(name => name.replace('?', ''))
  if (positional.length > names.length) raise(`${callee} takes ${names.length} arguments, not ${positional.length}`)
  const unknown = [...named.keys()].find(name => !names.slice(positional.length).includes(name))
  if (unknown !== undefined) raise(`${callee} takes no argument '${unknown}' here`)
  const values = new Map(named)
  positional.forEach((value, i) => values.set(names[i]!, value))
  const missing = parameters.find(name => !name.endsWith('?') && !values.has(name))
  if (missing !== undefined) raise(`${callee} needs an argument '${missing}'`)
  const get = (name: string): Value | undefined => values.get(name)
  return {
    get,
    text: (name, otherwise) => {
      const value = get(name)
      if (value === undefined && otherwise !== undefined) return otherwise
      return value !== undefined && isText(value)
        ? textOf(value)
        : raise(`${callee}: '${name}' must be str, not ${typeOf(defined(value ?? null))}`)
    },
    integer: (name, otherwise) => {
      const value = get(name)
      return value === undefined && otherwise !== undefined
        ? otherwise
        : integerOf(value ?? new Undefined(`${callee} needs '${name}'`))
    },
    flag: (name, otherwise) => {
      const value = get(name)
      return value === undefined ? otherwise : truth(value)
    },
  }
}
