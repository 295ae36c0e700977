import { unsupported } from './error.ts'
import {
  Callable,
  Generator,
  Markup,
  Namespace,
  Range,
  Tuple,
  Undefined,
  View,
  isDict,
  isList,
  type Value,
} from './value.ts'

/** A float as Python prints it. @example floatText(1e16) // '1e+16' */
export const floatText = (value: number): string => {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const [digits = '', power = '0'] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 16)
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

const unprintable = /[\p{C}\p{Z}]/u
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const escaped = (character: string): string => {
  const point = character.codePointAt(0)!
  return point < 0x100
    ? `\\x${point.toString(16).padStart(2, '0')}`
    : point < 0x10000
      ? `\\u${point.toString(16).padStart(4, '0')}`
      : `\\U${point.toString(16).padStart(8, '0')}`
}

const quotedText = (text: string): string => {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inside = Array.from(text, character =>
    character === quote
      ? `\\${quote}`
      : (escapes[character] ?? (character !== ' ' && unprintable.test(character) ? escaped(character) : character)),
  )
  return `${quote}${inside.join('')}${quote}`
}

/** A value as it appears inside a printed list or dict: Python's repr. */
export const repr = (value: Value): string => {
  if (typeof value === 'string') return quotedText(value)
  if (value instanceof Markup) return `Markup(${quotedText(value.text)})`
  return value instanceof Undefined ? 'Undefined' : printed(value)
}

/** A value as Python prints it: `True`, `None`, `[1, 'a']`. An undefined name prints as nothing. */
export const printed = (value: Value): string => {
  if (typeof value === 'string') return value
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return floatText(value)
  if (value instanceof Markup) return value.text
  if (value instanceof Undefined) return ''
  if (isList(value)) return `[${value.map(repr).join(', ')}]`
  if (value instanceof Tuple)
    return value.items.length === 1 ? `(${repr(value.items[0]!)},)` : `(${value.items.map(repr).join(', ')})`
  if (isDict(value)) return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(', ')}}`
  if (value instanceof Range) return value.shown
  if (value instanceof View) return `dict_${value.kind}([${value.items.map(repr).join(', ')}])`
  if (value instanceof Namespace) return `<Namespace ${printed(new Map<Value, Value>(value.entries))}>`
  return unsupported(
    value instanceof Callable
      ? `printing the function "${value.name}"`
      : value instanceof Generator
        ? 'printing a generator'
        : 'printing this value',
  )
}
