import type { Arguments, Expression, Slice } from './ast.ts'
import { Cursor } from './cursor.ts'
import { unsupported } from './error.ts'

const comparisons = new Set(['==', '!=', '<', '<=', '>', '>='])
/** The names that are constants. */
export const constants: Readonly<Record<string, null | boolean>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
}

/** Parses expressions by the grammar of Jinja 3.1. */
export class ExpressionParser extends Cursor {
  /** An expression, or several separated by commas. */
  protected tuple(conditional = true, ends: readonly string[] = [], empty = false): Expression {
    const items: Expression[] = []
    for (let several = false; ; several = true) {
      if (this.is('%}') || this.is('}}') || this.is(')') || this.isName(...ends)) {
        return items.length > 0 || empty ? { kind: 'tuple', items } : this.fail('an expression')
      }
      items.push(conditional ? this.expression() : this.or())
      if (!this.skip(',')) return several ? { kind: 'tuple', items } : items[0]!
    }
  }

  protected expression(): Expression {
    return this.nested(() => {
      let value = this.or()
      while (this.skipName('if')) {
        const test = this.or()
        value = { kind: 'condition', test, value, otherwise: this.skipName('else') ? this.expression() : undefined }
      }
      return value
    })
  }

  private chain(next: () => Expression, operator: () => string | undefined): Expression {
    let left = next()
    for (let found = operator(); found !== undefined; found = operator())
      left = { kind: 'binary', operator: found, left, right: next() }
    return left
  }
  private readonly among =
    (...types: readonly string[]) =>
    (): string | undefined =>
      types.find(type => this.skip(type))

  private or(): Expression {
    return this.chain(
      () => this.and(),
      () => (this.skipName('or') ? 'or' : undefined),
    )
  }
  private and(): Expression {
    return this.chain(
      () => this.not(),
      () => (this.skipName('and') ? 'and' : undefined),
    )
  }
  private not(): Expression {
    return this.skipName('not') ? this.nested(() => ({ kind: 'not', operand: this.not() })) : this.comparison()
  }
  private comparison(): Expression {
    const first = this.sum()
    const rest: { operator: string; operand: Expression }[] = []
    for (;;) {
      const { type } = this.current
      if (comparisons.has(type)) this.at++
      else if (
        this.isName('not') &&
        this.tokens[this.at + 1]?.text === 'in' &&
        this.tokens[this.at + 1]?.type === 'name'
      )
        this.at += 2
      else if (!this.skipName('in')) return rest.length === 0 ? first : { kind: 'compare', first, rest }
      const operator = comparisons.has(type)
        ? type
        : this.tokens[this.at - 2]?.text === 'not' && this.tokens[this.at - 2]?.type === 'name'
          ? 'not in'
          : 'in'
      rest.push({ operator, operand: this.sum() })
    }
  }
  private sum(): Expression {
    return this.chain(() => this.concat(), this.among('+', '-'))
  }
  private concat(): Expression {
    const parts = [this.product()]
    while (this.skip('~')) parts.push(this.product())
    return parts.length === 1 ? parts[0]! : { kind: 'concat', parts }
  }
  private product(): Expression {
    return this.chain(() => this.power(), this.among('*', '/', '//', '%'))
  }
  private power(): Expression {
    return this.chain(() => this.unary(true), this.among('**'))
  }

  private unary(filtered: boolean): Expression {
    const operator = this.among('-', '+')()
    let value: Expression =
      operator === undefined
        ? this.primary()
        : this.nested(() => ({ kind: 'unary', operator, operand: this.unary(false) }))
    value = this.postfix(value)
    if (!filtered) return value
    for (;;) {
      if (this.is('|')) value = this.filters(value, false)
      else if (this.skipName('is')) value = this.test(value)
      else if (this.is('(')) value = { kind: 'call', callee: value, args: this.arguments() }
      else return value
    }
  }

