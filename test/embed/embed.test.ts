import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { embeddedProject, ending, type Ended } from '../support/embedded.ts'
import { nodeTest } from '../support/native-library.ts'

// The built package inside other programs: an HTTP server, worker threads, CommonJS. Each has to give right numbers,
// also when several sessions run at once, and to end by itself: an open handle would keep it, an unhandled rejection
// fails it.

interface Line {
  readonly first: number
  readonly last: number
  readonly found: number
}
let project: Awaited<ReturnType<typeof embeddedProject>>
before(async () => {
  project = await embeddedProject()
})
after(() => project[Symbol.asyncDispose]())

const run = (...args: readonly string[]): Promise<Ended> => ending(project.folder, process.execPath, ...args)
/** The output of a program, as JSON, after it has ended well and without a warning. */
const printed = async <T>(...args: readonly string[]): Promise<T> => {
  const { code, out, err } = await run(...args)
  assert.deepEqual({ code, err }, { code: 0, err: '' }, out)
  return JSON.parse(out) as T
}
const isNear = (a: Line, b: Line): boolean =>
  Math.abs(a.first - b.first) < 1e-4 && Math.abs(a.last - b.last) < 1e-4 && Math.abs(a.found - b.found) < 1e-3
/** A line that was learned: its loss fell, and it goes on as the points do. */
const isLearned = ({ first, last, found }: Line, slope: number): boolean =>
  last < first / 10 && Math.abs(found - 10 * slope) < 5 * Math.abs(slope)

interface Answer<T> {
  readonly status: number
  readonly is: T
}
test('an HTTP handler trains and predicts; requests at once have the answers that they have alone', async () => {
  const { alone, together, answers } = await printed<{
    readonly alone: readonly Answer<Line>[]
    readonly together: readonly Answer<Line>[]
    readonly answers: readonly Answer<unknown>[]
  }>('server.mjs')
  assert.deepEqual(together, alone)
  const slopes = [1, 1, -3, -3, 5, 5]
  for (const [i, { status, is }] of alone.entries())
    assert.ok(status === 200 && isLearned(is, slopes[i]!), JSON.stringify(is))
  for (const i of [0, 2, 4]) assert.ok(isNear(alone[i]!.is, alone[i + 1]!.is), JSON.stringify(alone))

  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 400, 200, 400, 400, 200],
  )
  const right = answers.filter(({ status }) => status === 200)
  assert.deepEqual(
    right.map(({ is }) => is),
    [[8], [18, 28], [3]],
  )
  for (const { is } of answers.filter(({ status }) => status !== 200)) assert.match(String(is), /^[^\n]{10,}$/)
})

test('two worker threads at once learn what the main thread learns, on wasm and on cpu', async () => {
  type Lines = { readonly wasm: Line; readonly cpu: Line }
  const { alone, together } = await printed<{
    readonly alone: readonly [Lines, Lines]
    readonly together: readonly Lines[]
  }>('workers.mjs')
  assert.deepEqual(together, [alone[0], alone[1], alone[0]])
  for (const [i, slope] of [1, -3].entries()) {
    const { wasm, cpu } = alone[i]!
    assert.ok(isLearned(wasm, slope) && isNear(wasm, cpu), JSON.stringify(alone))
  }
})

nodeTest('workers learn on graph what the main thread learns, print nothing, and leave the addons loaded', async () => {
  const { left, lines } = await printed<{ readonly left: readonly string[]; readonly lines: readonly Line[] }>(
    'graph-workers.mjs',
  )
  // TensorFlow's threads outlive a worker, and call the addons
  assert.deepEqual(left, ['tfjs_binding.node', 'log.node'])
  assert.ok(lines.length === 5 && isLearned(lines[0]!, 1), JSON.stringify(lines))
  for (const line of lines) assert.deepEqual(line, lines[0])
})

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const requiresModules = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)

test('a program of CommonJS requires the package, on every Node that can', { skip: !requiresModules }, async () => {
  const lines = await printed<readonly [Line, Line, Line]>('required.cjs')
  for (const line of lines) assert.ok(isLearned(line, 5) && isNear(line, lines[2]), JSON.stringify(lines))
})

test('a program of CommonJS imports the package on every Node', async () => {
  assert.ok(isLearned(await printed<Line>('imported.cjs'), 5))
})

const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ENOTCACHED|EIDLETIMEOUT)\b/
test('tests of vitest pass, in processes and in threads', async t => {
  const runner = path.join(project.folder, 'runner')
  const modules = path.join(runner, 'node_modules')
  await mkdir(runner)
  const options = ['--prefix', runner, '--prefer-offline', '--no-audit', '--no-fund']
  const installed = await ending(project.folder, 'npm', 'install', ...options, 'vitest@4')
  // without a network nothing can be installed; continuous integration has one
  if (installed.code !== 0 && unreachable.test(installed.err) && !process.env['CI']) {
    t.skip('the package registry cannot be reached')
    return
  }
  assert.equal(installed.code, 0, installed.err)
  await symlink(path.join(modules, 'vitest'), path.join(project.folder, 'node_modules', 'vitest'))
  for (const pool of ['forks', 'threads']) {
    const { code, out, err } = await run(path.join(modules, 'vitest', 'vitest.mjs'), 'run', `--pool=${pool}`)
    assert.ok(code === 0 && /Tests .*4 passed/.test(out) && !/unhandled|hanging/i.test(out + err), out + err)
  }
})

test('a program that ends with a rejection or with a warning is refuted', async () => {
  const session = "const { f32 } = await import('partensor'); const { shape } = f32('n');"
  const mutants = [
    `${session} Promise.reject(new Error(String(shape)))`,
    `${session} process.emitWarning(String(shape))`,
  ]
  for (const mutant of mutants) await assert.rejects(printed('--input-type=module', '-e', mutant))
})
