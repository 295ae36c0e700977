import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countsIn, smallAccountant, smallBatch, type SmallStep } from '../support/small-accounts.ts'

/** The operations of matrix products that PyTorch's FlopCounterMode counts, by the script beside the counts. */
interface Count extends SmallStep {
  readonly forward: number
  readonly backward: number
}
const { counts } = countsIn('flops') as { readonly counts: readonly Count[] }

for (const { forward, backward, ...of } of counts)
  test(`${of.model} ${of.method}: the products of both passes have the operations that PyTorch counts`, async () => {
    const work = (await smallAccountant(of)).work(smallBatch(of.model))
    assert.deepEqual({ forward: work.forward.flops, backward: work.backward.flops }, { forward, backward })
  })
