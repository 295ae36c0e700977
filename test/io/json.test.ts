import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkNames } from '../../src/text/json.ts'
import { printable, quoted, shortened } from '../../src/text/quote.ts'
import { oneLine } from '../../src/text/error.ts'
import { parsedJson } from '../../src/text/decode.ts'

type Check = (subject: string, json: string) => void
const refuses = (check: Check, json: string): boolean => {
  try {
    check('x', json)
  } catch {
    return true
  }
  return false
}

/** A name as JSON may write it: some characters as escapes. */
const written = (name: string, escape: readonly boolean[]): string =>
  `"${Array.from({ length: name.length }, (_, i) =>
    escape[i % Math.max(1, escape.length)]
      ? `\\u${name.charCodeAt(i).toString(16).padStart(4, '0')}`
      : JSON.stringify(name[i]).slice(1, -1),
  ).join('')}"`

const name = fc.string({ unit: 'binary', maxLength: 6 }).filter(text => text !== '__proto__')
/** Values whose objects have every name once, as text. */
const { value } = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .oneof(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        fc.constant(null),
        fc.string({ unit: 'binary' }),
      )
      .map(leaf => JSON.stringify(leaf)),
    fc.array(tie('value'), { maxLength: 3 }).map(items => `[${items.join(' , ')}]`),
    fc
      .uniqueArray(fc.tuple(name, tie('value')), { maxLength: 3, selector: ([key]) => key })
      .map(pairs => `{ ${pairs.map(([key, inner]) => `${JSON.stringify(key)}: ${inner}`).join(', ')} }`),
  ),
}))
/** An object that has a name twice, somewhere inside lists and objects. */
const doubled = fc
  .tuple(name, fc.array(fc.boolean(), { maxLength: 4 }), value, value, value, fc.array(fc.boolean(), { maxLength: 4 }))
  .map(([key, escape, a, b, c, around]) =>
    around.reduce(
      (inner, list) => (list ? `[${a}, ${inner}]` : `{"before": ${c}, "around": ${inner}}`),
      `{${JSON.stringify(key)}: ${a}, "${key === 'other' ? 'another' : 'other'}": ${b}, ${written(key, escape)}: ${c}}`,
    ),
  )
  .filter(json => {
    try {
      JSON.parse(json)
      return true
    } catch {
      return false
    }
  })

const isSound = (check: Check): boolean => fc.check(fc.property(value, json => !refuses(check, json))).failed === false
const isComplete = (check: Check): boolean =>
  fc.check(fc.property(doubled, json => refuses(check, json))).failed === false

test('a name that an object has twice is found, however it is written and wherever it stands; nothing else is refused', () => {
  assert.ok(isSound(checkNames))
  assert.ok(isComplete(checkNames))
  fc.assert(
    fc.property(value, json => {
      assert.deepEqual(parsedJson('x', json), JSON.parse(json))
    }),
  )
})

