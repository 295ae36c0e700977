import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { alternate, failuresOf, installedPeer, type Contender } from '../../bench/measure.ts'

const once = E.right({ times: [1], peakMegabytes: 1, facts: {}, parts: {} })
const good: Contender = { name: 'good', measure: async () => once }
const bad: Contender = { name: 'bad', measure: async () => E.left('ended with 1') }
const missing = installedPeer<string>('missing', E.left('no pip'), () => [])
const found = await alternate([good, bad, missing], 2, () => {})

test('a contender that should run and does not is a failure; one that cannot be installed is none, unless all can be', () => {
  const all = [good, bad, missing]
  assert.deepEqual(failuresOf(all, found, false), ['bad: ended with 1'])
  assert.deepEqual(failuresOf(all, found, true), ['bad: ended with 1', 'missing: no pip'])
  assert.deepEqual(failuresOf([good], found, true), [])
  assert.deepEqual(failuresOf([{ ...good, name: 'forgotten' }], found, false), ['forgotten: not measured'])
})
