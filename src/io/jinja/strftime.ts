import { unsupported } from './error.ts'

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const dayOfYear = (date: Date): number =>
  Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 864e5,
  ) + 1

/** The week of the year by ISO 8601, and the year it belongs to. */
const isoWeek = (date: Date): readonly [number, number] => {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7))
  return [Math.ceil(dayOfYear(thursday) / 7), thursday.getFullYear()]
}

/** A field of a date: its value, its width and its padding. */
const field = (date: Date, letter: string): readonly [value: number | string, width?: number, fill?: string] => {
  const hour = date.getHours()
  const year = date.getFullYear()
  const day = date.getDay()
  switch (letter) {
    case 'Y':
      return [year]
    case 'C':
      return [Math.floor(year / 100), 2]
    case 'y':
      return [year % 100, 2]
    case 'm':
      return [date.getMonth() + 1, 2]
    case 'd':
      return [date.getDate(), 2]
    case 'e':
      return [date.getDate(), 2, ' ']
    case 'H':
      return [hour, 2]
    case 'k':
      return [hour, 2, ' ']
    case 'I':
      return [hour % 12 || 12, 2]
    case 'l':
      return [hour % 12 || 12, 2, ' ']
    case 'M':
      return [date.getMinutes(), 2]
    case 'S':
      return [date.getSeconds(), 2]
    case 'f':
      return [date.getMilliseconds() * 1000, 6]
    case 'j':
      return [dayOfYear(date), 3]
    case 'w':
      return [day]
    case 'u':
      return [day || 7]
    case 'U':
      return [Math.floor((dayOfYear(date) + 6 - day) / 7), 2]
    case 'W':
      return [Math.floor((dayOfYear(date) + 6 - ((day + 6) % 7)) / 7), 2]
    case 'V':
      return [isoWeek(date)[0], 2]
    case 'G':
      return [isoWeek(date)[1]]
    case 'B':
      return [months[date.getMonth()]!]
    case 'b':
    case 'h':
      return [months[date.getMonth()]!.slice(0, 3)]
    case 'A':
      return [days[day]!]
    case 'a':
      return [days[day]!.slice(0, 3)]
    case 'p':
      return [hour < 12 ? 'AM' : 'PM']
    case 'P':
      return [hour < 12 ? 'am' : 'pm']
    case 's':
      return [Math.floor(date.getTime() / 1000)]
    case 'z':
    case 'Z':
      return ['']
    case 'n':
      return ['\n']
    case 't':
      return ['\t']
    case '%':
      return ['%']
    default:
      return unsupported(`the format "%${letter}" of strftime_now`)
  }
}

const composed: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  r: '%I:%M:%S %p',
  c: '%a %b %e %H:%M:%S %Y',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
}

/**
 * Python's strftime for a local time, in English, as in Python's C locale.
 * @example strftime(new Date(2024, 6, 26), '%d %b %Y') // '26 Jul 2024'
 */
export const strftime = (date: Date, format: string): string =>
  format.replace(/%([-_0^])?([^])|%$/g, (all, flag?: string, letter?: string) => {
    if (letter === undefined) return all
    if (composed[letter] !== undefined && flag === undefined) return strftime(date, composed[letter])
    const [value, width = 0, fill = '0'] = field(date, letter)
    const text =
      flag === '-' ? String(value) : String(value).padStart(width, flag === '_' ? ' ' : flag === '0' ? '0' : fill)
    return flag === '^' ? text.toUpperCase() : text
  })
