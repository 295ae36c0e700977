import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FinetuneOptions } from '../../src/program/commands.ts'
import { killAgain, unbroken } from '../support/kills.ts'
import { writeRows } from '../support/command-line.ts'

// `npm run soak -- kills [KILLS] [SEED] [TARGET]`: runs that are killed 200 times in all at random moments, each of
// whose losses must be that of an unbroken run, bit for bit.

const [, , kills = '200', seed = '1', target = 'wasm'] = process.argv
const perRun = 10
const directory = await mkdtemp(join(tmpdir(), 'partensor-kills-'))
const data = await writeRows(
  join(directory, 'rows.jsonl'),
  Array.from({ length: 9 }, (_, i) => ({ input_ids: Array.from({ length: 16 }, (__, j) => 1 + ((5 * i + j) % 300)) })),
)
const common = {
  model: fileURLToPath(new URL('../golden/llama-tiny', import.meta.url)),
  data,
  optimizer: 'adamw',
  seed: 3,
  steps: 60,
  batch: 2,
  shuffle: true,
  lr: 1e-2,
  schedule: 'cosine',
  warmup: 3,
  weightDecay: 0.01,
  clip: 1,
  accumulate: 1,
  ...(target === 'graph' ? ({ target: 'graph' } as const) : ({ target: 'wasm', threads: 1 } as const)),
} as const
const kinds: readonly Partial<FinetuneOptions>[] = [
  { method: 'paca', rank: 4, select: 'gradient', selectSteps: 3, accumulate: 2 },
  { method: 'lora', rank: 4, dropout: 0.2, quantize: 'nf4' },
  { method: 'paca', rank: 4, select: 'weight', quantize: 'nf4', accumulate: 3 },
  { method: 'full' },
]
try {
  for (let done = 0, run = 0; done < Number(kills); done += perRun, run++) {
    const folder = join(directory, String(run))
    await mkdir(folder)
    const options = { ...common, ...kinds[run % kinds.length], out: join(folder, 'out') }
    const whole = await unbroken({ ...options, out: `${folder}-whole` })
    const now = Math.min(perRun, Number(kills) - done)
    await killAgain({ options, whole, kills: now, seed: Number(seed) + run, most: 8 })
    console.log(`${done + now} kills: the losses of ${options.method} are those of an unbroken run`)
  }
} finally {
  await rm(directory, { recursive: true, force: true })
}
