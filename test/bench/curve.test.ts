import assert from 'node:assert/strict'
import { test } from 'node:test'
import { methods, mineIs, peerIs, peers, places, recomputations, shapes } from '../../bench/cases/memory.ts'
import { curveOf } from '../../bench/curve.ts'
import type { Recorded } from '../../bench/drawing.ts'
import type { Measurement } from '../../bench/measurement.ts'

const [place] = places
const measured = (seconds: number, stepMegabytes: number) => ({
  _tag: 'Right' as const,
  right: { times: [1000 * seconds], peakMegabytes: 2000, facts: { stepMegabytes }, parts: {} } satisfies Measurement,
})
const names = shapes.flatMap(shape => [
  ...methods.flatMap(method => recomputations.map(recomputation => mineIs(place, method, recomputation, shape))),
  ...peers.map(peer => peerIs(place, shape, peer)),
])
const recorded: Recorded = {
  date: '2026-12-01T00:00:00Z',
  machine: { processor: 'processor', cores: 2, loadBefore: 0.1 },
  measured: Object.fromEntries(names.map((name, i) => [name, measured(1 + i / 10, 900 - 10 * i)])),
}

test('the picture of time against memory has a point for each contender of each batch, and those of a method in a line', async () => {
  const svg = await curveOf(recorded, place)
  const marks = (role: string): number =>
    [...svg.matchAll(new RegExp(`class="mark-${role} role-mark[^"]*"`, 'g'))].length
  // a group of lines for each method and the peer, and one of points, in each panel
  assert.equal(marks('line'), shapes.length * (methods.length + 1))
  assert.equal(marks('symbol'), shapes.length)
  for (const { batch, seq } of shapes) assert.ok(svg.includes(`${batch} × ${seq} tokens`))
  const [first] = names
  const other = { ...recorded.measured, [first!]: measured(3, 500) }
  assert.notEqual(await curveOf({ ...recorded, measured: other }, place), svg)
})

test('results without one of the contenders make no picture', async () => {
  const { [names[1]!]: _, ...fewer } = recorded.measured
  await assert.rejects(curveOf({ ...recorded, measured: fewer }, place), {
    message: `the results have no ${names[1]!}: not measured`,
  })
})
