import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { loadAdapter } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { evaluate, finetune, type FinetuneEvent } from '../../src/program/commands.ts'
import { checkCertificate } from '../../src/verify/index.ts'
import { golden, jsonLines, partensor, temporary, tiny } from '../support/command-line.ts'

// Files that earlier versions wrote, made by test/golden/earlier/make.sh, stay readable, with equal results.

interface Known {
  readonly adapter: string
  readonly loss: number
  readonly tokens: number
  readonly next: readonly number[]
}

const earlier = join(golden, 'earlier')
const data = join(earlier, 'rows.jsonl')
const known = readFileSync(join(earlier, 'losses.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line): Known => JSON.parse(line))
const run = { model: tiny, data, target: 'wasm', threads: 1 } as const
const near = (a: number, b: number): void => {
  assert.ok(Math.abs(a - b) < 1e-5, `${a} is not ${b}`)
}

test('the set holds adapters of every method and of both formats', () => {
  const versions = known.map(
    ({ adapter }) => JSON.parse(readFileSync(join(earlier, adapter, 'adapter_config.json'), 'utf8')).format_version,
  )
  assert.deepEqual([...new Set(versions)].sort(), [1, 2])
  assert.ok(known.length >= 13)
})

for (const { adapter, loss, tokens, next } of known) {
  const directory = join(earlier, adapter)
  const quantize = adapter.endsWith('nf4') ? 'nf4' : undefined

  test(`${adapter} of an earlier version evaluates as it did, and a run goes on from it as it did`, async () => {
    const now = await evaluate({ ...run, adapter: [directory], batch: 2, ...(quantize ? { quantize } : {}) })
    near(now.loss, loss)
    assert.equal('tokens' in now && now.tokens, tokens)
    const losses: number[] = []
    const steps = finetune({
      ...run,
      adapter: directory,
      steps: 2,
      batch: 2,
      accumulate: 1,
      shuffle: false,
      seed: 0,
      lr: 1e-2,
      schedule: 'constant',
      warmup: 0,
      weightDecay: 0.01,
      clip: 1,
      saveOptimizer: false,
      out: join(await temporary(), 'next'),
    })
    for await (const event of steps) if (event.event === 'step') losses.push(event.loss)
    assert.equal(losses.length, next.length)
    losses.forEach((value, i) => near(value, next[i]!))
  })
}

test('an adapter whose values are not those of the set is told from it (mutant)', async () => {
  const { loss } = known.find(({ adapter }) => adapter === 'paca')!
  const plain = await evaluate({ ...run, adapter: [], batch: 2 })
  assert.throws(() => near(plain.loss, loss))
  assert.equal((await orThrow(loadAdapter(join(earlier, 'v1-paca')))).method, 'paca')
})

/** The fields of an event with the types of their values. */
const typesOf = (event: Readonly<Record<string, unknown>>): readonly (readonly [field: string, type: string])[] =>
  Object.entries(event).map(([field, value]) => [field, typeof value])
type Kind = FinetuneEvent['event']

test('every field of an event of an earlier version is there, of its type; there may be more', async () => {
  const out = join(await temporary(), 'out')
  const { code, stdout } = await partensor(
    'finetune',
    '--model',
    tiny,
    '--data',
    data,
    '--eval',
    data,
    '--target',
    'wasm',
    '--threads',
    '1',
    '--steps',
    '3',
    '--lr',
    '3e-2',
    '--target-modules',
    'q_proj,down_proj',
    '--rank',
    '4',
    '--seed',
    '1',
    '--json',
    '--out',
    out,
  )
  assert.equal(code, 0)
  const now = new Map(jsonLines(stdout).map(event => [event['event'] as Kind, new Map(typesOf(event))]))
  for (const file of readdirSync(earlier).filter(name => name.endsWith('.events.jsonl'))) {
    for (const event of jsonLines(readFileSync(join(earlier, file), 'utf8'))) {
      for (const [field, type] of typesOf(event))
        assert.equal(now.get(event['event'] as Kind)?.get(field), type, `${file}: ${field}`)
    }
  }
})

test('a certificate of an earlier version is checked, and one with another number is refused', () => {
  const text = readFileSync(join(earlier, 'verified', 'certificate.json'), 'utf8')
  assert.ok(E.isRight(checkCertificate(text)))
  assert.ok(E.isLeft(checkCertificate(text.replace(/"rows": 4/, '"rows": 0'))))
})
