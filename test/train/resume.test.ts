import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isValue, mapTree } from '../../src/compiler.ts'
import type { AnyValue, Tree } from '../../src/index.ts'
import { load, save, savedMetadata } from '../../src/io.ts'
import { finetune, type FinetuneEvent, type FinetuneOptions } from '../../src/program/commands.ts'
import { humanReport } from '../../src/program/index.ts'
import { at, requestOf } from '../support/finetuned.ts'
import { writeRows } from '../support/command-line.ts'

/** A run that is stopped and goes on from its checkpoint has the losses of one that was never stopped. */

/** The losses of a run by step, the events beside its steps, and the error that ended it. */
interface Ran {
  readonly losses: ReadonlyMap<number, number>
  readonly events: readonly FinetuneEvent[]
  readonly error: unknown
}
const ran = async (options: FinetuneOptions, until: (event: FinetuneEvent) => boolean = () => false): Promise<Ran> => {
  const losses = new Map<number, number>()
  const events: FinetuneEvent[] = []
  try {
    for await (const event of finetune(options)) {
      events.push(event)
      if (event.event === 'step') losses.set(event.step, event.loss)
      if (until(event)) break
    }
  } catch (error) {
    return { losses, events, error }
  }
  return { losses, events, error: undefined }
}
/** Stops a run once a step was made; the checkpoint of that step is then not written. */
const atStep =
  (step: number) =>
  (event: FinetuneEvent): boolean =>
    event.event === 'step' && event.step === step
const messageOf = ({ error }: Ran): string => (error instanceof Error ? error.message : String(error))

const rows = await writeRows(
  at('many.jsonl'),
  Array.from({ length: 7 }, (_, i) => ({ input_ids: Array.from({ length: 12 }, (__, j) => 1 + ((7 * i + j) % 300)) })),
)
const common = { data: rows, eval: undefined, steps: 7, shuffle: true, schedule: 'cosine', warmup: 2 } as const
const kinds: Readonly<Record<string, Partial<FinetuneOptions>>> = {
  'PaCA with columns by gradient and two micro-batches a step': {
    method: 'paca',
    rank: 4,
    select: 'gradient',
    selectSteps: 2,
    accumulate: 2,
  },
  'LoRA with dropout on NF4': { method: 'lora', rank: 4, dropout: 0.2, quantize: 'nf4' },
}
const request = (name: string, options: Partial<FinetuneOptions>): FinetuneOptions =>
  requestOf(name, { ...common, ...options })
const stepFile = (step: number): string => `step-0000000${step}.safetensors`
/** The steps of a run agree with those of an unbroken one. */
const assertSame = (whole: Ran, ...parts: readonly Ran[]): void => {
  for (const { losses, error } of parts) {
    assert.equal(error, undefined)
    for (const [step, loss] of losses) assert.equal(loss, whole.losses.get(step), `step ${step}`)
  }
  assert.equal([...parts.at(-1)!.losses.keys()].at(-1), 7)
}

for (const [kind, options] of Object.entries(kinds))
  test(`${kind}: a run that is stopped twice has the losses of an unbroken one, bit for bit, and its adapter`, async () => {
    const name = kind.replaceAll(' ', '-')
    const whole = await ran(request(`${name}-whole`, options))
    const broken = request(name, { ...options, saveEvery: 2, resume: true })
    const parts = [await ran(broken, atStep(4)), await ran(broken, atStep(5)), await ran(broken)]
    assert.deepEqual([...parts[1]!.losses.keys()], [3, 4, 5])
    assertSame(whole, ...parts)
    const adapter = async (of: string) => readFile(join(at(of), 'adapter_model.safetensors'))
    assert.deepEqual(await adapter(name), await adapter(`${name}-whole`))
  })

const plain = { method: 'lora', rank: 4, dropout: 0.2, saveEvery: 1 } as const
const whole = await ran(request('whole', plain))
/** A run that was stopped after its fifth step, before the checkpoint of that step. */
const begun = await ran(request('begun', plain), atStep(5))
/** The checkpoints of that run, as those of a run with another name. */
const copied = async (name: string): Promise<string> => {
  await cp(at('begun.checkpoints'), at(`${name}.checkpoints`), { recursive: true })
  return at(`${name}.checkpoints`)
}
const goingOn = (name: string, options: Partial<FinetuneOptions> = {}): FinetuneOptions =>
  request(name, { ...plain, resume: true, ...options })

test('the event of a step comes before its checkpoint; the two last ones are kept, and the lock is released', async () => {
  assert.equal(begun.error, undefined)
  assert.deepEqual(await readdir(at('begun.checkpoints')), [stepFile(3), stepFile(4)])
  assert.deepEqual(
    (await readdir(at('.'))).filter(name => name.startsWith('.')),
    [],
  )
})

