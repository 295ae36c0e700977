import type { Arguments, Expression } from './ast.ts'
import { attribute, item, slice } from './attributes.ts'
import { raise } from './error.ts'
import { filtered } from './filters.ts'
import type { Meter } from './meter.ts'
import { negated, operate } from './operators.ts'
import { printed } from './print.ts'
import { isIn, passes } from './tests.ts'
import {
  Callable,
  Tuple,
  Undefined,
  compare,
  equal,
  isDict,
  iterate,
  keyOf,
  orElse,
  truth,
  typeOf,
  type Given,
  type Value,
} from './value.ts'
import { weigh } from './weigh.ts'

/** Names and their values; a name that is not in a scope is looked up in the enclosing one. */
export class Scope {
  private readonly values = new Map<string, Value>()
  private readonly around: Scope | undefined
  constructor(around?: Scope) {
    this.around = around
  }
  get(name: string): Value | undefined {
    return this.values.has(name) ? this.values.get(name) : this.around?.get(name)
  }
  set(name: string, value: Value): void {
    this.values.set(name, value)
  }
}

/** Evaluates expressions. */
export class Evaluator {
  protected readonly meter: Meter
  constructor(meter: Meter) {
    this.meter = meter
  }

  private given(args: Arguments, scope: Scope, caller?: Value): Given {
    const positional = args.positional.map(argument => this.value(argument, scope))
    const more = args.spread === undefined ? [] : iterate(this.value(args.spread, scope))
    const named = new Map(args.named.map(([name, argument]) => [name, this.value(argument, scope)]))
    if (args.spreadNamed !== undefined) {
      const unpacked = this.value(args.spreadNamed, scope)
      if (!isDict(unpacked)) return raise(`argument after ** must be a mapping, not ${typeOf(unpacked)}`)
      for (const [key, value] of unpacked) {
        if (named.has(printed(key))) raise(`got multiple values for keyword argument '${printed(key)}'`)
        named.set(printed(key), value)
      }
    }
    if (caller !== undefined) named.set('caller', caller)
    this.meter.spend(positional.length + more.length + named.size)
    return { positional: [...positional, ...more], named }
  }

  /** A value as it is printed; its size is charged to the meter. */
  protected printed(value: Value): string {
    weigh(value, this.meter)
    return printed(value)
  }

  private compared(operator: string, left: Value, right: Value): boolean {
    weigh(left, this.meter)
    weigh(right, this.meter)
    switch (operator) {
      case '==':
        return equal(left, right)
      case '!=':
        return !equal(left, right)
      case 'in':
        return isIn(left, right)
      case 'not in':
        return !isIn(left, right)
      case '<':
        return compare(left, right, operator) < 0
      case '<=':
        return compare(left, right, operator) <= 0
      case '>':
        return compare(left, right, operator) > 0
      default:
        return compare(left, right, operator) >= 0
    }
  }

  /**
   * The value of an expression. `operand` is the input of the first filter of a filter block, `caller` the body that a
   * call block passes.
   */
  protected value(expression: Expression, scope: Scope, operand?: Value, caller?: Value): Value {
    const of = (inner: Expression): Value => this.value(inner, scope)
    this.meter.spend(1)
    switch (expression.kind) {
      case 'constant':
        return expression.value
      case 'name':
        return orElse(scope.get(expression.name), () => new Undefined(`'${expression.name}' is undefined`))
      case 'attribute':
        return attribute(of(expression.object), expression.name, this.meter)
      case 'item': {
        const object = of(expression.object)
        const { index } = expression
        if (index.kind !== 'slice') return item(object, of(index), this.meter)
        const [from, to, step] = [index.from, index.to, index.step].map(bound =>
          bound === undefined ? null : of(bound),
        )
        return slice(object, from!, to!, step!, this.meter)
      }
      case 'call': {
        const callee = of(expression.callee)
        const given = this.given(expression.args, scope, caller)
        if (callee instanceof Undefined) return raise(callee.message)
        return callee instanceof Callable ? callee.call(given) : raise(`'${typeOf(callee)}' object is not callable`)
      }
      case 'filter': {
        const value = expression.operand === undefined ? operand! : this.value(expression.operand, scope, operand)
        return filtered(expression.name, value, this.given(expression.args, scope), this.meter)
      }
      case 'test':
        return passes(expression.name, of(expression.operand), this.given(expression.args, scope), this.meter)
      case 'unary':
        return negated(expression.operator, of(expression.operand))
      case 'binary': {
        const left = of(expression.left)
        if (expression.operator === 'or') return truth(left) ? left : of(expression.right)
        if (expression.operator === 'and') return truth(left) ? of(expression.right) : left
        return operate(expression.operator, left, of(expression.right), this.meter)
      }
      case 'concat':
        return this.meter.text(expression.parts.map(part => this.printed(of(part))).join(''))
      case 'compare': {
        let left = of(expression.first)
        return expression.rest.every(({ operator, operand: right }) => {
          const next = of(right)
          const holds = this.compared(operator, left, next)
          left = next
          return holds
        })
      }
      case 'not':
        return !truth(of(expression.operand))
      case 'condition':
        return truth(of(expression.test))
          ? of(expression.value)
          : expression.otherwise === undefined
            ? new Undefined('the inline if-expression has no else section')
            : of(expression.otherwise)
      case 'list':
        return expression.items.map(of)
      case 'tuple':
        return new Tuple(expression.items.map(of))
      case 'dict':
        return new Map(expression.entries.map(([key, value]) => [keyOf(of(key)), of(value)]))
    }
  }
}
