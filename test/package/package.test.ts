import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

// The package as a user gets it: packed, installed into an empty project next to tfjs, run by plain Node, type-checked
// without anybody's types.

const root = fileURLToPath(new URL('../..', import.meta.url))
const compilers = ['typescript', 'typescript-5.9'].map(name =>
  path.join(path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'bin', 'tsc'),
)
const [tsc] = compilers as [string, ...string[]]
const tfjs = ['@tensorflow/tfjs-core@4.22', '@tensorflow/tfjs-backend-wasm@4.22']
const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ENOTCACHED|EIDLETIMEOUT)\b/

interface Done {
  readonly code: number
  readonly out: string
  readonly err: string
}
/** Runs a program in a folder, without the environment of this process. */
const run = (cwd: string, program: string, ...args: readonly string[]): Promise<Done> => {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
  return new Promise(resolve => {
    execFile(program, [...args], { cwd, env, maxBuffer: 2 ** 26 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err })
    })
  })
}

let folder = ''
let project = ''
let missing: string | undefined
const installed = (...parts: readonly string[]): string => path.join(project, 'node_modules', ...parts)
const json = async (file: string): Promise<Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>> =>
  JSON.parse(await readFile(file, 'utf8'))

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'partensor-package-'))
  project = path.join(folder, 'project')
  await mkdir(project)
  const packed = await run(root, 'npm', 'pack', '--pack-destination', folder)
  assert.equal(packed.code, 0, packed.out + packed.err)
  const tarball = (await readdir(folder)).find(name => name.endsWith('.tgz'))
  assert.ok(tarball)
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const { code, err } = await run(
    project,
    'npm',
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    path.join(folder, tarball),
    ...tfjs,
  )
  // without a network nothing can be installed; continuous integration has one
  if (code !== 0 && unreachable.test(err) && !process.env['CI']) missing = 'the package registry cannot be reached'
  else assert.equal(code, 0, err)
})
after(() => rm(folder, { recursive: true, force: true }))

const inProject = (name: string, check: () => Promise<void>): void => {
  test(name, async (t: TestContext) => {
    if (missing === undefined) await check()
    else t.skip(missing)
  })
}

inProject('the package holds its build and its texts, and no sources', async () => {
  assert.deepEqual((await readdir(installed('partensor'))).filter(name => name !== 'node_modules').sort(), [
    'LICENSE',
    'README.md',
    'dist',
    'package.json',
  ])
  const files = await readdir(installed('partensor', 'dist'), { recursive: true })
  assert.deepEqual(
    files.filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts')),
    [],
  )
})

