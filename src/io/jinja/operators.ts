import { raise, unsupported } from './error.ts'
import type { Meter } from './meter.ts'
import { percent } from './printf.ts'
import { Markup, Tuple, Undefined, defined, isList, isText, numberOf, textOf, typeOf, type Value } from './value.ts'
import { weigh } from './weigh.ts'

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '>': '&gt;',
  '<': '&lt;',
  "'": '&#39;',
  '"': '&#34;',
}

/** Escapes HTML's characters in a text, unless it is escaped already. */
export const escape = (value: string | Markup): Markup =>
  value instanceof Markup ? value : new Markup(value.replace(/[&><'"]/g, character => entities[character]!))

/** The largest int, as a power of two. */
const widest = 1n << 16384n
const whole = (value: bigint): bigint => (value > widest || value < -widest ? raise('an int is too large') : value)

const mismatch = (operator: string, a: Value, b: Value): never =>
  raise(`unsupported operand type(s) for ${operator}: '${typeOf(defined(a))}' and '${typeOf(defined(b))}'`)

const floorDivided = (a: bigint, b: bigint): bigint => {
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

const arithmetic = (operator: string, a: number | bigint, b: number | bigint): Value => {
  if (['/', '//', '%'].includes(operator) && Number(b) === 0) return raise('division by zero')
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    switch (operator) {
      case '+':
        return whole(a + b)
      case '-':
        return whole(a - b)
      case '*':
        return whole(a * b)
      case '//':
        return floorDivided(a, b)
      case '%':
        return a - b * floorDivided(a, b)
      case '**':
        if (b < 0n) return Number(a) ** Number(b)
        return b > 16384n && a * a > 1n ? raise('an int is too large') : whole(a ** b)
      default:
        return Number(a) / Number(b)
    }
  }
  const [x, y] = [Number(a), Number(b)]
  switch (operator) {
    case '+':
      return x + y
    case '-':
      return x - y
    case '*':
      return x * y
    case '//':
      return Math.floor(x / y)
    case '%': {
      const rest = x % y
      return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest
    }
    case '**':
      return x < 0 && !Number.isInteger(y) ? unsupported('a complex number') : x ** y
    default:
      return x / y
  }
}

const repeated = (sequence: Value, times: bigint, meter: Meter): Value | undefined => {
  const count = times < 0n ? 0 : Number(times)
  const copies = (items: readonly Value[]): readonly Value[] => {
    meter.spend(items.length * count)
    return Array.from({ length: count }, () => items).flat()
  }
  if (isText(sequence)) {
    const text = textOf(sequence)
    meter.room(text.length * count)
    return sequence instanceof Markup ? new Markup(text.repeat(count)) : text === '' ? '' : text.repeat(count)
  }
  return isList(sequence) ? copies(sequence) : sequence instanceof Tuple ? new Tuple(copies(sequence.items)) : undefined
}

const added = (a: Value, b: Value, meter: Meter): Value | undefined => {
  if (isText(a) && isText(b)) {
    if (a instanceof Markup || b instanceof Markup) return new Markup(meter.text(escape(a).text + escape(b).text))
    return meter.text(a + b)
  }
  const joined = (x: readonly Value[], y: readonly Value[]): readonly Value[] => {
    meter.spend(x.length + y.length)
    return [...x, ...y]
  }
  if (isList(a) && isList(b)) return joined(a, b)
  return a instanceof Tuple && b instanceof Tuple ? new Tuple(joined(a.items, b.items)) : undefined
}

/**
 * Applies an operator to two values. Ends the rendering if Python raises an error.
 * @example operate('+', 1n, 2n, meter) // 3n
 */
export const operate = (operator: string, left: Value, right: Value, meter: Meter): Value => {
  if (left instanceof Undefined) return raise(left.message)
  if (operator === '%' && isText(left)) {
    weigh(right, meter)
    return left instanceof Markup ? unsupported('formatting an escaped text') : percent(left, right, meter)
  }
  if (right instanceof Undefined) return raise(right.message)
  const [a, b] = [numberOf(left), numberOf(right)]
  if (a !== undefined && b !== undefined) return arithmetic(operator, a, b)
  const result =
    operator === '+'
      ? added(left, right, meter)
      : operator === '*' && typeof b === 'bigint'
        ? repeated(left, b, meter)
        : operator === '*' && typeof a === 'bigint'
          ? repeated(right, a, meter)
          : undefined
  return result ?? mismatch(operator, left, right)
}

/** Applies a sign to a value. */
export const negated = (operator: string, value: Value): Value => {
  const number = numberOf(defined(value))
  if (number === undefined) return raise(`bad operand type for unary ${operator}: '${typeOf(value)}'`)
  return operator === '-' ? -number : number
}