test('where there is no checkpoint a run begins, and one that had finished is left as it is', async () => {
  const first = await ran(goingOn('finished'))
  assertSame(whole, first)
  assert.deepEqual(
    first.events.find(({ event }) => event === 'resumed'),
    {
      event: 'resumed',
      step: 0,
      from: null,
      finished: false,
    },
  )
  const before = await readFile(join(at('finished'), 'adapter_model.safetensors'))
  const again = await ran(goingOn('finished'))
  assert.deepEqual(
    again.events.map(({ event }) => event),
    ['resumed', 'done'],
  )
  assert.deepEqual(
    [again.error, again.events[0]],
    [undefined, { event: 'resumed', step: 7, from: null, finished: true }],
  )
  assert.deepEqual(await readFile(join(at('finished'), 'adapter_model.safetensors')), before)
  assert.ok(!(await readdir(at('.'))).includes('finished.checkpoints'))
  assert.match(
    messageOf(await ran(goingOn('finished', { lr: 0.5 }))),
    /finished: the run began with --lr 0\.01, and goes on only so, not with --lr 0\.5$/,
  )
})

test('other settings than a run began with are refused by name, with the old value and the new one', async () => {
  await copied('settings')
  const other = await writeRows(at('other.jsonl'), [{ input_ids: [1, 2, 3, 4] }])
  const cases: readonly (readonly [Partial<FinetuneOptions>, RegExp])[] = [
    [{ lr: 0.02 }, /the run began with --lr 0\.01, and goes on only so, not with --lr 0\.02$/],
    [{ dropout: undefined }, /the run began with --dropout 0\.2, and goes on only so, not without --dropout$/],
    [{ seed: 4 }, /the run began with --seed 3, and goes on only so, not with --seed 4$/],
    [{ steps: 8 }, /the run began with --steps 7, and goes on only so, not with --steps 8$/],
    [{ shuffle: false }, /the run began without --no-shuffle, and goes on only so, not with --no-shuffle$/],
    [{ quantize: 'nf4' }, /the run began without --quantize, and goes on only so, not with --quantize nf4$/],
    [{ data: other }, /the run began with --data .*many\.jsonl, and goes on only so, not with --data .*other\.jsonl$/],
    [{ target: 'reference' }, /the run began on tfjs wasm.*, and this is reference.*--target and --threads$/],
    [
      { resume: false },
      /settings\.checkpoints: there are checkpoints of a run to .*: go on with --resume, or remove them/,
    ],
  ]
  for (const [options, message] of cases) {
    const refused = await ran(goingOn('settings', options))
    assert.match(messageOf(refused), message)
    assert.equal(refused.losses.size, 0)
  }
  const same = await cp(rows, at('same.jsonl')).then(() => at('same.jsonl'))
  assertSame(whole, await ran(goingOn('settings', { data: same })))
})

test('data that have changed under the same name are refused', async () => {
  const changing = at('changing.jsonl')
  await cp(rows, changing)
  await ran(request('changed', { ...plain, data: changing }), atStep(2))
  await writeFile(changing, (await readFile(rows, 'utf8')).replace('1', '2'))
  assert.match(
    messageOf(await ran(goingOn('changed', { data: changing }))),
    /what --data names, .*changing\.jsonl, has changed since the run began: it cannot go on$/,
  )
})

test('a last checkpoint that is damaged is told, and the one before it has the same losses', async () => {
  const folder = await copied('damaged')
  await truncate(join(folder, stepFile(4)), 1000)
  const rest = await ran(goingOn('damaged'))
  assert.deepEqual([...rest.losses.keys()], [4, 5, 6, 7])
  assertSame(whole, rest)
  assert.match(
    rest.events.flatMap(event => (event.event === 'warning' ? [event.message] : [])).join(),
    /step-00000004\.safetensors: .*: the run goes on from the checkpoint before it$/,
  )
  const both = await copied('both-damaged')
  for (const step of [3, 4]) await writeFile(join(both, stepFile(step)), 'x')
  assert.match(messageOf(await ran(goingOn('both-damaged'))), /step-00000004\.safetensors: /)
})

test('an interrupt saves a checkpoint and no adapter, and the run goes on from it', async () => {
  const stopping = new AbortController()
  const first = await ran(request('stopped', { ...plain, saveEvery: 4, signal: stopping.signal }), event => {
    if (event.event === 'step' && event.step === 3) stopping.abort()
    return false
  })
  const done = first.events.at(-1)!
  const file = join(at('stopped.checkpoints'), stepFile(3))
  assert.deepEqual(done.event === 'done' && [done.steps, done.adapter, done.checkpoint, done.interrupted], [
    3,
    null,
    file,
    true,
  ])
  const rest = await ran(goingOn('stopped'))
  assert.deepEqual(
    rest.events.find(({ event }) => event === 'resumed'),
    {
      event: 'resumed',
      step: 3,
      from: file,
      finished: false,
    },
  )
  assertSame(whole, first, rest)
})

