import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { byteCount, bytesText } from '../../src/text/index.ts'

const amount = fc.oneof(fc.integer({ min: 1, max: 9_000_000_000_000 }), fc.integer({ min: 1, max: 2_000_000 }))

test('bytes have three digits and the unit that suits them', () => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [96, '96 B'],
    [999, '999 B'],
    [1000, '1.00 KB'],
    [4_720_000, '4.72 MB'],
    [99_960_000, '100 MB'],
    [999_700_000, '1.00 GB'],
    [9_996_000_000, '10.0 GB'],
    [79.3e9, '79.3 GB'],
    [12e12, '12.0 TB'],
  ] as const)
    assert.equal(bytesText(bytes), text)
})

/** A text of bytes that is read again is at most one part in 100 from them, on the side that was asked for. */
const isNear = (text: typeof bytesText) =>
  fc.property(amount, bytes => {
    const read = (round: 'nearest' | 'up' | 'down'): number => byteCount(text(bytes, round)) ?? Number.NaN
    return (
      read('down') <= bytes &&
      bytes <= read('up') &&
      [read('nearest'), read('up'), read('down')].every(found => Math.abs(found - bytes) <= bytes / 100)
    )
  })
test('a need is rounded up and room is rounded down, by less than one part in 100', () => {
  fc.assert(isNear(bytesText))
  // a mutant that rounds what is needed to the nearest
  assert.equal(fc.check(isNear(bytes => bytesText(bytes))).failed, true)
})

test('numbers of bytes are read with decimal and binary units, and anything else is not', () => {
  for (const [text, bytes] of [
    ['900MB', 900e6],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['4 gb', 4e9],
    ['24G', 24e9],
    ['2e9', 2e9],
    [' 512 ', 512],
  ] as const)
    assert.equal(byteCount(text), bytes)
  for (const text of ['', '0', '-1GB', '1e400', '0.5', '12 apples', '9e15GB', 'NaN', 'GB', '1..5MB', '0x10'])
    assert.equal(byteCount(text), undefined, text)
})
