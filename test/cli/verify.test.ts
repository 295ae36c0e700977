import assert from 'node:assert/strict'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConvergenceCertificate } from '../../src/verify.ts'
import { certificateFile, pictureFile } from '../../src/program/verify.ts'
import { optimizerNames } from '../../src/tune/index.ts'
import { goldenRows, jsonLines, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
const verify = (...args: readonly string[]) =>
  partensor(
    'verify',
    '--model',
    tiny,
    '--data',
    data,
    '--rank',
    '4',
    '--target',
    'wasm',
    '--threads',
    '1',
    '--iterations',
    '8',
    ...args,
  )

test('verify writes a certificate that --check finds to fit together, and a picture', async () => {
  const out = join(directory, 'head')
  const { code, stdout, stderr } = await verify(
    '--target-modules',
    'lm_head',
    '--proof',
    'require',
    '--steps',
    '3',
    '--out',
    out,
  )
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^L ≤ .*: proved$/m)
  assert.match(stdout, /^3 steps: 3 descended, 0 ascended; the inequality is violated in 0/m)
  assert.match(stdout, /^proved: in exact arithmetic every one of the 3 steps obeys the inequality/m)
  assert.deepEqual((await readdir(out)).sort(), [certificateFile, pictureFile])
  assert.match(await readFile(join(out, pictureFile), 'utf8'), /^<svg /)
  const checked = await partensor('verify', '--check', join(out, certificateFile))
  assert.equal(checked.code, 0, checked.stderr)
  assert.match(checked.stdout, /^checked: the bound of the curvature, from its witness$/m)
  assert.match(checked.stdout, /^not checked: that the losses/m)

  const text = await readFile(join(out, certificateFile), 'utf8')
  const certificate = JSON.parse(text) as ConvergenceCertificate
  const edited = join(directory, 'edited.json')
  await writeFile(edited, text.replace(String(certificate.steps[1]!.slack), String(certificate.steps[1]!.slack * 2)))
  const refused = await partensor('verify', '--check', edited)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^partensor: .*edited\.json: the certificate was edited: step 1's slack is [^\n]*\n$/)
})

test('verify --json tells every estimate and step, and the certificate at the end', async () => {
  const { code, stdout, stderr } = await verify('--all-weights', '--steps', '2', '--json')
  assert.equal(code, 0, stderr)
  const lines = jsonLines(stdout)
  const kinds = lines.map(({ event }) => event)
  assert.deepEqual(kinds, ['unproved', 'estimate', 'estimate', 'estimate', 'step', 'estimate', 'step', 'done'])
  const { certificate, out } = lines.at(-1) as { readonly certificate: ConvergenceCertificate; readonly out: null }
  assert.equal(out, null)
  assert.deepEqual(
    [certificate.subject.rows, certificate.subject.method, certificate.masks?.all.name],
    [2, 'paca', 'all weights'],
  )
  assert.ok(certificate.masks!.parts[0]!.atMostAll)
})

// those of the others differ in their transforms alone
for (const optimizer of optimizerNames.filter(name => name !== 'sgd').slice(0, 2)) {
  test(`verify with ${optimizer} measures, and claims nothing`, async () => {
    const args = ['--target-modules', 'lm_head', '--optimizer', optimizer, '--steps', '2']
    const { code, stdout, stderr } = await verify(...args)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^nothing is proved of this run: it was measured$/m)
  })
}

const cases: readonly (readonly [name: string, args: readonly string[], says: RegExp])[] = [
  ['a rate of 0', ['--lr', '0'], /^partensor: the rate is 0: it must be above 0$/],
  ['a negative rate', ['--lr=-1'], /option '--lr <x>' argument '-1' is invalid\. It must be a number from 0 on/],
  ['a proof that is not known', ['--proof', 'require'], /^partensor: no bound of the curvature is known: /],
  [
    'a method whose gradient is not that of its loss',
    ['--method', 'dora'],
    /^partensor: the gradient of dora is not that of its loss/,
  ],
  ['dropout', ['--method', 'lora', '--dropout', '0.1'], /^partensor: lora draws at random/],
  [
    'a directory that is not empty',
    ['--out', directory],
    /^partensor: .*: the directory is not empty; name a new or an empty one$/,
  ],
  [
    'a certificate beside a model',
    ['--check', 'x.json'],
    /option '--check <certificate>' cannot be used with option '--model <path>'/,
  ],
]
for (const [name, args, says] of cases) {
  test(`${name} is refused in one sentence, and nothing is written`, async () => {
    const before = await readdir(directory)
    const { code, stdout, stderr } = await verify(...args)
    assert.equal(code, 1)
    assert.equal(stdout, '')
    const last = stderr.trimEnd().split('\n').at(-1)!
    assert.match(last, says)
    assert.deepEqual(await readdir(directory), before)
  })
}

test('verify without a model, and a check of no certificate, are refused in one sentence', async () => {
  const bare = await partensor('verify')
  assert.deepEqual([bare.code, bare.stderr], [1, "error: required option '--model <path>' not specified\n"])
  const nowhere = await partensor('verify', '--check', 'nowhere.json')
  assert.deepEqual([nowhere.code, nowhere.stderr], [1, 'partensor: nowhere.json: no such file or directory\n'])
  const other = await partensor('verify', '--check', data)
  assert.equal(other.code, 1)
  assert.match(other.stderr, /^partensor: .*rows\.jsonl: .*\n$/)
})
