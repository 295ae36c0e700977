import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile, type Shape, type Value } from '../../src/index.ts'
import { isValue, leaves } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'
import { openTiny, tinyBatch, tinyStep, tinyValues } from '../support/tiny-llama.ts'

const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

/**
 * The values that PEFT and PyTorch computed for the adapters of the golden files: gradients of the mean loss, before
 * the first update.
 */
for (const target of ['reference', 'wasm', 'graph'] as const)
  for (const method of ['lora', 'dora', 'vera', 'moslora', 'ia3', 's2ft'] as const) {
    test(
      `the gradients of ${method} are PyTorch's, on ${target}`,
      { skip: target === 'graph' && noNode !== undefined ? noNode : false },
      async () => {
        const loaded = await openTiny()
        await using session = await compile(await tinyStep(loaded, method), {
          target,
          threads: 1,
          weights: loaded.weights,
        })
        await loaded.checkpoint.close()
        const found = new Map(leaves(await session.gradients(await tinyBatch()), isFloats))
        const due = await tinyValues(method, 'grad.')
        assert.deepEqual(
          [...due.keys()].sort(),
          [...found.keys()].sort(),
          'every trained leaf has a gradient, and nothing else',
        )
        for (const [path, { sizes, data }] of due) {
          const own = found.get(path)!
          const largest = data.reduce((most: number, x: number) => Math.max(most, Math.abs(x)), 0)
          assert.deepEqual(own.sizes, sizes, path)
          const off = own.data.reduce((most: number, x: number, i: number) => Math.max(most, Math.abs(x - data[i]!)), 0)
          assert.ok(off <= 2e-5 * largest + 1e-7, `${path} is off by ${off} of ${largest}`)
          assert.ok(largest > 1e-6, `${path} has a gradient to be compared`)
        }
      },
    )
  }
