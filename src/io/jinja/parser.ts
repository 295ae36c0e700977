import type { Body, Expression, Parameter, Statement, Target } from './ast.ts'
import { raise, unsupported } from './error.ts'
import { ExpressionParser, constants } from './expression.ts'

const otherStatements = new Set(['block', 'extends', 'include', 'import', 'from', 'do', 'autoescape', 'trans', 'debug'])

/** Parses statements by the grammar of Jinja 3.1, with transformers' `{% generation %}` and the loop controls. */
class Parser extends ExpressionParser {
  template(): Body {
    const body = this.body([])
    if (!this.is('end')) this.fail('the end of the template')
    return body
  }

  /** Parses statements up to one of the names that end them, which becomes the current token. */
  private body(ends: readonly string[]): Body {
    return this.nested(() => {
      const statements: Statement[] = []
      for (;;) {
        if (this.is('text')) statements.push({ kind: 'text', text: this.tokens[this.at++]!.text })
        else if (this.skip('{{')) {
          statements.push({ kind: 'output', value: this.tuple() })
          this.expect('}}')
        } else if (this.skip('{%')) {
          if (this.isName(...ends)) return statements
          statements.push(...this.statement())
          this.expect('%}')
        } else if (ends.length === 0) return statements
        else return this.fail(`{% ${ends.join(' %} or {% ')} %}`)
      }
    })
  }

  /** Parses the body of a statement whose tag ends here; the name that ended it has been consumed. */
  private block(...ends: readonly string[]): readonly [Body, string] {
    this.skip(':')
    this.expect('%}')
    return [this.body(ends), this.name()]
  }

  private statement(): Body {
    const name = this.name()
    switch (name) {
      case 'for':
        return [this.forLoop()]
      case 'if':
        return [this.condition()]
      case 'set':
        return [this.assignment()]
      case 'macro': {
        const macro = this.name()
        const parameters = this.parameters()
        return [{ kind: 'macro', name: macro, parameters, body: this.block('endmacro')[0] }]
      }
      case 'call': {
        const parameters = this.is('(') ? this.parameters() : []
        const call = this.expression()
        if (call.kind !== 'call') return this.fail('a call')
        return [{ kind: 'callBlock', parameters, call, body: this.block('endcall')[0] }]
      }
      case 'filter': {
        const filter = this.filters(undefined, true)
        return [{ kind: 'filterBlock', filter, body: this.block('endfilter')[0] }]
      }
      case 'with': {
        const values: (readonly [Target, Expression])[] = []
        while (!this.is('%}') && !this.is(':')) {
          if (values.length > 0) this.expect(',')
          const target = this.target()
          this.expect('=')
          values.push([target, this.expression()])
        }
        return [{ kind: 'with', values, body: this.block('endwith')[0] }]
      }
      case 'print': {
        const values: Statement[] = []
        while (!this.is('%}')) {
          if (values.length > 0) this.expect(',')
          values.push({ kind: 'output', value: this.expression() })
        }
        return values
      }
      case 'generation':
        return [{ kind: 'generation', body: this.block('endgeneration')[0] }]
      case 'break':
      case 'continue':
        return [{ kind: name }]
      default:
        return otherStatements.has(name)
          ? unsupported(`the statement {% ${name} %}`)
          : raise(`line ${this.current.line}: unknown statement "${name}"`)
    }
  }

  private forLoop(): Statement {
    const target = this.target('in')
    if (!this.skipName('in')) this.fail('"in"')
    const iterable = this.tuple(false, ['recursive'])
    const test = this.skipName('if') ? this.expression() : undefined
    const recursive = this.skipName('recursive')
    const [body, end] = this.block('endfor', 'else')
    return {
      kind: 'for',
      target,
      iterable,
      test,
      recursive,
      body,
      otherwise: end === 'else' ? this.block('endfor')[0] : [],
    }
  }

  private condition(): Statement {
    const test = this.tuple(false)
    const [body, end] = this.block('elif', 'else', 'endif')
    const otherwise =
      end === 'elif' ? this.nested(() => [this.condition()]) : end === 'else' ? this.block('endif')[0] : []
    return { kind: 'if', test, body, otherwise }
  }

  private assignment(): Statement {
    const target = this.target()
    if (this.skip('=')) return { kind: 'set', target, value: this.tuple() }
    const filter = this.is('|') ? this.filters(undefined, false) : undefined
    return { kind: 'capture', target, filter, body: this.block('endset')[0] }
  }

  private target(...ends: readonly string[]): Target {
    const one = (): Target => {
      if (this.skip('(')) {
        const inner = this.target()
        this.expect(')')
        return inner
      }
      const name = this.name()
      if (Object.hasOwn(constants, name)) return raise(`line ${this.current.line}: "${name}" cannot be given a value`)
      return this.skip('.') ? { kind: 'member', object: name, name: this.name() } : { kind: 'name', name }
    }
    const first = one()
    if (!this.is(',')) return first
    const items = [first]
    while (this.skip(',') && !this.is('=') && !this.isName(...ends)) items.push(one())
    return { kind: 'tuple', items }
  }

  private parameters(): readonly Parameter[] {
    const found: Parameter[] = []
    this.expect('(')
    while (!this.is(')')) {
      if (found.length > 0) this.expect(',')
      const name = this.name()
      const otherwise = this.skip('=') ? this.expression() : undefined
      if (otherwise === undefined && found.at(-1)?.otherwise !== undefined) this.fail('a default')
      found.push({ name, otherwise })
    }
    this.expect(')')
    return found
  }
}

/**
 * Parses a template. Throws a `TemplateError` with the line of the part that is not Jinja or not supported.
 * @example parse('{% for m in messages %}{{ m.content }}{% endfor %}')
 */
export const parse = (source: string): Body => new Parser(source).template()
