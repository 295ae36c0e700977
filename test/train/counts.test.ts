import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adapt, paca } from '../../src/index.ts'
import { parameterCounts } from '../../src/model.ts'
import { llamaArchitecture } from '../../src/model/index.ts'
import { openTiny } from '../support/tiny-llama.ts'

test('what a method trains is counted from the header alone, also where nobody resolved its modules', async () => {
  const { model, checkpoint } = await openTiny()
  const { trainable, all } = parameterCounts(
    adapt(model, paca({ targets: llamaArchitecture.targets, rank: 4, seed: 0 })),
    checkpoint,
  )
  await checkpoint.close()
  // two layers, four columns of each projection: as many numbers as the projections have outputs
  assert.equal(trainable, 2 * 4 * (64 + 32 + 32 + 64 + 176 + 176 + 64))
  assert.equal(
    all,
    [...checkpoint.tensors.values()].reduce((n, { sizes }) => n + sizes.reduce((a, b) => a * b, 1), 0),
  )
})