inProject("there is one copy of tfjs: the project's own", async () => {
  const copies = (await readdir(installed(), { recursive: true })).filter(name =>
    /(^|[\\/])@tensorflow[\\/]tfjs-(core|backend-wasm)[\\/]package\.json$/.test(name),
  )
  assert.deepEqual(
    copies.sort(),
    ['backend-wasm', 'core'].map(name => path.join('@tensorflow', `tfjs-${name}`, 'package.json')),
  )
  const { dependencies = {}, peerDependencies = {} } = await json(installed('partensor', 'package.json'))
  assert.deepEqual(
    Object.keys(dependencies).filter(name => name.startsWith('@tensorflow/')),
    [],
  )
  for (const name of ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm'])
    assert.ok(name in peerDependencies, name)
})

const program = `
import { adamw, adapt, compile, crossEntropy, f32, i32, matmul, model, paca, relu, size, sum, trainStep, uniform } from 'partensor'

const network = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(relu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
})
const random = (shape, sizes, stream) => ({ shape, sizes, dtype: 'f32', data: uniform(0, stream, sizes[0] * sizes[1]) })
const weights = { up: random(['pixels', 'hidden'], [32, 16], 1), down: random(['hidden', 'classes'], [16, 4], 2) }
const batch = {
  x: random(['batch', 'pixels'], [8, 32], 3),
  y: { shape: ['batch'], sizes: [8], dtype: 'i32', data: Int32Array.from({ length: 8 }, (_, i) => i % 4) },
}
const step = trainStep(adapt(network, paca({ targets: ['up'], rank: 8, seed: 0 })), adamw({ lr: 0.1 }))
const run = await compile(step, { target: 'wasm', threads: 2, weights })
const losses = []
for (let k = 0; k < 20; k++) losses.push((await run.step([batch])).loss)
const { state } = await run.read()
await run[Symbol.asyncDispose]()
console.log(JSON.stringify({ target: run.target, first: losses[0], last: losses.at(-1), moments: state[0].mu.up.sizes }))
`

inProject('plain Node builds a model, compiles it for wasm, and trains it', async () => {
  await writeFile(path.join(project, 'program.js'), program)
  const { code, out, err } = await run(project, process.execPath, 'program.js')
  assert.equal(code, 0, err)
  const { target, first, last, moments } = JSON.parse(out)
  assert.match(target, /^tfjs wasm, [12] threads?$/)
  assert.ok(last < first - 0.1, out)
  assert.deepEqual(moments, [8, 16])
})

const right = `
import { adamw, adapt, chain, clipByGlobalNorm, compile, crossEntropy, f32, i32, matmul, model, paca, relu, size, sum, trainStep, type Values } from 'partensor'

const network = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(relu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
})
declare const weights: Values<typeof network.params>, batch: Values<typeof network.batch>
const step = trainStep(adapt(network, paca({ targets: ['up'], rank: 8, seed: 0 })), chain(clipByGlobalNorm(1), adamw({ lr: 1e-3 })))
await using run = await compile(step, { target: 'auto', weights })
export const { loss } = await run.step([batch])
export const moments: readonly [8, 'hidden'] = (await run.read()).state[1][0].mu.up.shape
`
const wrong = `
import { f32, matmul } from 'partensor'
export const y = matmul(f32('batch', 'hidden'), f32('ffn', 'hidden'))
`
const compilerOptions = {
  target: 'es2023',
  module: 'nodenext',
  strict: true,
  skipLibCheck: false,
  types: [],
  noEmit: true,
}

for (const [what, more] of [
  ['the default libraries', {}],
  ['no DOM', { lib: ['es2023'] }],
] as const) {
  inProject(
    `the types stand on their own with ${what}: a right file passes, and a shape mistake is an error that names the dims`,
    async () => {
      const check = async (source: string): Promise<Done> => {
        await writeFile(path.join(project, 'file.ts'), source)
        await writeFile(
          path.join(project, 'tsconfig.json'),
          JSON.stringify({ compilerOptions: { ...compilerOptions, ...more }, files: ['file.ts'] }),
        )
        return run(project, process.execPath, tsc, '-p', '.', '--pretty', 'false')
      }
      assert.deepEqual(await check(right), { code: 0, out: '', err: '' })
      const { code, out } = await check(wrong)
      assert.notEqual(code, 0)
      assert.match(out, /^file\.ts\(3,\d+\): error /)
      assert.match(out, /matmul: inner dims hidden and ffn differ/)
      assert.doesNotMatch(out, /node_modules/)
    },
  )
}

const declaring = `
import * as partensor from 'partensor'
import * as compiler from 'partensor/compiler'
import * as io from 'partensor/io'
import * as pretrained from 'partensor/model'
import * as certificates from 'partensor/verify'
import * as commands from 'partensor/cli'
import {
  accumulate, adamw, adapt, add, chain, compile, crossEntropy, f32, i32, lora, masked, matmul, model, paca, schedule, size, sum, trainStep, vera,
  type Dim, type Shape, type Tensor, type Values,
} from 'partensor'
import { columns, focus, scale } from 'partensor/compiler'
export const everything = { ...partensor }, parts = { ...compiler }, curves = { ...schedule }, files = { ...io }, models = { ...pretrained }, proofs = { ...certificates }, work = { ...commands }
export const linear = <L extends Shape, I extends Dim, O extends Dim>(x: Tensor<readonly [...L, I]>, w: Tensor<readonly [I, O]>, b: Tensor<readonly [O]>) =>
  add(matmul(x, w), b)
export const network = model({
  params: { enc: { w: f32('pixels', 'hidden'), b: f32('hidden') }, layers: [{ up: f32('hidden', 'classes') }] },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(linear(b.x, p.enc.w, p.enc.b), p.layers[0]!.up),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
})
declare const weights: Values<typeof network.params>, batch: Values<typeof network.batch>
export const tuned = adapt(network, paca({ targets: ['enc.w', '0.up'], rank: 8, seed: 0 }))
export const others = [adapt(network, lora({ targets: ['w'], rank: 8, seed: 0 })), adapt(network, vera({ targets: ['up'], rank: 8, seed: 0 }))] as const
export const part = focus(tuned.params, tuned.mask), mask = { w: columns(8) }
export const transform = chain(masked(scale(0.1), { by: 'path', where: () => true }), accumulate(adamw({ lr: schedule.warmupCosine({ peak: 1e-3, warmup: 1, total: 9 }) }), 4))
export const step = trainStep(tuned, transform), state = transform.init(part)
export const open = () => compile(step, { target: 'auto', weights })
export const run = await open(), result = await run.step([batch]), saved = await run.read(), gradients = await run.gradients(batch)
`
inProject(
  'a project that writes declarations can name every type it exports, whatever it exports of the library',
  async () => {
    await writeFile(path.join(project, 'file.ts'), declaring)
    const options = { ...compilerOptions, noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: 'types' }
    await writeFile(
      path.join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['file.ts'] }),
    )
    for (const compiler of compilers) {
      assert.deepEqual(
        await run(project, process.execPath, compiler, '-p', '.', '--pretty', 'false'),
        { code: 0, out: '', err: '' },
        compiler,
      )
      assert.match(
        await readFile(path.join(project, 'types', 'file.d.ts'), 'utf8'),
        /export declare const step: import\("partensor"\)\.Step<|export declare const step: .*Step</,
      )
    }
  },
)

inProject('the command line runs: it explains itself, and finds that wasm works', async () => {
  const partensor = installed('.bin', 'partensor')
  const help = await run(project, partensor, '--help')
  assert.equal(help.code, 0, help.err)
  for (const command of ['finetune', 'evaluate', 'generate', 'explain', 'doctor'])
    assert.match(help.out, new RegExp(`^  ${command} `, 'm'))
  const { code, out, err } = await run(project, partensor, 'doctor', '--json')
  assert.equal(code, 0, err)
  const {
    targets,
    versions,
  }: {
    readonly targets: readonly { readonly target: string; readonly works: boolean }[]
    readonly versions: Readonly<Record<string, string>>
  } = JSON.parse(out)
  for (const target of ['wasm', 'reference'])
    assert.equal(targets.find(found => found.target === target)?.works, true, out)
  assert.equal(versions['partensor'], (await json(path.join(root, 'package.json')))['version'])
})
