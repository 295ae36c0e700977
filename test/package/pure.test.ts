import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { transform } from 'esbuild'
import { marked } from '../../tools/pure.ts'
import { root } from '../support/pages.ts'

/** The code that a bundler keeps of a module of which nothing is used. */
const kept = async (source: string): Promise<string> =>
  (await transform(source, { minify: true, treeShaking: true, format: 'esm' })).code.trim()

test('a bundler drops a call at the top of a marked module whose result nobody uses, and keeps it without the mark', async () => {
  for (const source of [
    "import { f, g } from './f.js'\nconst a = f(g(), { b: new g(f()) })",
    "import { f } from './f.js'\nconst op = { name: 'op', rows: f().slice(1).map(x => f(x)) }",
    "import { f } from './f.js'\nconst set = new Set(f()), other = [f(), f()]",
  ]) {
    assert.equal((await kept(marked(source))).replace(/^import[^;]*;/, ''), '')
    assert.notEqual((await kept(source)).replace(/^import[^;]*;/, ''), '')
  }
})

test('a marked module keeps the calls that have effects, those of functions as they are, and its meaning', async () => {
  const source =
    "import { f } from './f.js'\nf('effect')\nexport const g = x => f(x)\nexport const h = () => new Set()\n"
  assert.equal(marked(source), source)
  const computing = 'export const n = [1, 2, 3].map(x => x * x).reduce((a, b) => a + b), text = String(n)'
  const { n, text } = (await import(`data:text/javascript,${encodeURIComponent(marked(computing))}`)) as {
    readonly n: number
    readonly text: string
  }
  assert.deepEqual([n, text], [14, '14'])
})

test('no module of src does anything when it is loaded but define values, so that its marks are true', () => {
  const { sideEffects }: { readonly sideEffects: readonly string[] } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  )
  const allowed = sideEffects.map(file => file.replace('./dist/', '').replace(/js$/, 'ts'))
  const files = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map(file => file.split(path.sep).join('/'))
    .filter(file => file.endsWith('.ts') && !/^backend\/tfjs\/wasm\/(assembly\/|build-kernels)/.test(file))
  assert.ok(files.length > 300)
  const acting = files.filter(file =>
    /^(?!(import|export|const|let|declare|function|async function|interface|type|class|abstract|enum|\/[/*]| \*|[\s)\]}|&>.:?]|$)).+/m.test(
      readFileSync(path.join(root, 'src', file), 'utf8').replace(/`[^`]*`/g, '``'),
    ),
  )
  assert.deepEqual(acting, allowed)
})
