import type { Body } from './ast.ts'
import { Float, keyWritten } from './data.ts'
import { TemplateError } from './error.ts'
import { globals } from './globals.ts'
import { Interpreter, type Extent } from './interpreter.ts'
import { Meter, usualLimits, type Limits } from './meter.ts'
import { parse } from './parser.ts'
import type { Value } from './value.ts'

/** A value of JSON as Python reads it. */
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

/** A rendered text, and the parts of it that stand inside of `{% generation %}`. */
export interface Rendering {
  readonly text: string
  readonly generated: readonly Extent[]
}

/** How a template is rendered: what it may do, and what time it is. */
export interface RenderingOptions {
  readonly limits?: Limits
  readonly now?: () => Date
}

/**
 * Reads a template in the Jinja of transformers' chat templates: Jinja 3.1 in its sandbox, with `trim_blocks`,
 * `lstrip_blocks`, loop controls, `{% generation %}` and its own `tojson`. Throws a `TemplateError` on what is not
 * Jinja or not supported.
 * @example render(compileTemplate('Hi {{ name }}'), { name: 'Ada' }).text // 'Hi Ada'
 */
export const compileTemplate = (source: string): Body => parse(source)

/** Whether a template says with `{% generation %}` what the assistant generated. */
export const marksGeneration = (template: Body): boolean =>
  template.some(
    statement =>
      statement.kind === 'generation' ||
      ('body' in statement && marksGeneration(statement.body)) ||
      ('otherwise' in statement && marksGeneration(statement.otherwise)),
  )

/**
 * Renders a template. A variable that is undefined is absent; null is None. Throws a `TemplateError` where the template
 * raises, does what is not supported, or passes a limit.
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
    // The stack is the only thing that is not counted.
    throw error instanceof RangeError ? new TemplateError('it is nested too deep') : error
  }
}
