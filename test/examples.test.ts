import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { typeCheck } from './support/tsc.ts'

const folder = fileURLToPath(new URL('../examples/', import.meta.url))
/** The output of an example; a failing one rejects. */
const run = async (name: string, ...args: readonly string[]): Promise<readonly string[]> => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    path.join(folder, name),
    ...args,
  ])
  assert.equal(stderr, '')
  return stdout.trim().split('\n')
}
const numbersIn = (text: string, before: string): readonly number[] =>
  [...text.matchAll(new RegExp(`${before}(-?[0-9.]+(?:e-?[0-9]+)?)`, 'g'))].map(match => Number(match[1]))
const temporary = async (use: (directory: string) => Promise<void>): Promise<void> => {
  const directory = await mkdtemp(path.join(tmpdir(), 'partensor-example-'))
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The expected output of each example, and further checks. `start.ts` needs a model of 98 MB: `npm start` runs it. */
const checks: Readonly<Record<string, () => Promise<void>>> = {
  'shape-error.ts': async () =>
    assert.deepEqual(await run('shape-error.ts'), [
      'right: [batch, seq, hidden]',
      'wrong: matmul: inner dims hidden and ffn differ',
    ]),
  'two-layer.ts': async () => {
    const lines = await run('two-layer.ts')
    const losses = numbersIn(lines.join('\n'), 'loss ')
    const columns = /: ([\d, ]+)$/.exec(lines[4] ?? '')?.[1]?.split(', ') ?? []
    assert.ok(losses.length === 4 && losses.at(-1)! < losses[0]! / 3, losses.join())
    assert.equal(new Set(columns).size, 8)
    assert.equal(lines[5], 'first moments: up [8, 16], of a weight [32, 16]')
  },
  'verify.ts': async () => {
    const lines = await run('verify.ts')
    assert.ok(
      lines.length === 8 &&
        lines.filter(line => line.startsWith('  20 of 20 steps descended, 0 violations')).length === 2,
      lines.join('\n'),
    )
    assert.ok(
      lines[0]!.includes('(proved)') &&
        lines[2]!.startsWith('  proved: ') &&
        lines[4]!.includes('(estimated)') &&
        lines[6] === '  nothing is claimed',
    )
    assert.deepEqual([lines[3], lines[7]], ['  checked again: true', '  checked again: true'])
  },
  'quadratic.ts': async () => {
    const lines = await run('quadratic.ts')
    assert.equal(lines.length, 8)
    for (const line of lines) {
      const [before, after, bound] = [...numbersIn(line, '= '), ...numbersIn(line, '→ '), ...numbersIn(line, '≤ ')] as [
        number,
        number,
        number,
      ]
      assert.ok(line.endsWith('holds') && after < before && after <= bound && bound < before, line)
    }
  },
  'finetune-llama.ts': () =>
    temporary(async directory => {
      const out = path.join(directory, 'adapter')
      const lines = await run('finetune-llama.ts', fileURLToPath(new URL('golden/llama-tiny', import.meta.url)), out)
      const losses = numbersIn(lines.join('\n'), 'loss ')
      assert.ok(losses.at(-1)! < losses[0]! - 0.5, losses.join())
      assert.equal(lines.at(-1), `saved 8 modules in ${out}`)
      assert.deepEqual((await readdir(out)).sort(), ['adapter_config.json', 'adapter_model.safetensors'])
    }),
}

for (const [name, check] of Object.entries(checks)) test(`examples/${name} runs and prints what it says`, check)

test('every example is run, and none is longer than a screen', async () => {
  const names = (await readdir(folder))
    .filter(name => name.endsWith('.ts') && !['start.ts', 'wordnet.ts'].includes(name))
    .sort()
  assert.deepEqual(names, Object.keys(checks).sort())
  for (const name of names) assert.ok((await readFile(path.join(folder, name), 'utf8')).split('\n').length <= 41, name)
})

test('tsc refuses the wrong line of shape-error.ts, and no other, and names the dims', async () => {
  const source = (await readFile(path.join(folder, 'shape-error.ts'), 'utf8')).replace('../src/index.ts', 'partensor')
  // the fixtures are checked without Node's types, which declare `console`
  const bare = `declare const console: { log(text: string): void }\n${source}`
  assert.deepEqual((await typeCheck(bare)).diagnostics, [])
  const lines = bare.split('\n')
  const at = lines.findIndex(line => line.includes('@ts-expect-error'))
  const { diagnostics } = await typeCheck(lines.toSpliced(at, 1).join('\n'))
  assert.deepEqual(
    diagnostics.map(({ line }) => line),
    [at + 1],
  )
  assert.match(diagnostics[0]!.text, /ShapeError<"matmul: inner dims hidden and ffn differ">/)
})
