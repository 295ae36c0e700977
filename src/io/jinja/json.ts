import { bind } from './arguments.ts'
import { raise, unsupported } from './error.ts'
import type { Meter } from './meter.ts'
import { floatText, printed } from './print.ts'
import {
  Tuple,
  isDict,
  isList,
  isText,
  iterate,
  numberOf,
  textOf,
  truth,
  typeOf,
  type Given,
  type Value,
} from './value.ts'

const named: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\f': '\\f',
  '\b': '\\b',
}
const unit = (character: string): string =>
  named[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

interface Style {
  readonly ascii: boolean
  readonly indent: string | undefined
  readonly item: string
  readonly key: string
  readonly sorted: boolean
}

const keyText = (key: Value): string =>
  typeof key === 'string'
    ? key
    : key === null
      ? 'null'
      : typeof key === 'boolean'
        ? String(key)
        : numberOf(key) !== undefined
          ? printed(key)
          : raise(`keys must be str, int, float, bool or None, not ${typeOf(key)}`)

/** Python's `json.dumps`. */
const dump = (value: Value, style: Style, meter: Meter, margin: string): string => {
  meter.spend(1)
  const quoted = (text: string): string =>
    `"${text.replace(style.ascii ? /["\\]|[^ -~]/g : /["\\]|[^ -\uffff]/g, unit)}"`
  const wrapped = (open: string, close: string, parts: readonly string[]): string => {
    if (parts.length === 0) return open + close
    const line = style.indent === undefined ? '' : `\n${margin}${style.indent}`
    return meter.text(
      open + line + parts.join(style.item + line) + (style.indent === undefined ? '' : `\n${margin}`) + close,
    )
  }
  const deeper = margin + (style.indent ?? '')
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') {
    return Number.isFinite(value)
      ? floatText(value)
      : Number.isNaN(value)
        ? 'NaN'
        : value > 0
          ? 'Infinity'
          : '-Infinity'
  }
  if (isText(value)) return meter.text(quoted(textOf(value)))
  if (isList(value))
    return wrapped(
      '[',
      ']',
      value.map(item => dump(item, style, meter, deeper)),
    )
  if (value instanceof Tuple) return dump(value.items, style, meter, margin)
  if (!isDict(value)) return raise(`Object of type ${typeOf(value)} is not JSON serializable`)
  const entries = [...value]
  if (style.sorted) {
    if (!entries.every(([key]) => typeof key === 'string'))
      unsupported('sort_keys of a dict whose keys are not all str')
    entries.sort(([a], [b]) => (keyText(a) < keyText(b) ? -1 : 1))
  }
  return wrapped(
    '{',
    '}',
    entries.map(([key, item]) => quoted(keyText(key)) + style.key + dump(item, style, meter, deeper)),
  )
}

/**
 * transformers' `tojson`: not escaped for HTML, letters beyond ASCII unchanged.
 * @example toJson(new Map([['a', [1n]]]), { positional: [], named: new Map() }, meter) // '{"a": [1]}'
 */
export const toJson = (value: Value, given: Given, meter: Meter): string => {
  const args = bind('tojson', ['ensure_ascii?', 'indent?', 'separators?', 'sort_keys?'], given)
  const indent = args.get('indent') ?? null
  const separators = args.get('separators') ?? null
  const width = numberOf(indent)
  if (width !== undefined) meter.room(Number(width))
  const margin =
    indent === null ? undefined : width !== undefined ? ' '.repeat(Math.max(0, Number(width))) : args.text('indent')
  const [item, key] = separators === null ? [margin === undefined ? ', ' : ',', ': '] : iterate(separators).map(printed)
  if (item === undefined || key === undefined) return raise('tojson: separators must be two texts')
  const style: Style = {
    ascii: args.flag('ensure_ascii', false),
    indent: margin,
    item,
    key,
    sorted: truth(args.get('sort_keys') ?? false),
  }
  return dump(value, style, meter, '')
}
