import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodedText, halfCharacterIn, parsedJson } from '../../src/text/decode.ts'

type Part = string | readonly number[]
const bytes = (...parts: readonly Part[]): Uint8Array =>
  Uint8Array.from(parts.flatMap(part => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : [...part])))

test('bytes that are no UTF-8 are refused with line and byte', () => {
  const refused = (...parts: readonly Part[]): string => {
    try {
      return `read: ${decodedText('d.jsonl', bytes(...parts))}`
    } catch (error) {
      return error instanceof Error ? error.message : ''
    }
  }
  assert.equal(
    refused('{"text": "a"}\n{"text": "', [0xff], '"}'),
    'd.jsonl line 2: byte 24 of the file (0xff) is not UTF-8',
  )
  assert.equal(
    refused('é\n\n', [0xe6, 0x95], 'a'),
    'd.jsonl line 3: byte 4 of the file (0xe6) is not UTF-8',
    'where the character begins',
  )
  assert.equal(
    refused('a', [0xf0, 0x9f, 0x98]),
    'd.jsonl line 1: byte 1 of the file (0xf0) is not UTF-8',
    'a character that the end cuts off',
  )
  assert.equal(
    refused([0xed, 0xa0, 0x80]),
    'd.jsonl line 1: byte 0 of the file (0xed) is not UTF-8',
    'a lone surrogate',
  )
  assert.equal(refused('x', [0xc0, 0x80]), 'd.jsonl line 1: byte 1 of the file (0xc0) is not UTF-8', 'an overlong zero')
  assert.equal(
    refused([0xef, 0xbb, 0xbf], 'a', [0x80]),
    'd.jsonl line 1: byte 4 of the file (0x80) is not UTF-8',
    'the mark of the byte order counts',
  )
  assert.equal(
    refused([0xef, 0xbb, 0xbf], '\ufeffa\ufffd'),
    'read: \ufeffa\ufffd',
    "one mark is taken away, a replacement character is the text's own",
  )
})

test('every text comes back from its bytes; a byte put in its way is found where it lies', () => {
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(fc.property(text, text => decodedText('f', bytes(`a${text}`)) === `a${text}`))
  fc.assert(
    fc.property(text, text, (before, after) => {
      const at = new TextEncoder().encode(`a${before}`).length
      assert.throws(
        () => decodedText('f', bytes(`a${before}`, [0xff], after)),
        new RegExp(`byte ${at} of the file \\(0xff\\)`),
      )
    }),
  )
})

test('half a character is found among escapes, and only there', () => {
  assert.equal(halfCharacterIn('{"text": "\\ud800"}'), 'byte 10 begins the escape \\ud800, half a character')
  assert.equal(halfCharacterIn('{"é": "\\uDC00"}'), 'byte 8 begins the escape \\uDC00, half a character')
  assert.equal(halfCharacterIn('"\\ud83d\\ud83d\\ude00"'), 'byte 1 begins the escape \\ud83d, half a character')
  assert.equal(halfCharacterIn('"\\ud83d \\ude00"'), 'byte 1 begins the escape \\ud83d, half a character')
  assert.equal(halfCharacterIn('[\n"a",\n "\\udfff"]'), 'line 3: byte 2 begins the escape \\udfff, half a character')
  for (const whole of ['"\\ud83d\\ude00"', '"\\\\ud800"', '"\\u00e9 \\n"', '"\\\\\\ud83d\\ude00"'])
    assert.equal(halfCharacterIn(whole), undefined, whole)
  assert.throws(
    () => parsedJson('t.json', '{"a": "\\ud800"}'),
    /^Error: t\.json: byte 7 begins the escape \\ud800, half a character$/,
  )
})

test('whether a document has half a character is whether a string that it parses to has one', () => {
  const unit = fc.constantFrom('\\ud83d', '\\ude00', '\\\\', 'a', '\\n', 'u', 'd800')
  fc.assert(
    fc.property(fc.array(unit), units => {
      const document = `"${units.join('')}"`
      const parsed: unknown = JSON.parse(document)
      assert.equal(halfCharacterIn(document) !== undefined, /\p{Surrogate}/u.test(String(parsed)))
    }),
  )
})
