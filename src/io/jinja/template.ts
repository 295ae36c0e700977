import type { Body } from './ast.ts'
import { Float, keyWritten } from './data.ts'
import { TemplateError } from './error.ts'
import { globals } from './globals.ts'
import { Interpreter, type Extent } from './interpreter.ts'
import { Meter, usualLimits, type Limits } from './meter.ts'
import { parse } from './parser.ts'
import type { Value } from './value.ts'

/** A JSON value as Python reads it. */
const toValue = (data: unknown): Value => {
  switch (typeof data) {
    case 'number':
      return Number.isInteger(data) ? BigInt(data) : data
    case 'string':
    case 'boolean':
    case 'bigint':
      return data
    case 'object':
      if (data === null) return null
      if (data instanceof Float) return data.value
      return Array.isArray(data)
        ? data.map(toValue)
        : new Map(Object.entries(data).map(([key, value]) => [keyWritten(key), toValue(value)]))
    default:
      throw new TemplateError(`a template cannot be given a ${typeof data}`)
  }
}

/** A rendered text, and its parts inside `{% generation %}`. */
export interface Rendering {
  readonly text: string
  readonly generated: readonly Extent[]
}

/** The options of a rendering: its limits and the current time. */
export interface RenderingOptions {
  readonly limits?: Limits
  readonly now?: () => Date
}

/**
 * Parses a chat template in transformers' dialect of Jinja: Jinja 3.1 in its sandbox, with `trim_blocks`,
 * `lstrip_blocks`, loop controls, `{% generation %}` and its own `tojson`. Throws a `TemplateError` if it is not Jinja,
 * or not supported.
 * @example render(compileTemplate('Hi {{ name }}'), { name: 'Ada' }).text // 'Hi Ada'
 */
export const compileTemplate = (source: string): Body => parse(source)

/** Tests whether a template marks with `{% generation %}` the text that the assistant generated. */
export const marksGeneration = (template: Body): boolean =>
  template.some(
    statement =>
      statement.kind === 'generation' ||
      ('body' in statement && marksGeneration(statement.body)) ||
      ('otherwise' in statement && marksGeneration(statement.otherwise)),
  )

/**
 * Renders a template. A variable that is undefined is absent; null is None. Throws a `TemplateError` if the template
 * raises, uses something unsupported, or exceeds a limit.
 */
export const render = (
  template: Body,
  variables: Readonly<Record<string, unknown>>,
  options: RenderingOptions = {},
): Rendering => {
  const { limits = usualLimits, now = () => new Date() } = options
  const meter = new Meter(limits)
  try {
    const values = Object.entries(variables).flatMap(([name, data]) =>
      data === undefined ? [] : [[name, toValue(data)] as const],
    )
    const interpreter = new Interpreter(meter, new Map([...globals(meter, now), ...values]))
    return { text: interpreter.render(template), generated: interpreter.generated }
  } catch (error) {
    // the depth of the stack is not counted, nor is every text on its way
    throw error instanceof RangeError
      ? new TemplateError(error.message.includes('call stack') ? 'it is nested too deep' : 'it makes too long a text')
      : error
  }
}