test('a checkpoint that cannot be written ends the run in one sentence, and the last one is as it was', async () => {
  const folder = await copied('failing')
  const last = await readFile(join(folder, stepFile(4)))
  // nothing is renamed over a folder that is not empty
  await mkdir(join(folder, stepFile(5), 'inside'), { recursive: true })
  const failed = await ran(goingOn('failing', { saveEvery: 5 }))
  assert.match(messageOf(failed), /step-00000005\.safetensors: it is a directory/)
  await rm(join(folder, stepFile(5)), { recursive: true })
  const blocking = ran(goingOn('failing', { saveEvery: 6 }), event => {
    if (event.event === 'step' && event.step === 6) mkdirSync(join(folder, stepFile(6), 'inside'), { recursive: true })
    return false
  })
  assert.match(
    messageOf(await blocking),
    /^the checkpoint of step 6 is not saved: .*step-00000006.*; that of step 4 is as it was: go on with --resume$/,
  )
  assert.deepEqual(await readFile(join(folder, stepFile(4))), last)
  assert.deepEqual((await readdir(folder)).sort(), [stepFile(3), stepFile(4), stepFile(6)])
  await rm(join(folder, stepFile(6)), { recursive: true })
  assertSame(whole, await ran(goingOn('failing')))
})

test('two runs on one folder: the second is refused in one sentence, and the first goes on', async () => {
  let second: Ran | undefined
  const first = request('two', plain)
  const losses = new Map<number, number>()
  for await (const event of finetune(first)) {
    if (event.event === 'step') losses.set(event.step, event.loss)
    if (event.event === 'step' && event.step === 3) second = await ran(goingOn('two'))
  }
  assert.match(messageOf(second!), /two: another run is writing there: process \d+ since /)
  assert.deepEqual(losses, whole.losses)
})

test('a resume that forgets the moments, the random draws or the place in the data is refuted', async () => {
  const file = join(await copied('mutant-source'), stepFile(4))
  const saved = (await load(file)) as Readonly<Record<string, Tree<AnyValue>>>
  const { run } = await savedMetadata(file)
  const zeros = (part: string): Tree<AnyValue> =>
    // a tree of the same structure
    mapTree(saved[part], isValue, value => ({ ...value, data: value.data.map(() => 0) })) as Tree<AnyValue>
  const mutants: readonly (readonly [string, Readonly<Record<string, Tree<AnyValue>>>, string])[] = [
    ['nothing', {}, run!],
    ['moments', { state: zeros('state') }, run!],
    ['draws', { draws: zeros('draws') }, run!],
    ['focus', { focus: zeros('focus') }, run!],
    ['place', {}, run!.replace('"step":4', '"step":3')],
  ]
  for (const [name, changes, state] of mutants) {
    await mkdir(at(`mutant-${name}.checkpoints`))
    const mutant = join(at(`mutant-${name}.checkpoints`), stepFile(4))
    await save(mutant, { ...saved, ...changes }, { metadata: { run: state } })
    const { losses, error } = await ran(goingOn(`mutant-${name}`))
    assert.equal(error, undefined)
    const isSame = [...losses].every(([step, loss]) => loss === whole.losses.get(step))
    assert.equal(isSame, name === 'nothing', name)
  }
})

test('people are told where a run goes on, and how an interrupted one can', () => {
  let text = ''
  const write = (piece: string): void => {
    text += piece
  }
  const report = humanReport({ out: { write }, err: { write } })
  const done: FinetuneEvent = {
    event: 'done',
    steps: 6,
    trainable: 8,
    evalLossBefore: null,
    evalLossAfter: null,
    adapter: null,
    checkpoint: 'out.checkpoints/step-00000006.safetensors',
    interrupted: true,
    seconds: 1,
    target: 'tfjs wasm',
    peakMemory: 1,
  }
  report.show({ event: 'resumed', step: 4, from: 'out.checkpoints/step-00000004.safetensors', finished: false })
  report.show(done)
  report.show({ event: 'resumed', step: 0, from: null, finished: false })
  report.show({ event: 'resumed', step: 6, from: null, finished: true })
  assert.equal(
    text,
    [
      'going on after step 4, from out.checkpoints/step-00000004.safetensors',
      'interrupted after step 6',
      'the checkpoint is out.checkpoints/step-00000006.safetensors: go on with the same command and --resume',
      'there is no checkpoint: the run begins with its first step',
      'the run had finished after step 6: there is nothing to go on with',
      '',
    ].join('\n'),
  )
})
