import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compiledGraph } from '../../../src/backend/graph/compiled.ts'
import { openTiny, tinyStep } from '../../support/tiny-llama.ts'

test('no function makes what it assigns from constants alone, which TensorFlow would keep beside the variable', async () => {
  for (const method of ['full', 'paca', 'lora'] as const) {
    const loaded = await openTiny()
    await loaded.checkpoint.close()
    const { library } = compiledGraph(await tinyStep(loaded, method), { precision: 'bf16', xla: true }).entry.graph()
    let assigned = 0
    for (const { signature, node_def: nodes } of library.functions()) {
      if (!(signature as { readonly name: string }).name.startsWith('initial')) continue
      const byName = new Map(nodes.map(node => [node.name, node]))
      /** True if a value depends on a parameter of the function. */
      const isGiven = (text: string): boolean => {
        const node = byName.get(text.split(':')[0]!)
        return node === undefined || node.input.some(isGiven)
      }
      for (const { op, input } of nodes) {
        if (op !== 'AssignVariableOp') continue
        assigned++
        assert.ok(isGiven(input[1]!), `${method}: ${(signature as { readonly name: string }).name}`)
      }
    }
    assert.ok(assigned > 0)
  }
})