test('the property refutes checks that compare names as they are written, that see the outermost object only, that take values for names', () => {
  const literal: Check = (subject, json) => {
    for (const [, inside = ''] of json.matchAll(/\{([^{}]*)\}/g)) {
      const names = [...inside.matchAll(/("(?:[^"\\]|\\.)*")\s*:/g)].map(([, found]) => found)
      if (new Set(names).size < names.length) throw new Error(subject)
    }
  }
  const outermost: Check = (subject, json) => {
    const parsed: unknown = JSON.parse(json)
    if (
      typeof parsed === 'object' &&
      parsed !== null &&
      Object.keys(parsed).length < (json.match(/"\s*:/g) ?? []).length
    )
      throw new Error(subject)
  }
  const texts: Check = (subject, json) => {
    const found = json.match(/"(?:[^"\\]|\\.)*"/g) ?? []
    if (new Set(found).size < found.length) throw new Error(subject)
  }
  for (const mutant of [literal, outermost, texts]) assert.ok(!isSound(mutant) || !isComplete(mutant))
})

test('repeated names, __proto__, bottomless nesting and empty texts are one sentence each', () => {
  const says: readonly (readonly [string, RegExp])[] = [
    ['{"a":1,"a":2}', /^x: the key "a" occurs twice in one object$/],
    ['{"a":1,"\\u0061":1}', /^x: the key "a" occurs twice in one object$/],
    ['[{"b":{"":0,"":0}}]', /^x: the key "" occurs twice in one object$/],
    [`{"${'k'.repeat(1e7)}":1,"${'k'.repeat(1e7)}":2}`, /^x: the key "k+… occurs twice in one object$/],
    ['{"\\u001b[31m\\n":1,"\\u001b[31m\\n":2}', /^x: the key "\\u001b\[31m\\n" occurs twice in one object$/],
    ['{"__proto__":{"a":1}}', /^x: the key "__proto__" is not read$/],
    ['{"_\\u005fproto__":{"a":1}}', /^x: the key "__proto__" is not read$/],
    ['['.repeat(100_000), /^x: its JSON nests deeper than 128$/],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, /^x: its JSON nests deeper than 128$/],
    ['{"a":'.repeat(100_000), /^x: its JSON nests deeper than 128$/],
    ['', /^x: it is not valid JSON: it is empty$/],
    [' \n', /^x: it is not valid JSON: it is empty$/],
    ['{"a":1,}', /^x: it is not valid JSON$/],
    ['"', /^x: it is not valid JSON$/],
    ['{"a" 1, "a": 2, \\', /^x: /],
  ]
  for (const [json, pattern] of says)
    assert.throws(
      () => parsedJson('x', json),
      ({ message }: Error) => pattern.test(message) && message.length < 300,
    )
  assert.deepEqual(
    parsedJson('x', `${'['.repeat(128)}${']'.repeat(128)}`),
    JSON.parse(`${'['.repeat(128)}${']'.repeat(128)}`),
  )
  // equal names in different objects, and names that are values, are no repetition
  assert.deepEqual(parsedJson('x', '[{"a":{"a":"a"}},{"a":["a","a"]}]'), [{ a: { a: 'a' } }, { a: ['a', 'a'] }])
})

test('what a message repeats is one short line that a terminal can show', () => {
  const hostile = [
    '\u001b[2J',
    '\r\n',
    '\u0000',
    '\u009b31m',
    '\u202e',
    '\u2028',
    '\ufeff',
    '\ud800',
    '\u007f',
    '\u200b',
  ]
  for (const text of hostile) {
    assert.match(printable(`a${text}b`), /^a[\x20-\x7e]+b$/)
    assert.match(quoted(`a${text}b`), /^"a[\x20-\x7e]+b"$/)
    assert.match(oneLine(`a${text}b`), /^a[\x20-\x7e]+b$/)
    assert.equal(printable(printable(text)), printable(text))
  }
  assert.equal(printable('Grüße, 世界 🙂'), 'Grüße, 世界 🙂')
  assert.equal(quoted('say "hi"'), '"say \\"hi\\""')
  assert.equal(shortened('abc', 3), 'abc')
  for (const value of ['x'.repeat(1e7), '\u001b'.repeat(1e6), ['y'.repeat(1e6)], { [`${'z'.repeat(1e6)}`]: 1 }])
    assert.ok(quoted(value).length <= 62)
  assert.match(oneLine(`a.json: ${'x'.repeat(1e7)} is too long`), /^a\.json: x+… \(\d+ characters\) …x+ is too long$/)
  assert.ok(oneLine('\u001b'.repeat(1e6)).length <= 1000)
  // values that JSON cannot express are shown nevertheless
  const circle: unknown[] = []
  circle.push(circle)
  assert.deepEqual([undefined, 10n, [10n], Number.NaN, circle].map(quoted), [
    'undefined',
    '10',
    '["10"]',
    'NaN',
    'a value that has no end',
  ])
})
