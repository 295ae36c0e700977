import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { goldenRows, jsonLines, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

// With a cache that holds no build, and packages that stand for a user's tfjs-node.
const directory = await temporary()
process.env['PARTENSOR_CACHE'] = join(directory, 'cache')

const core = JSON.stringify(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core'))
/** A package that registers a backend of its own, as tfjs-node does, whose Square multiplies by a number or itself. */
const fake = (by: string): string => `const tf = require(${core}), held = new WeakMap()
class Fake extends tf.KernelBackend {
  binding = { TF_Version: '0.0.1' }
  isUsingGpuDevice = false
  write(values) { const id = {}; held.set(id, values); return id }
  readSync(id) { return held.get(id) }
  disposeData() { return true }
  numDataIds() { return 0 }
  floatPrecision() { return 32 }
  dispose() {}
}
tf.registerKernel({ kernelName: 'Square', backendName: 'tensorflow', kernelFunc: ({ inputs: { x }, backend }) =>
  ({ dataId: backend.write(Float32Array.from(backend.readSync(x.dataId), v => v * ${by})), shape: x.shape, dtype: x.dtype }) })
tf.registerBackend('tensorflow', () => new Fake(), 3)
exports.node = { loadSavedModel() { throw new Error('it loads nothing') } }`

let made = 0
/** Runs `native status` next to one of the user's packages. */
const statusWith = async (
  name: string,
  source: string,
): Promise<{ readonly code: number | null; readonly line: Readonly<Record<string, unknown>> }> => {
  const modules = join(directory, `modules-${made++}`)
  const folder = join(modules, '@tensorflow', name)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'index.js'), source)
  process.env['NODE_PATH'] = modules
  try {
    const { code, stdout } = await partensor('native', 'status', '--json')
    const [line, ...more] = jsonLines(stdout)
    assert.equal(more.length, 0)
    return { code, line: line! }
  } finally {
    delete process.env['NODE_PATH']
  }
}

test('without a build and a package, status, doctor and the target say what to do', async () => {
  const sentence =
    /there is no TensorFlow for the graph and node targets: run `partensor native install`, or install @tensorflow\/tfjs-node/
  const status = await partensor('native', 'status')
  assert.deepEqual([status.code, status.stderr], [1, ''])
  assert.match(status.stdout, sentence)
  const doctor = await partensor('doctor')
  assert.equal(doctor.code, 0)
  assert.match(doctor.stdout, new RegExp(`^node +does not work: ${sentence.source}`, 'm'))
})

test('without TensorFlow auto takes wasm and says why, once and to people alone; 16 bits are refused with the same reason', async () => {
  const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
  const command = ['evaluate', '--model', tiny, '--data', data, '--threads', '1']
  const [people, programs, named, narrow] = await Promise.all(
    [[], ['--json'], ['--target', 'wasm'], ['--precision', 'bf16']].map(more => partensor(...command, ...more)),
  )
  assert.match(people!.stderr, /^target: tfjs wasm, 1 thread \(there is no TensorFlow for [^\n]*\)\n$/)
  assert.deepEqual([people!.code, programs!.code, programs!.stderr, named!.stderr], [0, 0, '', ''])
  assert.deepEqual([narrow!.code, narrow!.stdout], [1, ''])
  assert.match(narrow!.stderr, /^partensor: bf16 needs the graph target: there is no TensorFlow for [^\n]*\n$/)
})

for (const name of ['tfjs-node', 'tfjs-node-gpu']) {
  test(`${name} of the user is taken where it works`, async () => {
    const { code, line } = await statusWith(name, fake('v'))
    assert.equal(line['problem'], undefined)
    assert.deepEqual([code, line['used']], [0, { from: `@tensorflow/${name}`, tensorflow: '0.0.1', gpu: false }])
  })
}

for (const [what, source, reason] of [
  [
    'does not load',
    "throw new Error('libtensorflow.so.2: cannot open shared object file')",
    /@tensorflow\/tfjs-node: libtensorflow\.so\.2: cannot open/,
  ],
  ['computes wrongly', fake('2'), /@tensorflow\/tfjs-node: it computes 6, expected 9/],
  ['registers nothing', '', /@tensorflow\/tfjs-node: /],
] as const) {
  test(`a package of the user that ${what} is named with its reason`, async () => {
    const { code, line } = await statusWith('tfjs-node', source)
    assert.equal(code, 1)
    assert.equal(line['used'], undefined)
    assert.match(String(line['problem']), reason)
  })
}

test('an installation that cannot be is one sentence, and no output', async () => {
  const { code, stdout, stderr } = await partensor(
    'native',
    'install',
    '--wheel',
    join(directory, 'none.whl'),
    '--json',
  )
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^partensor: .*(none\.whl: no such file or directory|native install is for Linux on x64.*)\n$/)
})
