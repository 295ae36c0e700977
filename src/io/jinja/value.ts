import { raise, unsupported } from './error.ts'

/** An undefined name or attribute: it prints as nothing, and any other use ends the rendering. */
export class Undefined {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}
/** A text with HTML's characters escaped. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
export class Tuple {
  readonly items: readonly Value[]
  constructor(items: readonly Value[]) {
    this.items = items
  }
}
/** An item of `groupby`: a tuple whose parts also have names. */
export class Group extends Tuple {}
export class Range {
  readonly shown: string
  readonly items: readonly Value[]
  constructor(shown: string, items: readonly Value[]) {
    this.shown = shown
    this.items = items
  }
}
/** The keys, values or entries of a dict. */
export class View {
  readonly kind: 'keys' | 'values' | 'items'
  readonly items: readonly Value[]
  constructor(kind: View['kind'], items: readonly Value[]) {
    this.kind = kind
    this.items = items
  }
}
/** An iterable that can be consumed once, like Python's generators. */
export class Generator {
  private left: readonly Value[]
  constructor(items: readonly Value[]) {
    this.left = items
  }
  peek(): readonly Value[] {
    return this.left
  }
  take(): readonly Value[] {
    const items = this.left
    this.left = []
    return items
  }
}
export class Namespace {
  readonly entries: Map<string, Value>
  constructor(entries: Map<string, Value>) {
    this.entries = entries
  }
}

/** The arguments of a call. */
export interface Given {
  readonly positional: readonly Value[]
  readonly named: ReadonlyMap<string, Value>
}
/** A function with attributes. */
export class Callable {
  readonly name: string
  readonly call: (given: Given) => Value
  readonly attribute: (name: string) => Value | undefined
  constructor(name: string, call: Callable['call'], attribute: Callable['attribute'] = () => undefined) {
    this.name = name
    this.call = call
    this.attribute = attribute
  }
}

export type Dict = ReadonlyMap<Value, Value>
/** A Python value: an int is a bigint, a float a number, a list an array, a dict a Map. */
export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Undefined
  | Markup
  | Tuple
  | Range
  | View
  | Generator
  | Namespace
  | Callable
  | readonly Value[]
  | Dict

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value)
export const isDict = (value: Value): value is Dict => value instanceof Map
export const isText = (value: Value): value is string | Markup => typeof value === 'string' || value instanceof Markup

/** Python's name of a value's type. */
export const typeOf = (value: Value): string =>
  value === null
    ? 'NoneType'
    : typeof value === 'boolean'
      ? 'bool'
      : typeof value === 'bigint'
        ? 'int'
        : typeof value === 'number'
          ? 'float'
          : typeof value === 'string'
            ? 'str'
            : isList(value)
              ? 'list'
              : isDict(value)
                ? 'dict'
                : value instanceof View
                  ? `dict_${value.kind}`
                  : value instanceof Callable
                    ? 'function'
                    : value.constructor.name.toLowerCase()

/** A value, or a default if it is undefined. `??` would not do, because None is a value. */
export const orElse = (value: Value | undefined, otherwise: () => Value): Value =>
  value === undefined ? otherwise() : value

/** Ends the rendering if the value is undefined. */
export const defined = <V extends Value>(value: V): Exclude<V, Undefined> =>
  value instanceof Undefined ? raise(value.message) : (value as Exclude<V, Undefined>)

const hasSurrogates = /[\ud800-\udfff]/
/** The characters of a text. A text without surrogates needs no copy. */
export const characters = (text: string): readonly string[] | string =>
  hasSurrogates.test(text) ? Array.from(text) : text
export const lengthOf = (text: string): number => characters(text).length
/** A part of a text, in characters. */
export const part = (text: string, start: number, end?: number): string => {
  const all = characters(text)
  return typeof all === 'string' ? all.slice(start, end) : all.slice(start, end).join('')
}

export const truth = (value: Value): boolean => {
  if (value === null || value instanceof Undefined) return false
  if (value instanceof Markup) return value.text !== ''
  if (isList(value)) return value.length > 0
  if (isDict(value)) return value.size > 0
  if (value instanceof Tuple || value instanceof View || value instanceof Range) return value.items.length > 0
  return typeof value === 'number' ? value !== 0 : typeof value === 'object' || Boolean(value)
}

