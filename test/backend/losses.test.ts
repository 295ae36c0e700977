import assert from 'node:assert/strict'
import { test } from 'node:test'
import { devices } from '../support/devices.ts'
import { resultsOf } from '../support/graph-results.ts'
import { differenceOf, lossPrograms } from '../support/losses.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { runOn } from '../support/run-on.ts'

/** Losses, their gradients and metrics on every target, beside PyTorch's numbers. */
for (const [title, open] of devices)
  test(`on ${title}`, { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false }, async t => {
    const device = await open()
    for (const program of lossPrograms)
      await t.test(program.what, async () => {
        const tolerance = title === 'reference' ? 1e-5 : 1e-4
        assert.equal(differenceOf(program, await runOn(device, program), tolerance), undefined)
      })
  })

nodeTest('on graph', async () => {
  const results = await resultsOf(lossPrograms, { sizes: 'static' })
  const found = lossPrograms.flatMap((program, i) => differenceOf(program, results[i]!.data, 1e-4) ?? [])
  assert.deepEqual(found, [])
})
