import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { carriedOutputs, familyOf, loopOp, outlined, rolled, type Feed, type Loop } from '../../src/compile/index.ts'
import {
  blockOf, callOp, interpret, is, node, parameter, plus, primitives, result, rmsNorm, scalar, sliceOp, times, topological, type Node, type NodeOf,
} from '../../src/tensor/index.ts'
import { allEqual } from '../tensor/calculus.ts'
import { blocks, flatOf, size, spoiled, stackedRoots, tangles, updates, walks, withStacks, type Layered } from './layers.ts'

const loopsOf = (roots: readonly Node[]): readonly NodeOf<Loop>[] => topological(roots).filter(n => is(n, loopOp))
type Spoil = (roots: readonly Node[]) => readonly Node[]
const same: Spoil = roots => roots

/** What is rolled means what it meant: stacks in the place of families, stacks of what was asked for one by one. */
const keepsMeaning = ({ roots, families, feeds }: Layered, change: (layered: Layered) => readonly Node[]): boolean => {
  const flat = flatOf(roots), expected = stackedRoots(roots, interpret(flat, feeds, size))
  return allEqual(interpret(change({ roots, families, feeds }), withStacks(feeds, families), size), expected)
}
const rolling = (spoil: Spoil) => ({ roots, families }: Layered): readonly Node[] => spoil(rolled(roots, families))
const outlining = (spoil: Spoil) => ({ roots, families }: Layered): readonly Node[] => {
  const made = [...spoil(outlined(flatOf(roots), families))]
  return rolled(roots.map(root => (Array.isArray(root) ? made.splice(0, root.length) : made.shift()!)), families)
}

const programs: Readonly<Record<string, fc.Arbitrary<Layered>>> = { 'walks through layers': walks, 'calls of anything on anything': tangles, 'updates of layers': updates }
for (const [name, layered] of Object.entries(programs)) {
  test(`${name}: rolled, they mean what they meant`, () => {
    fc.assert(fc.property(layered, l => keepsMeaning(l, rolling(same))), { numRuns: 1000 })
  })
  test(`${name}: outlined, and rolled then, they mean what they meant`, () => {
    fc.assert(fc.property(layered, l => keepsMeaning(l, outlining(same))), { numRuns: 500 })
  })
}