/** The items that a loop over a value visits. */
export const iterate = (value: Value): readonly Value[] => {
  if (typeof value === 'string') return Array.from(value)
  if (value instanceof Markup) return Array.from(value.text, text => new Markup(text))
  if (value instanceof Undefined) return []
  if (isList(value)) return value
  if (isDict(value)) return [...value.keys()]
  if (value instanceof Tuple || value instanceof View || value instanceof Range) return value.items
  if (value instanceof Generator) return value.take()
  return raise(`'${typeOf(value)}' object is not iterable`)
}

/** Python's len, or undefined if there is none. */
export const sizeOf = (value: Value): number | undefined =>
  isText(value)
    ? lengthOf(textOf(value))
    : value instanceof Undefined
      ? 0
      : isList(value)
        ? value.length
        : isDict(value)
          ? value.size
          : value instanceof Tuple || value instanceof View || value instanceof Range
            ? value.items.length
            : undefined

export const textOf = (value: string | Markup): string => (typeof value === 'string' ? value : value.text)

/** A bool, int or float as a comparable number; undefined for anything else. */
export const numberOf = (value: Value): number | bigint | undefined =>
  typeof value === 'boolean'
    ? BigInt(value)
    : typeof value === 'bigint' || typeof value === 'number'
      ? value
      : undefined

export const equal = (a: Value, b: Value): boolean => {
  const [x, y] = [numberOf(a), numberOf(b)]
  // eslint-disable-next-line eqeqeq -- 1 == 1n, as in Python 1 == 1.0
  if (x !== undefined || y !== undefined) return x !== undefined && y !== undefined && x == y
  if (isText(a) && isText(b)) return textOf(a) === textOf(b)
  if (isList(a) && isList(b)) return a.length === b.length && a.every((item, i) => equal(item, b[i]!))
  if (a instanceof Tuple && b instanceof Tuple) return equal(a.items, b.items)
  if (isDict(a) && isDict(b))
    return a.size === b.size && [...a].every(([key, item]) => b.has(key) && equal(item, b.get(key)!))
  if (a instanceof Undefined && b instanceof Undefined) return true
  if (a instanceof Range && b instanceof Range) return equal(a.items, b.items)
  return a === b
}

const compareText = (a: string, b: string): number => {
  const [x, y] = [characters(a), characters(b)]
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const difference = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!
    if (difference !== 0) return difference
  }
  return x.length - y.length
}

/**
 * A number below 0, 0 or above 0, as a compares with b; NaN is not ordered. Ends the rendering if Python defines no
 * order.
 */
export const compare = (a: Value, b: Value, operator = '<'): number => {
  const [x, y] = [numberOf(defined(a)), numberOf(defined(b))]
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : equal(x, y) ? 0 : NaN
  if (isText(a) && isText(b)) return compareText(textOf(a), textOf(b))
  const [p, q] = a instanceof Tuple && b instanceof Tuple ? [a.items, b.items] : isList(a) && isList(b) ? [a, b] : []
  if (p === undefined || q === undefined)
    return raise(`'${operator}' not supported between instances of '${typeOf(a)}' and '${typeOf(b)}'`)
  const at = p.findIndex((item, i) => i >= q.length || !equal(item, q[i]!))
  return at < 0 || at >= q.length ? p.length - q.length : compare(p[at]!, q[at]!, operator)
}

export const contains = (container: Value, item: Value): boolean => {
  if (isText(container)) {
    return isText(item)
      ? textOf(container).includes(textOf(item))
      : raise(`'in <string>' requires string as left operand, not ${typeOf(defined(item))}`)
  }
  if (isDict(container)) return !(item instanceof Undefined) && container.has(keyOf(item))
  if (
    container === null ||
    numberOf(container) !== undefined ||
    container instanceof Namespace ||
    container instanceof Callable
  ) {
    return raise(`argument of type '${typeOf(container)}' is not iterable`)
  }
  return iterate(container).some(candidate => equal(candidate, item))
}

/** A value as the key of a dict. */
export const keyOf = (value: Value): Value => {
  if (value instanceof Markup) return value.text
  if (typeof value === 'string' || typeof value === 'bigint' || value === null) return value
  return unsupported(`a dict with a key of type ${typeOf(value)}`)
}
