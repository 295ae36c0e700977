import { mentions, type Body, type Parameter, type Statement, type Target } from './ast.ts'
import { bind } from './arguments.ts'
import { TemplateError, raise, unsupported } from './error.ts'
import { Evaluator, Scope } from './evaluator.ts'
import { Loop } from './loop.ts'
import type { Meter } from './meter.ts'
import {
  Callable,
  Namespace,
  Tuple,
  Undefined,
  iterate,
  orElse,
  sizeOf,
  truth,
  type Given,
  type Value,
} from './value.ts'

/** The exception of `{% break %}` and `{% continue %}`. */
class LoopControl extends TemplateError {
  readonly ends: boolean
  constructor(ends: boolean) {
    super('a loop control stands outside of a loop')
    this.ends = ends
  }
}

/** A part of the rendered text, in UTF-16 units. */
export type Extent = readonly [start: number, end: number]

/** Runs the statements of a template. */
export class Interpreter extends Evaluator {
  private readonly scope: Scope
  private output: string[] = []
  /** The length of the text written so far; undefined while a part is captured. */
  private written: number | undefined = 0
  private generating = false
  /** The parts inside `{% generation %}`. */
  readonly generated: Extent[] = []

  constructor(meter: Meter, variables: ReadonlyMap<string, Value>) {
    super(meter)
    this.scope = new Scope()
    for (const [name, value] of variables) this.scope.set(name, value)
  }

  render(body: Body): string {
    this.run(body, new Scope(this.scope))
    return this.output.join('')
  }

  private write(text: string): void {
    this.meter.room(text.length)
    this.output.push(text)
    if (this.written !== undefined) this.meter.fits((this.written += text.length))
  }

  /** Captures the text that is written meanwhile. */
  private captured(write: () => void): string {
    const [output, written] = [this.output, this.written]
    this.output = []
    this.written = undefined
    try {
      this.meter.within(write)
      return this.meter.text(this.output.join(''))
    } finally {
      this.output = output
      this.written = written
    }
  }

  private capture(body: Body, scope: Scope): string {
    return this.captured(() => this.run(body, scope))
  }

  private run(body: Body, scope: Scope): void {
    for (const statement of body) this.execute(statement, scope)
  }

  private execute(statement: Statement, scope: Scope): void {
    this.meter.spend(1)
    switch (statement.kind) {
      case 'text':
        return this.write(statement.text)
      case 'output':
        return this.write(this.printed(this.value(statement.value, scope)))
      case 'if':
        return this.run(truth(this.value(statement.test, scope)) ? statement.body : statement.otherwise, scope)
      case 'for': {
        const run = (): void => this.loop(statement, this.value(statement.iterable, scope), scope, 0)
        return statement.recursive ? this.write(this.captured(run)) : run()
      }
      case 'set':
        return this.assign(statement.target, this.value(statement.value, scope), scope)
      case 'capture': {
        const text = this.capture(statement.body, new Scope(scope))
        return this.assign(
          statement.target,
          statement.filter === undefined ? text : this.value(statement.filter, scope, text),
          scope,
        )
      }
      case 'macro':
        return scope.set(statement.name, this.macro(statement.name, statement.parameters, statement.body, scope))
      case 'callBlock': {
        const caller = this.macro('caller', statement.parameters, statement.body, scope)
        return this.write(this.printed(this.value(statement.call, scope, undefined, caller)))
      }
      case 'filterBlock':
        return this.write(
          this.printed(this.value(statement.filter, scope, this.capture(statement.body, new Scope(scope)))),
        )
      case 'with': {
        const inner = new Scope(scope)
        for (const [target, value] of statement.values) this.assign(target, this.value(value, scope), inner)
        return this.run(statement.body, inner)
      }
      case 'generation': {
        // transformers miscounts in a text that is captured
        const start = this.written ?? unsupported('{% generation %} inside of a macro, a call, a filter or a set block')
        const isInner = this.generating
        this.generating = true
        this.run(statement.body, new Scope(scope))
        this.generating = isInner
        if (!isInner) this.generated.push([start, this.written ?? start])
        return
      }
      case 'break':
        throw new LoopControl(true)
      case 'continue':
        throw new LoopControl(false)
    }
  }

