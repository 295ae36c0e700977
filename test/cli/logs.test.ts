import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { crc32c } from '../../src/host/index.ts'
import { scalarsRecord, tfRecord, versionRecord } from '../../src/program/follow/tensorboard.ts'
import { golden, goldenRows, jsonLines, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
const common = `finetune --model ${tiny} --data ${data} --eval ${data} --steps 3 --rank 4 --lr 1e-3 --target wasm`
const finetune = (name: string, ...args: readonly string[]) =>
  partensor(...common.split(' '), '--threads', '1', '--json', '--out', join(directory, name), ...args)

/** The records of a file, each with its frame. */
const framesOf = (file: Buffer): readonly Buffer[] => {
  const frames: Buffer[] = []
  for (let at = 0; at < file.length;) {
    const end = at + 16 + Number(file.readBigUInt64LE(at))
    frames.push(file.subarray(at, end))
    at = end
  }
  return frames
}

interface GoldenEvent {
  readonly time: number
  readonly step: number
  readonly version: string | null
  readonly scalars: Readonly<Record<string, number>>
}

test('events are written byte for byte as TensorBoard’s own writer does', async () => {
  const folder = join(golden, 'tensorboard')
  const [version, ...frames] = framesOf(await readFile(join(folder, 'events.bin')))
  const events = JSON.parse(await readFile(join(folder, 'events.json'), 'utf8')) as readonly GoldenEvent[]
  assert.ok(events.length > 2 && frames.length === events.length - 1)
  frames.forEach((frame, i) => {
    const { scalars, step, time } = events[i + 1]!
    assert.deepEqual(Buffer.from(scalarsRecord(scalars, step, time * 1000)), frame)
  })
  // its first record names its writer too
  const payload = version!.subarray(12, -4)
  assert.deepEqual(Buffer.from(tfRecord(payload)), version)
  const own = Buffer.from(versionRecord(events[0]!.time * 1000)).subarray(12, -4)
  assert.deepEqual(payload.subarray(0, own.length), own)
})

test('CRC-32C has the values of RFC 3720', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345'))), 0xe3069283)
})

test('logs hold the numbers that the run prints, in whole records', async () => {
  const [lines, events] = [join(directory, 'logs/run.jsonl'), join(directory, 'logs/board')]
  const { code, stdout, stderr } = await finetune('a', '--log', `jsonl:${lines}`, '--log', `tensorboard:${events}`)
  assert.deepEqual([code, stderr], [0, ''])
  const printed = jsonLines(stdout)
  const logged = jsonLines(await readFile(lines, 'utf8'))
  assert.deepEqual(
    logged.map(({ event }) => event),
    ['start', 'evaluated', 'step', 'step', 'step', 'evaluated', 'done'],
  )
  const steps = logged.filter(({ event }) => event === 'step')
  printed
    .filter(({ event }) => event === 'step')
    .forEach((line, i) => {
      const { tokensPerSecond, memory, time, ...same } = steps[i]!
      assert.deepEqual(same, line)
      assert.equal(tokensPerSecond, Number(line['tokens']) / Number(line['seconds']))
      assert.ok(Number(memory) > 1e7 && !Number.isNaN(Date.parse(String(time))))
    })
  const [name = '', ...others] = await readdir(events)
  assert.match(name, /^events\.out\.tfevents\.\d{10}\./)
  assert.deepEqual(others, [])
  const frames = framesOf(await readFile(join(events, name)))
  frames.forEach(frame => assert.deepEqual(Buffer.from(tfRecord(frame.subarray(12, -4))), frame))
  // the version, the start, two evaluations, three steps
  assert.equal(frames.length, 7)
  const loss = Buffer.alloc(4)
  loss.writeFloatLE(Number(steps[1]!['loss']))
  const value = Buffer.concat([Buffer.from('train/loss'), Buffer.from([0x15]), loss])
  assert.equal(frames.filter(frame => frame.includes(value)).length, 1)
})

test('a log that cannot be written is refused before anything runs', async () => {
  const file = join(directory, 'there.jsonl')
  await writeFile(file, 'mine\n')
  for (const [log, says] of [
    [`jsonl:${file}`, /^partensor: .*there\.jsonl: the file is there already; name a new one\n$/],
    [`jsonl:${file}/x`, /^partensor: .*there\.jsonl\/x: .*\n$/],
    [`tensorboard:${file}`, /^partensor: .*there\.jsonl.*: .*\n$/],
    ['wandb:x', /^error: option '--log <where>'.*It must be tensorboard:DIR or jsonl:FILE\.\n$/],
    ['jsonl', /^error: option '--log <where>'.*It must be tensorboard:DIR or jsonl:FILE\.\n$/],
  ] as const) {
    const { code, stdout, stderr } = await finetune('refused', '--log', log)
    assert.deepEqual([code, stdout], [1, ''], log)
    assert.match(stderr, says)
    assert.equal(stderr.split('\n').length, 2)
  }
  assert.equal(await readFile(file, 'utf8'), 'mine\n')
})

test('a run that does not begin leaves no log', async () => {
  const folder = join(directory, 'none')
  await mkdir(folder)
  const logs = ['--log', `jsonl:${folder}/run.jsonl`, '--log', `tensorboard:${folder}`]
  const { code } = await finetune('refused', ...logs, '--rank', '100000')
  assert.equal(code, 1)
  assert.deepEqual(await readdir(folder), [])
})

test('a file that can grow no more ends with a whole record', { skip: process.platform === 'win32' }, async () => {
  const path = join(directory, 'full.jsonl')
  const script = `
    import { growingFile } from './src/host/index.ts'
    const file = (await growingFile(process.argv[1])()).right
    const ends = []
    for (let i = 0; i < 5; i++) ends.push(await file.append(i + 'x'.repeat(298) + '\\n')())
    await file.close()
    console.log(ends.map(end => end.left?.message ?? 'written').join('|'))`
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    `trap '' XFSZ; ulimit -f 1; exec "$0" --import tsx --input-type=module -e "$1" "$2"`,
    process.execPath,
    script,
    path,
  ])
  assert.equal(
    stdout.trim(),
    `written|written|written|${path}: the file would be too large|${path}: the file would be too large`,
  )
  assert.equal((await readFile(path)).length, 900)
})