  private primary(): Expression {
    const { type, text, value } = this.current
    switch (type) {
      case 'name':
        this.at++
        return Object.hasOwn(constants, text)
          ? { kind: 'constant', value: constants[text]! }
          : { kind: 'name', name: text }
      case 'string': {
        let joined = ''
        while (this.is('string')) joined += String(this.tokens[this.at++]!.value)
        return { kind: 'constant', value: joined }
      }
      case 'number':
        this.at++
        return { kind: 'constant', value: value! }
      case '(': {
        this.at++
        const inner = this.nested(() => this.tuple(true, [], true))
        this.expect(')')
        return inner
      }
      case '[':
        return { kind: 'list', items: this.listed('[', ']', () => this.expression()) }
      case '{':
        return {
          kind: 'dict',
          entries: this.listed('{', '}', () => {
            const key = this.expression()
            this.expect(':')
            return [key, this.expression()] as const
          }),
        }
      default:
        return this.fail('an expression')
    }
  }

  private listed<A>(open: string, close: string, read: () => A): readonly A[] {
    const items: A[] = []
    this.expect(open)
    while (!this.is(close)) {
      if (items.length > 0) this.expect(',')
      if (this.is(close)) break
      items.push(read())
    }
    this.expect(close)
    return items
  }

  private postfix(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.skip('.')) {
        const { type, text, value: index } = this.current
        this.at++
        value =
          type === 'name'
            ? { kind: 'attribute', object: value, name: text }
            : typeof index === 'bigint'
              ? { kind: 'item', object: value, index: { kind: 'constant', value: index } }
              : this.fail('a name or a number')
      } else if (this.skip('[')) {
        const index = this.subscript()
        if (this.is(',')) unsupported('an index of several values')
        this.expect(']')
        value = { kind: 'item', object: value, index }
      } else if (this.is('(')) value = { kind: 'call', callee: value, args: this.arguments() }
      else return value
    }
  }

  private subscript(): Expression | Slice {
    const part = (): Expression | undefined =>
      this.is(':') || this.is(']') || this.is(',') ? undefined : this.expression()
    const from = part()
    if (!this.skip(':')) return from ?? this.fail('an index')
    const to = part()
    return { kind: 'slice', from, to, step: this.skip(':') ? part() : undefined }
  }

  private arguments(): Arguments {
    const positional: Expression[] = []
    const named: (readonly [string, Expression])[] = []
    let spread: Expression | undefined
    let spreadNamed: Expression | undefined
    this.listed('(', ')', () => {
      if (this.skip('*'))
        spread = spread === undefined && spreadNamed === undefined ? this.expression() : this.fail('one "*"')
      else if (this.skip('**')) spreadNamed = spreadNamed === undefined ? this.expression() : this.fail('one "**"')
      else if (this.is('name') && this.tokens[this.at + 1]?.type === '=') {
        const name = this.name()
        this.at++
        named.push([name, this.expression()])
      } else if (named.length > 0 || spread !== undefined || spreadNamed !== undefined) this.fail('a named argument')
      else positional.push(this.expression())
    })
    return { positional, named, ...(spread && { spread }), ...(spreadNamed && { spreadNamed }) }
  }

  private dotted(): string {
    let name = this.name()
    while (this.skip('.')) name += `.${this.name()}`
    return name
  }

  protected filters(operand: Expression | undefined, inline: boolean): Expression {
    let value = operand
    for (let first = inline; first || this.skip('|'); first = false) {
      const name = this.dotted()
      value = {
        kind: 'filter',
        operand: value,
        name,
        args: this.is('(') ? this.arguments() : { positional: [], named: [] },
      }
    }
    return value ?? this.fail('a filter')
  }

  private test(operand: Expression): Expression {
    const negated = this.skipName('not')
    const name = this.dotted()
    const startsOperand =
      ['name', 'string', 'number', '[', '{'].includes(this.current.type) && !this.isName('else', 'or', 'and')
    if (startsOperand && this.isName('is')) this.fail('one test')
    const args: Arguments = this.is('(')
      ? this.arguments()
      : { positional: startsOperand ? [this.postfix(this.primary())] : [], named: [] }
    const test: Expression = { kind: 'test', operand, name, args }
    return negated ? { kind: 'not', operand: test } : test
  }
}
