import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { bind, sizesOf, unify, unifyAll, unifySum } from '../../../src/tensor/shape/index.ts'

const environment = { heads: 9, headDim: 64 }
const where = { known: 'the config', given: 'model.layers.0.q_proj' }

test('a dim takes the size of its factors', () => {
  assert.deepEqual(bind(environment)('heads*headDim'), E.right(576))
  assert.deepEqual(bind(environment)('2*heads'), E.right(18))
  assert.deepEqual(bind({})(8), E.right(8))
  assert.deepEqual(sizesOf(environment, ['heads', 'headDim', 1]), E.right([9, 64, 1]))
})
test('a name without a size, or with one that is none, is refused', () => {
  assert.deepEqual(bind(environment)('ffn'), E.left('dim ffn has no size: give it one'))
  assert.deepEqual(bind(environment)('constructor'), E.left('dim constructor has no size: give it one'))
  assert.deepEqual(bind({ ffn: -1 })('ffn'), E.left('dim ffn is -1: a size is a positive whole number'))
  assert.deepEqual(
    bind({ ffn: 2 ** 40 })('ffn*ffn'),
    E.left(`dim ffn*ffn is ${2 ** 80}: a size is a positive whole number`),
  )
  assert.deepEqual(bind({ ffn: 2.5 })('2*ffn'), E.left('dim ffn is 2.5: a size is a positive whole number'))
})
test('names take sizes, and a product gives its one unknown factor a share', () => {
  assert.deepEqual(unify({}, ['vocab', 'hidden'], [99, 64], where), E.right({ vocab: 99, hidden: 64 }))
  assert.deepEqual(unify({ heads: 9 }, ['heads*headDim'], [576], where), E.right(environment))
  assert.deepEqual(unify({}, ['2*half'], [10], where), E.right({ half: 5 }))
})
test('a product waits until its other factor is known, across sources too', () => {
  assert.deepEqual(unify({}, ['heads*headDim', 'heads'], [576, 9], where), E.right(environment))
  assert.deepEqual(
    unifyAll([
      { where: 'q_proj', shape: ['heads*headDim'], sizes: [576] },
      { where: 'mask', shape: ['heads'], sizes: [9] },
    ]),
    E.right(environment),
  )
})
test('a product of two unknown factors binds neither', () => {
  assert.deepEqual(unify({}, ['heads*headDim'], [576], where), E.right({}))
  assert.deepEqual(unify({}, ['n*n'], [9], where), E.right({}))
})
test('a disagreement names the dim, both sizes and both places', () => {
  assert.deepEqual(
    unify({ hidden: 64 }, ['hidden'], [96], where),
    E.left('hidden is 64 in the config but 96 in model.layers.0.q_proj'),
  )
  assert.deepEqual(
    unify(environment, ['heads*headDim'], [100], where),
    E.left('heads*headDim is 576 in the config but 100 in model.layers.0.q_proj'),
  )
  assert.deepEqual(
    unify({ heads: 9 }, ['heads*headDim'], [100], where),
    E.left('heads*headDim is 100 in model.layers.0.q_proj, which 9 does not divide'),
  )
  assert.deepEqual(unify({}, [8], [9], where), E.left('8 is 8 in the shape but 9 in model.layers.0.q_proj'))
  assert.deepEqual(
    unify({}, ['hidden'], [1, 2], where),
    E.left('model.layers.0.q_proj has the sizes [1, 2] but the shape [hidden]'),
  )
  assert.deepEqual(
    unify({}, ['hidden'], [0], where),
    E.left('model.layers.0.q_proj has the size 0: a size is a positive whole number'),
  )
  assert.deepEqual(
    unifyAll([
      { where: 'the config', shape: ['hidden'], sizes: [64] },
      { where: 'embed', shape: ['vocab', 'hidden'], sizes: [99, 64] },
      { where: 'head', shape: ['hidden', 'vocab'], sizes: [64, 98] },
    ]),
    E.left('vocab is 99 in embed but 98 in head'),
  )
})
test('the name of a sum is bound or checked', () => {
  assert.deepEqual(unifySum({ past: 3, seq: 4 }, ['past', 'seq'], 'tokens'), E.right({ past: 3, seq: 4, tokens: 7 }))
  assert.deepEqual(
    unifySum({ past: 3, seq: 4, tokens: 8 }, ['past', 'seq'], 'tokens'),
    E.left('tokens is 8 in the given dims but 7 in the sum past + seq'),
  )
  assert.deepEqual(unifySum({ past: 3 }, ['past', 'seq'], 'tokens'), E.left('dim seq has no size: give it one'))
})
test('thousands of sources are bound without a deep stack', () => {
  const layers = Array.from({ length: 20_000 }, (_, i) => ({
    where: `layer ${i}`,
    shape: ['hidden', 'ffn'],
    sizes: [64, 8],
  }))
  assert.deepEqual(unifyAll(layers), E.right({ hidden: 64, ffn: 8 }))
})
