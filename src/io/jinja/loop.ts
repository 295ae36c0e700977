import { raise } from './error.ts'
import { Callable, Undefined, equal, orElse, type Given, type Value } from './value.ts'

/** The variable `loop`: the position of a loop in its items. Items are taken as needed, as in Jinja. */
export class Loop {
  private readonly ahead: Value[] = []
  private readonly source: Iterator<Value>
  private readonly depth0: number
  private readonly again: ((given: Given) => Value) | undefined
  private index0 = -1
  private previous: Value | undefined
  private current: Value | undefined
  private changedFrom: readonly Value[] | undefined

  constructor(source: Iterable<Value>, depth0: number, again: ((given: Given) => Value) | undefined) {
    this.source = source[Symbol.iterator]()
    this.depth0 = depth0
    this.again = again
  }

  /** Moves on to the next item, if there is one. */
  next(): { readonly item: Value } | undefined {
    if (this.peek() === undefined) return undefined
    this.previous = this.current
    this.current = this.ahead.shift()!
    this.index0++
    return { item: this.current }
  }

  private peek(): Value | undefined {
    if (this.ahead.length === 0) {
      const { done, value } = this.source.next()
      if (done !== true) this.ahead.push(value)
    }
    return this.ahead[0]
  }

  private length(): number {
    for (let next = this.source.next(); next.done !== true; next = this.source.next()) this.ahead.push(next.value)
    return this.index0 + 1 + this.ahead.length
  }

  /** The value of the name `loop`. */
  readonly value: Value = new Callable(
    'loop',
    given => this.again?.(given) ?? raise("The loop must have the 'recursive' marker for it to be called recursively."),
    name => this.attribute(name),
  )

  private attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return BigInt(this.index0 + 1)
      case 'index0':
        return BigInt(this.index0)
      case 'first':
        return this.index0 === 0
      case 'last':
        return this.peek() === undefined
      case 'length':
        return BigInt(this.length())
      case 'revindex':
        return BigInt(this.length() - this.index0)
      case 'revindex0':
        return BigInt(this.length() - this.index0 - 1)
      case 'depth':
        return BigInt(this.depth0 + 1)
      case 'depth0':
        return BigInt(this.depth0)
      case 'previtem':
        return this.index0 === 0 ? new Undefined('there is no previous item') : this.previous
      case 'nextitem':
        return orElse(this.peek(), () => new Undefined('there is no next item'))
      case 'cycle':
        return new Callable('cycle', ({ positional }) =>
          orElse(positional[this.index0 % positional.length], () => raise('no items for cycling given')),
        )
      case 'changed':
        return new Callable('changed', ({ positional }) => {
          const same = this.changedFrom !== undefined && equal(this.changedFrom, positional)
          this.changedFrom = positional
          return !same
        })
      default:
        return undefined
    }
  }
}
