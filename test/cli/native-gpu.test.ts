import assert from 'node:assert/strict'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { targetNames } from '../../src/backend/index.ts'
import {
  addonFile,
  buildFolder,
  logFile,
  manifestFile,
  nativeBuilds,
  scriptsFolder,
} from '../../src/backend/native/builds.ts'
import { goldenRows, jsonLines, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

// TensorFlow as the GPU packages give it, on a machine without a GPU: the build in the cache that is there anyway,
// under the names of the builds and packages for GPUs, in processes that are shown no GPU. Where the cache holds a
// build with CUDA, that one is tested.
const build = nativeBuilds().find(({ problem }) => problem === undefined)
// continuous integration installs one, so there it is tested in any case
const skip =
  build === undefined && !process.env['CI']
    ? 'there is no TensorFlow in the cache: `partensor native install` builds it'
    : false

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
const golden = JSON.parse(await readFile(join(tiny, 'losses.json'), 'utf8')) as { readonly paca: readonly number[] }
const here = createRequire(import.meta.url)

/** A cache with a build for GPUs, which consists of links; its folder. */
const gpuBuild = async (cache: string): Promise<string> => {
  const { folder, version } = build!
  const linked = buildFolder(cache, 'tensorflow', version)
  await mkdir(linked, { recursive: true })
  for (const part of [addonFile, logFile, scriptsFolder, 'tensorflow', manifestFile])
    await symlink(join(folder, part), join(linked, part))
  return linked
}

/** A `node_modules` with tfjs-node-gpu: its own scripts, which are those of tfjs-node, and their imports. */
const gpuPackage = async (modules: string): Promise<string> => {
  const { folder } = build!
  const scripts = join(folder, scriptsFolder)
  const name = '@tensorflow/tfjs-node-gpu'
  const put = async (package_: string, source: string): Promise<void> => {
    await mkdir(join(modules, package_), { recursive: true })
    await writeFile(join(modules, package_, 'index.js'), source)
  }
  await mkdir(join(modules, name), { recursive: true })
  await cp(join(scripts, 'dist'), join(modules, name, 'dist'), { recursive: true })
  await writeFile(join(modules, name, 'package.json'), JSON.stringify({ name, main: 'dist/index.js' }))
  await put('@mapbox/node-pre-gyp', `exports.find = () => ${JSON.stringify(join(folder, addonFile))}`)
  await put('google-protobuf', await readFile(join(scripts, 'google-protobuf.js'), 'utf8'))
  await put('progress', '')
  // only the core of the union package is used; the two functions are those that Node no longer has since version 23
  await put(
    '@tensorflow/tfjs',
    `const util = require('node:util')
util.isNullOrUndefined ??= value => value === undefined || value === null
util.isArray ??= Array.isArray
module.exports = { ...require(${JSON.stringify(here.resolve('@tensorflow/tfjs-core'))}), CustomCallback: class {}, registerCallbackConstructor() {}, version: {} }`,
  )
  await put(
    '@tensorflow/tfjs-core',
    `module.exports = require(${JSON.stringify(here.resolve('@tensorflow/tfjs-core'))})`,
  )
  return name
}

/** Runs with variables of the environment, and restores them. */
const withEnvironment = async (
  variables: Readonly<Record<string, string>>,
  run: () => Promise<void>,
): Promise<void> => {
  const before = Object.keys(variables).map(name => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  try {
    await run()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

const places: readonly (readonly [
  what: string,
  prepare: (
    folder: string,
  ) => Promise<{ readonly from: string; readonly environment: Readonly<Record<string, string>> }>,
])[] = [
  [
    'a build with CUDA in the cache',
    async folder => ({ from: await gpuBuild(folder), environment: { PARTENSOR_CACHE: folder } }),
  ],
  [
    'tfjs-node-gpu of the user',
    async folder => ({
      from: await gpuPackage(folder),
      environment: { PARTENSOR_CACHE: join(folder, 'none'), NODE_PATH: folder },
    }),
  ],
]
const targets = targetNames.filter(name => name === 'node' || name === 'graph')

for (const [index, [what, prepare]] of places.entries()) {
  test(`without a GPU ${what} is taken, runs on the CPU, says so, and computes`, { skip }, async () => {
    const folder = join(directory, `place-${index}`)
    const { from, environment } = await prepare(folder)
    const { version } = build!
    await withEnvironment({ ...environment, CUDA_VISIBLE_DEVICES: '-1' }, async () => {
      const [status] = jsonLines((await partensor('native', 'status', '--json')).stdout)
      assert.deepEqual([status!['used'], status!['problem']], [{ from, tensorflow: version, gpu: false }, undefined])
      const doctor = jsonLines((await partensor('doctor', '--json')).stdout)[0]!['targets'] as readonly {
        target: string
        works: boolean
        detail: string
      }[]
      assert.ok(
        doctor.find(report => report.target === 'auto')!.detail.includes(`on cpu, f32 (TensorFlow from ${from})`),
      )
      for (const target of targets) {
        const { works, detail } = doctor.find(report => report.target === target)!
        assert.ok(works && detail.includes(` ${version} on cpu`), detail)
        const run = await partensor(
          'finetune',
          '--model',
          tiny,
          '--data',
          data,
          '--rank',
          '4',
          '--columns',
          join(tiny, 'paca.safetensors'),
          '--lr',
          '5e-3',
          '--schedule',
          'cosine',
          '--warmup',
          '2',
          '--steps',
          '10',
          '--no-shuffle',
          '--target',
          target,
          '--out',
          join(directory, `${basename(from)}-${target}`),
          '--json',
        )
        const losses = jsonLines(run.stdout)
          .filter(({ event }) => event === 'step')
          .map(({ loss }) => Number(loss))
        assert.deepEqual([run.code, losses.length], [0, 10], run.stderr)
        // the output of a user's package is its own affair
        if (environment['PARTENSOR_CACHE'] === folder) assert.equal(run.stderr, '')
        losses.forEach((loss, i) =>
          assert.ok(Math.abs(loss - golden.paca[i]!) < 1e-3, `step ${i}: ${loss}, not ${golden.paca[i]}`),
        )
      }
    })
  })
}
