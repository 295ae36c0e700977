import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { instantiateProducts, productModule } from '../../../../src/backend/tfjs/wasm/kernels.ts'
import type { WasmRuntime } from '../../../../src/backend/tfjs/wasm/index.ts'
import { load } from '../../../support/wasm-runtime.ts'

const tfjs = fileURLToPath(new URL('../../../../src/backend/tfjs/', import.meta.url))
/** The files that may call kernels: not their own source, and not the interface that is generated from it. */
const callers: readonly string[] = readdirSync(tfjs, { recursive: true, encoding: 'utf8' })
  .map(file => file.split(path.sep).join('/'))
  .filter(file => file.endsWith('.ts') && !file.startsWith('wasm/assembly/') && !file.includes('.generated.'))
  .map(file => readFileSync(path.join(tfjs, file), 'utf8'))

const comment = /\/\*[^]*?\*\/|(?<=^|\s)\/\/.*/gm
/** The exports of a module that no source takes from an instance of it. */
const unused = (exported: readonly string[], sources: readonly string[]): readonly string[] => {
  const code = sources.map(source => source.replace(comment, '')).join('\n')
  return exported.filter(name => !new RegExp(`\\b(?:kernels|products|productKernels|exports)\\.${name}\\b`).test(code))
}

for (const threads of [1, 2]) {
  describe(`the modules on the heap of ${threads} thread(s)`, () => {
    let runtime: WasmRuntime
    let exported: readonly string[]
    before(async () => {
      runtime = await load(threads)
      const { kernels, memory } = runtime
      exported = [kernels, instantiateProducts(productModule(memory), memory)].flatMap(instance =>
        Object.keys(instance),
      )
    })
    after(() => runtime.dispose())
    it('every export is called by a lowering or by the runtime', () => {
      assert.ok(exported.length > 40)
      assert.deepEqual(unused(exported, callers), [])
    })
    it('an export that nobody calls is noticed, also where a comment names it', () => {
      const sources = [...callers, '// kernels.geluBackward(dy, x, dx, n)\n/** kernels.swiglu */\n']
      assert.deepEqual(unused([...exported, 'geluBackward', 'swiglu'], sources), ['geluBackward', 'swiglu'])
    })
    it('every export is noticed if its calls go', () => {
      const without = (name: string) => callers.map(source => source.replaceAll(`.${name}`, '.other'))
      for (const name of exported) assert.ok(unused(exported, without(name)).includes(name), name)
    })
  })
}
