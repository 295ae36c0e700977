import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { build, type BuildOptions } from 'esbuild'
import { root } from '../support/pages.ts'
import { trained, training } from './training.ts'

// The packed package in every place where people run or bundle it, each with the same small program. Continuous
// integration runs this file; it installs what it needs in a temporary folder, from npm.

const needed = [
  'vite',
  'tsx',
  'bun',
  'deno',
  ...['core', 'backend-wasm', 'backend-cpu'].map(of => `@tensorflow/tfjs-${of}@4.22`),
]
const longest = 60_000

/** Runs a program in the project, without the environment of this process; a failing one rejects. */
const run = (cwd: string, program: string, ...args: readonly string[]): Promise<string> => {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { cwd, env, maxBuffer: 2 ** 26, timeout: longest }, (error, out, err) => {
      if (error === null) resolve(out)
      else reject(new Error(`${program} ${args.join(' ')}: ${out}\n${err}`.replace(/.{400,}/g, '…')))
    })
  })
}

let project = ''
const inProject = (...parts: readonly string[]): string => path.join(project, ...parts)
const program = (name: string): string => inProject('node_modules', '.bin', name)
before(async () => {
  project = await mkdtemp(path.join(tmpdir(), 'partensor-everywhere-'))
  await writeFile(inProject('package.json'), JSON.stringify({ private: true, type: 'module' }))
  await run(root, 'npm', 'run', '-s', 'build')
  await run(root, 'npm', 'pack', '--ignore-scripts', '--pack-destination', project)
  const tarball = (await readdir(project)).find(name => name.endsWith('.tgz'))!
  await run(project, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${tarball}`, ...needed)
  await writeFile(inProject('training.js'), training)
  await writeFile(
    inProject('main.js'),
    "import { train } from './training.js'\nfor (const target of ['wasm', 'cpu']) console.log(await train({ target }))\n",
  )
})
after(() => rm(project, { recursive: true, force: true }))

/** The output of `main.js`. */
const right = new RegExp(
  `^tfjs wasm, \\d+ threads?${trained.replaceAll('+', '\\+')}\ntfjs cpu${trained.replaceAll('+', '\\+')}\n$`,
)

for (const [name, words] of [
  ['Node', () => [process.execPath]],
  ['tsx', () => [program('tsx')]],
  ['Bun', () => [program('bun')]],
  ['Deno', () => [program('deno'), 'run', '-A', '--no-lock']],
] as const) {
  test(`${name} trains on wasm and on cpu`, async () => {
    const [command, ...args] = words()
    assert.match(await run(project, command!, ...args, 'main.js'), right)
  })
}

/** Bundles a file of the project; the folder of the bundle. */
const bundled = async (file: string, name: string, options: BuildOptions): Promise<string> => {
  const outdir = inProject(name)
  const common = { bundle: true, minify: true, format: 'esm', logLevel: 'silent' } as const
  await build({ absWorkingDir: project, entryPoints: [file], outdir, ...common, ...options })
  return outdir
}

test('a bundle of esbuild for Node, next to tfjs, trains on wasm and on cpu', async () => {
  const folder = await bundled('main.js', 'bundle-for-node', { platform: 'node', external: ['@tensorflow/*'] })
  assert.match(await run(folder, process.execPath, 'main.js'), right)
})

/** A program that gives Node a browser's globals, takes its own away, and then loads a module that has `train`. */
const page = (module: string): string => `
import { readFile } from 'node:fs/promises'
const exit = process.exit.bind(process), [folder] = process.argv.slice(2), files = 'https://example.org/wasm-out'
const name = '/tfjs-backend-wasm-simd.wasm', { buffer } = Uint8Array.from(await readFile(folder + name))
const answer = async address => address === files + name
  ? { ok: true, status: 200, arrayBuffer: async () => buffer.slice() }
  : { ok: false, status: 404 }
Object.assign(globalThis, { window: globalThis, self: globalThis, document: {}, location: { href: files, search: '' }, fetch: answer })
for (const name of ['process', 'Buffer', 'setImmediate']) Object.defineProperty(globalThis, name, { value: undefined })
const { train } = await import('${module}')
for (const options of [{ target: 'reference' }, { target: 'cpu' }, { target: 'wasm', wasmFiles: files }, { wasmFiles: files }])
  console.log(await train(options))
for (const options of [{ target: 'wasm' }, { target: 'wasm', wasmFiles: 'https://example.org/no' }, { target: 'graph' }])
  await train(options).catch(error => console.log(error.message))
exit(0)
`
const inPage = [
  `reference${trained}`,
  `tfjs cpu${trained}`,
  `tfjs wasm, 1 thread${trained}`,
  `tfjs wasm, 1 thread${trained}`,
  'wasm in a browser needs wasmFiles, the address of the folder wasm-out of @tensorflow/tfjs-backend-wasm',
  'the wasm backend did not load: https://example.org/no/tfjs-backend-wasm-simd.wasm: the server answers 404',
  'this target needs TensorFlow, which no browser has: wasm, cpu and reference run there',
  '',
].join('\n')
const checkPage = async (folder: string, module: string): Promise<void> => {
  // outside of the project, so that nothing but the bundle is found
  const alone = await mkdtemp(path.join(tmpdir(), 'partensor-page-'))
  const wasmFiles = inProject('node_modules/@tensorflow/tfjs-backend-wasm/wasm-out')
  try {
    await cp(folder, alone, { recursive: true })
    await writeFile(path.join(alone, 'package.json'), JSON.stringify({ type: 'module' }))
    await writeFile(path.join(alone, 'page.js'), page(module))
    assert.equal(await run(alone, process.execPath, 'page.js', wasmFiles), inPage)
  } finally {
    await rm(alone, { recursive: true, force: true })
  }
}

for (const splitting of [false, true])
  test(`a bundle of esbuild for browsers, ${splitting ? 'in parts' : 'in one file'}, trains on reference, cpu and wasm`, async () => {
    await checkPage(
      await bundled('training.js', `parts-${splitting}`, { platform: 'browser', splitting }),
      './training.js',
    )
  })

test('a build of Vite trains on reference, cpu and wasm', async () => {
  await writeFile(
    inProject('vite.config.js'),
    "export default { build: { target: 'es2022', outDir: 'vite', lib: { entry: 'training.js', formats: ['es'], fileName: 'training' } } }",
  )
  await run(project, program('vite'), 'build', '--logLevel', 'error')
  await checkPage(inProject('vite'), './training.js')
})

/** The most bytes of a program that declares two tensors and multiplies them. */
const small = 15_000

test(`{ f32, matmul } alone has at most ${small} bytes in one file, minified, for browsers`, async () => {
  await writeFile(inProject('small.js'), "export { f32, matmul } from 'partensor'\n")
  const common = { bundle: true, minify: true, format: 'esm', logLevel: 'silent' } as const
  const { metafile } = await build({
    absWorkingDir: project,
    entryPoints: ['small.js'],
    outfile: 'small.min.js',
    platform: 'browser',
    metafile: true,
    ...common,
  })
  const { bytes, inputs } = metafile.outputs['small.min.js']!
  const parts = Object.entries(inputs).map(([file, { bytesInOutput }]) => [bytesInOutput, file] as const)
  assert.ok(
    bytes <= small,
    [`${bytes} bytes`, ...parts.toSorted(([a], [b]) => b - a).map(part => part.join(' '))].join('\n'),
  )
  // what it has does something
  const { f32, matmul } = (await import(inProject('small.min.js'))) as typeof import('../../src/index.ts')
  assert.deepEqual(matmul(f32('batch', 'in'), f32('in', 'out')).shape, ['batch', 'out'])
  assert.throws(() => (matmul as (a: object, b: object) => object)(f32('batch', 'in'), f32('out', 'in')), {
    message: /inner dims in and out differ/,
  })
})