  private loop(statement: Statement & { readonly kind: 'for' }, iterable: Value, scope: Scope, depth: number): void {
    const { target, test, recursive, body, otherwise } = statement
    this.meter.spend(sizeOf(iterable) ?? 0)
    const items = iterate(iterable)
    const chosen = function* (this: Interpreter): Iterable<Value> {
      for (const candidate of items) {
        const inner = new Scope(scope)
        this.assign(target, candidate, inner)
        if (truth(this.value(test!, inner))) yield candidate
      }
    }
    const again = (given: Given): Value =>
      this.captured(() => this.loop(statement, bind('loop', ['iterable'], given).get('iterable')!, scope, depth + 1))
    const loop = new Loop(test === undefined ? items : chosen.call(this), depth, recursive ? again : undefined)
    let entered = false as boolean
    for (let next = loop.next(); next !== undefined; next = loop.next()) {
      this.meter.spend(10)
      const inner = new Scope(scope)
      inner.set('loop', loop.value)
      this.assign(target, next.item, inner)
      try {
        this.run(body, inner)
        // as in Jinja, an iteration that is cut short does not count
        entered = true
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error
        if (error.ends) break
      }
    }
    if (!entered) this.run(otherwise, new Scope(scope))
  }

  private assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') return scope.set(target.name, value)
    if (target.kind === 'member') {
      const object = scope.get(target.object)
      if (!(object instanceof Namespace)) return raise('cannot assign attribute on non-namespace object')
      if (target.name.startsWith('_')) return raise(`a namespace cannot hold "${target.name}"`)
      object.entries.set(target.name, value)
      return
    }
    const items = iterate(value)
    if (items.length !== target.items.length) {
      raise(
        items.length < target.items.length
          ? `not enough values to unpack (expected ${target.items.length}, got ${items.length})`
          : `too many values to unpack (expected ${target.items.length})`,
      )
    }
    target.items.forEach((part, i) => this.assign(part, items[i]!, scope))
  }

  private macro(name: string, parameters: readonly Parameter[], body: Body, scope: Scope): Callable {
    const [takesNamed, takesMore, calls] = ['kwargs', 'varargs', 'caller'].map(
      special => mentions(body, special) && !parameters.some(p => p.name === special),
    )
    return new Callable(
      name,
      ({ positional, named }) => {
        const inner = new Scope(scope)
        const rest = new Map(named)
        if (positional.length > parameters.length && takesMore !== true)
          raise(`macro '${name}' takes not more than ${parameters.length} argument(s)`)
        parameters.forEach((parameter, i) => {
          const given = i < positional.length ? positional[i] : rest.get(parameter.name)
          if (i < positional.length && rest.has(parameter.name))
            raise(`macro '${name}' got multiple values for argument '${parameter.name}'`)
          rest.delete(parameter.name)
          inner.set(
            parameter.name,
            orElse(given, () =>
              parameter.otherwise === undefined
                ? new Undefined(`parameter '${parameter.name}' was not provided`)
                : this.value(parameter.otherwise, inner),
            ),
          )
        })
        if (calls === true)
          inner.set(
            'caller',
            orElse(rest.get('caller'), () => new Undefined('No caller defined')),
          )
        if (calls === true) rest.delete('caller')
        if (takesNamed === true) inner.set('kwargs', new Map<Value, Value>(rest))
        else if (rest.size > 0) raise(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`)
        if (takesMore === true) inner.set('varargs', new Tuple(positional.slice(parameters.length)))
        return this.capture(body, inner)
      },
      attributeName => (attributeName === 'name' ? name : undefined),
    )
  }
}
