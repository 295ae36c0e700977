import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { finetune, type FinetuneOptions } from '../../src/program/commands.ts'
import { finetuneArguments } from '../../src/program/arguments.ts'
import { load } from '../../src/io.ts'
import { jsonLines } from './command-line.ts'
import { randomFrom } from './op-subjects.ts'

/** Runs of the command line that are killed at random moments and go on. */

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The losses of a run by the number of their step. */
export type Losses = ReadonlyMap<number, number>

/** The losses of a run that nothing stops, in this process. */
export const unbroken = async (options: FinetuneOptions): Promise<Losses> => {
  const losses = new Map<number, number>()
  for await (const event of finetune(options)) if (event.event === 'step') losses.set(event.step, event.loss)
  return losses
}

/** The moment of a kill: some milliseconds after so many lines of steps. */
interface Moment {
  readonly lines: number
  readonly milliseconds: number
}

interface Ended {
  readonly code: number | null
  readonly losses: Losses
  readonly stderr: string
}

/** Runs a command line, up to a moment if there is one: then SIGKILL ends it. */
const started = (args: readonly string[], moment: Moment | undefined): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 300_000,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    let isDue = false
    const look = (): void => {
      if (moment === undefined || isDue || stdout.split('"event":"step"').length <= moment.lines) return
      isDue = true
      setTimeout(() => child.kill('SIGKILL'), moment.milliseconds)
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      look()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    look()
    child.on('error', reject)
    child.on('close', code => {
      // the last line may be cut off
      const lines = jsonLines(stdout.slice(0, stdout.lastIndexOf('\n') + 1))
      const steps = lines.filter(({ event }) => event === 'step')
      resolve({ code, losses: new Map(steps.map(({ step, loss }) => [Number(step), Number(loss)])), stderr })
    })
  })

/** A run, its losses if nothing stops it, and the kills that it suffers. */
export interface Killing {
  readonly options: FinetuneOptions
  readonly whole: Losses
  readonly kills: number
  readonly seed: number
  /** The lines of steps after which a kill may come, at most. */
  readonly most: number
}

/** Checks that all checkpoints can be read, and that the lines of their steps were printed before. */
const checkFiles = async (folder: string, printed: number): Promise<void> => {
  if (!existsSync(folder)) return
  const names = (await readdir(folder)).filter(name => !name.endsWith('.tmp'))
  assert.ok(names.length <= 3, names.join())
  for (const name of names) {
    await load(join(folder, name))
    assert.ok(
      Number(/\d+/.exec(name)![0]) <= printed,
      `${name} is there, and step ${printed} is the last that was told`,
    )
  }
}

/**
 * Kills a run again and again, and lets it end: every loss that it tells is that of the unbroken run, no file is ever
 * half-written, and nothing but the adapter is left.
 */
export const killAgain = async ({ options, whole, kills, seed, most }: Killing): Promise<void> => {
  const random = randomFrom(seed)
  const args = finetuneArguments({ ...options, saveEvery: 1, resume: true })
  const folder = `${options.out}.checkpoints`
  let printed = 0
  const go = async (moment: Moment | undefined): Promise<Ended> => {
    const ended = await started(args, moment)
    for (const [step, loss] of ended.losses) {
      assert.equal(loss, whole.get(step), `step ${step}, seed ${seed}`)
      printed = Math.max(printed, step)
    }
    return ended
  }
  for (let kill = 0; kill < kills; kill++) {
    const lines = Math.floor(random() * (most + 1))
    await go({ lines, milliseconds: Math.floor(random() * (lines === 0 ? 3000 : 25)) })
    await checkFiles(folder, printed)
  }
  const last = await go(undefined)
  assert.deepEqual([last.code, printed], [0, whole.size], last.stderr)
  const left = await readdir(dirname(options.out))
  assert.deepEqual(
    left.filter(name => name.startsWith('.') || name.endsWith('.checkpoints')),
    [],
  )
  assert.deepEqual((await readdir(options.out)).sort(), [
    'adapter_config.json',
    'adapter_model.safetensors',
    'settings.json',
  ])
}
