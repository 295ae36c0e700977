import { raise } from './error.ts'
import { tokenize, type Token } from './lexer.ts'

/** The deepest nesting of expressions and bodies; a deeper one would overflow the stack. */
const deepest = 200

/** A position in the tokens of a template, with the means to move on. */
export class Cursor {
  protected readonly tokens: readonly Token[]
  protected at = 0
  private depth = 0
  constructor(source: string) {
    this.tokens = tokenize(source)
  }

  protected get current(): Token {
    return this.tokens[this.at]!
  }
  protected fail(expected: string): never {
    return raise(`line ${this.current.line}: expected ${expected}, not "${this.current.text}"`)
  }
  protected is(type: string): boolean {
    return this.current.type === type
  }
  protected isName(...names: readonly string[]): boolean {
    return this.current.type === 'name' && names.includes(this.current.text)
  }
  protected skip(type: string): boolean {
    return this.is(type) && ++this.at > 0
  }
  protected skipName(name: string): boolean {
    return this.isName(name) && ++this.at > 0
  }
  protected expect(type: string): Token {
    return this.is(type) ? this.tokens[this.at++]! : this.fail(`"${type}"`)
  }
  protected name(): string {
    return this.expect('name').text
  }
  protected nested<A>(read: () => A): A {
    if (++this.depth > deepest) raise(`line ${this.current.line}: it is nested more than ${deepest} deep`)
    const result = read()
    this.depth--
    return result
  }
}
