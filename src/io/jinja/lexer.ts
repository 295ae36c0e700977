import { raise } from './error.ts'

/**
 * A token of a template. The type of an operator is the operator itself; a name keeps its text, a constant its value.
 */
export interface Token {
  readonly type: string
  readonly text: string
  readonly value?: string | number | bigint
  readonly line: number
}

const operators = [
  '**',
  '//',
  '==',
  '!=',
  '>=',
  '<=',
  '+',
  '-',
  '/',
  '*',
  '%',
  '~',
  '[',
  ']',
  '(',
  ')',
  '{',
  '}',
  '>',
  '<',
  '=',
  '.',
  ':',
  '|',
  ',',
  ';',
]
const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** Python's white space, inside a character class. */
export const space = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const blank = new RegExp(`^[${space}]+$`)
const leading = new RegExp(`[${space}]*`, 'y')
const single = new RegExp(`[${space}]`)

/** The most characters of a template: real ones have a few thousand. Its tokens take some hundred times as much. */
const longestTemplate = 2 ** 19
/** The most digits of an int that Python reads. */
export const longestInteger = 4300

const patterns = {
  float: /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy,
  integer: /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy,
  name: /[\p{ID_Start}_][\p{ID_Continue}]*/uy,
  string: /'[^'\\]*(?:\\[^][^'\\]*)*'|"[^"\\]*(?:\\[^][^"\\]*)*"/y,
}

const simpleEscapes: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  'a': '\x07',
  'b': '\b',
  'f': '\f',
  'n': '\n',
  'r': '\r',
  't': '\t',
  'v': '\v',
}

/** The text that a string literal denotes; an escape that Python does not know stays as it is. */
const unescaped = (literal: string): string =>
  literal.replace(
    /\\(?:([0-7]{1,3})|x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|([^]))/gi,
    (all, octal?: string, x?: string, u?: string, U?: string, other = '') => {
      if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8))
      const hex = x ?? u ?? U
      if (hex !== undefined && 'xuU'.includes(all[1]!))
        return String.fromCodePoint(Math.min(parseInt(hex, 16), 0x10ffff))
      if ('xuUN'.includes(other) && other !== '') raise(`the escape ${all} of a string is not valid`)
      return simpleEscapes[other] ?? all
    },
  )

/**
 * The text before a tag: `-` strips its trailing white space; otherwise a statement or comment that begins its line
 * loses its indentation.
 */
const textBefore = (text: string, sign: string, indents: boolean, lineStarts: boolean): string => {
  if (sign === '-') {
    // an expression that ends with $ would begin anew at every space
    let end = text.length
    while (end > 0 && single.test(text[end - 1]!)) end--
    return text.slice(0, end)
  }
  if (sign === '+' || !indents) return text
  const line = text.lastIndexOf('\n') + 1
  return (line > 0 || lineStarts) && blank.test(text.slice(line)) ? text.slice(0, line) : text
}

/**
 * Splits a template into tokens, as Jinja does with `trim_blocks` and `lstrip_blocks`. Throws if it is not Jinja.
 * @example tokenize('{{ a }}').map(token => token.type) // ['{{', 'name', '}}', 'end']
 */
export const tokenize = (template: string): readonly Token[] => {
  if (template.length > longestTemplate)
    raise(`it has ${template.length} characters, more than the ${longestTemplate} that are read`)
  const source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '')
  const tokens: Token[] = []
  let at = 0
  let line = 1
  let counted = 0
  const push = (type: string, text: string, value?: Token['value']): void => {
    for (; counted < at; counted++) if (source[counted] === '\n') line++
    tokens.push({ type, text, line, ...(value === undefined ? {} : { value }) })
  }
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(source)?.[0]
  }
  /**
   * Reads the end of a tag: `-` skips the white space after it, `+` nothing, and otherwise a statement skips one line
   * end.
   */
  const end = (close: string, trims: boolean): boolean => {
    const sign = trims && source.startsWith(`+${close}`, at) ? '+' : source.startsWith(`-${close}`, at) ? '-' : ''
    if (!source.startsWith(close, at + sign.length)) return false
    at += sign.length + close.length
    if (sign === '-') at += match(leading)?.length ?? 0
    else if (sign === '' && trims && source[at] === '\n') at++
    return true
  }
  const inside = (close: string): void => {
    const open: string[] = []
    for (;;) {
      at += match(leading)?.length ?? 0
      if (at >= source.length) raise(`line ${line}: the template ends inside of a tag`)
      if (open.length === 0 && end(close, close === '%}')) return push(close, close)
      const string = match(patterns.string)
      const float = match(patterns.float)
      const integer = match(patterns.integer)
      const name = match(patterns.name)
      // a number after a dot is an index: `a.0`
      const number = source[at - 1] === '.' ? integer : (float ?? integer)
      if (number !== undefined) {
        at += number.length
        const digits = number.replaceAll('_', '')
        if (number === integer && digits.length > longestInteger)
          raise(`line ${line}: an int has more than ${longestInteger} digits`)
        if (number === integer && /^\d/.test(source.slice(at))) raise(`line ${line}: a number must not begin with 0`)
        push('number', number, number === integer ? BigInt(digits) : Number(digits))
      } else if (name !== undefined) {
        at += name.length
        push('name', name)
      } else if (string !== undefined) {
        at += string.length
        push('string', string, unescaped(string.slice(1, -1)))
      } else {
        const operator = operators.find(candidate => source.startsWith(candidate, at))
        if (operator === undefined) return raise(`line ${line}: unexpected character ${JSON.stringify(source[at])}`)
        if (closing[operator] !== undefined) open.push(closing[operator])
        else if (Object.values(closing).includes(operator) && open.pop() !== operator)
          raise(`line ${line}: unexpected "${operator}"`)
        at += operator.length
        push(operator, operator)
      }
    }
  }
  const rawBegin = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y
  const rawEnd = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g
  for (let lineStarts = true; at < source.length;) {
    const tag = source.slice(at).search(/\{[%{#]/)
    const from = at
    at = tag < 0 ? source.length : at + tag
    const kind = source.slice(at, at + 2)
    const sign = '-+'.includes(source[at + 2] ?? ' ') ? source[at + 2]! : ''
    const text = tag < 0 ? source.slice(from) : textBefore(source.slice(from, at), sign, kind !== '{{', lineStarts)
    if (text !== '') push('text', text)
    if (tag < 0) break
    const raw = match(rawBegin)
    if (raw !== undefined) {
      at += raw.length
      rawEnd.lastIndex = at
      const found = rawEnd.exec(source)
      if (found === null) return raise(`line ${line}: a raw block does not end`)
      const content = textBefore(source.slice(at, found.index), found[1] ?? '', true, raw.endsWith('\n'))
      at = found.index + found[0].length
      if (content !== '') push('text', content)
    } else if (kind === '{#') {
      const close = source.indexOf('#}', at + 2)
      if (close < 0) raise(`line ${line}: a comment does not end`)
      at = '-+'.includes(source[close - 1]!) && close - 1 >= at + 2 ? close - 1 : close
      end('#}', true)
    } else {
      at += 2 + sign.length
      push(kind, kind)
      inside(kind === '{{' ? '}}' : '%}')
    }
    lineStarts = source[at - 1] === '\n'
  }
  push('end', 'the end of the template')
  return tokens
}
