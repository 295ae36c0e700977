import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FinetuneOptions } from '../../src/program/commands.ts'
import { finetuneArguments } from '../../src/program/arguments.ts'
import { at, requestOf } from '../support/finetuned.ts'
import { interrupted, jsonLines } from '../support/command-line.ts'
import { killAgain, unbroken } from '../support/kills.ts'
import { noNode } from '../support/native-library.ts'

/** Runs that are killed, interrupted, or cannot write go on with the losses of an unbroken run. */

const steps = 24
/** A run whose results have a folder of their own. */
const request = async (name: string, options: Partial<FinetuneOptions>): Promise<FinetuneOptions> => {
  await mkdir(at(name))
  const common = { eval: undefined, optimizer: 'adamw', steps, shuffle: true } as const
  return requestOf(name, { ...common, ...options, out: join(at(name), 'out') })
}
const unbrokenOf = async (options: FinetuneOptions) => unbroken({ ...options, out: `${dirname(options.out)}-whole` })

// each waits for processes most of the time
describe('runs that are killed', { concurrency: 2 }, () => {
  const kinds: readonly (readonly [string, number, Partial<FinetuneOptions>])[] = [
    ['paca', 3, { method: 'paca', rank: 4, select: 'weight', accumulate: 2 }],
    ['lora', 3, { method: 'lora', rank: 4, dropout: 0.2, quantize: 'nf4' }],
  ]
  for (const [name, kills, options] of kinds)
    test(`${kills} kills at random moments: ${name} has the losses of an unbroken run, and no file is half-written`, async () => {
      const killing = await request(name, options)
      const whole = await unbrokenOf(killing)
      await killAgain({ options: killing, whole, kills, seed: 18, most: 5 })
    })
  test('a kill on graph', { skip: noNode ?? false }, async () => {
    const killing = await request('graph', { method: 'paca', rank: 4, target: 'graph', threads: undefined, steps: 6 })
    const whole = await unbrokenOf(killing)
    await killAgain({ options: killing, whole, kills: 1, seed: 18, most: 3 })
  })

  test('an interrupt saves a checkpoint; a file system that takes no more ends the run in one sentence, and it stays', async () => {
    const options = await request('limited', { method: 'paca', rank: 4, steps: 5000, saveEvery: 100_000 })
    const stopped = await interrupted(finetuneArguments(options), '"step":3')
    const { event, adapter, checkpoint, steps: made } = jsonLines(stopped.stdout).at(-1)!
    assert.deepEqual([stopped.code, stopped.stderr, event, adapter], [130, '', 'done', null])
    const before = await readFile(String(checkpoint))
    // files of at most 32 or 64 KB, as shells count; a checkpoint is larger
    const limited = spawnSync(
      'sh',
      [
        '-c',
        'ulimit -f 64; exec "$@"',
        'sh',
        process.execPath,
        '--import',
        'tsx',
        'src/cli/main.ts',
        ...finetuneArguments({ ...options, saveEvery: 1, resume: true }),
      ],
      { cwd: fileURLToPath(new URL('../../', import.meta.url)), encoding: 'utf8', timeout: 120_000 },
    )
    assert.equal(limited.status, 1)
    assert.match(
      limited.stderr,
      new RegExp(
        `^partensor: the checkpoint of step ${Number(made) + 1} is not saved: .*: the file would be too large; that of step ${made} is as it was: go on with --resume\n$`,
      ),
    )
    const folder = `${options.out}.checkpoints`
    assert.deepEqual(await readdir(folder), [`step-${String(made).padStart(8, '0')}.safetensors`])
    assert.deepEqual(await readFile(String(checkpoint)), before)
    assert.deepEqual(await readdir(dirname(options.out)), ['out.checkpoints'])
  })
})
