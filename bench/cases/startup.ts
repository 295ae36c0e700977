import * as E from 'fp-ts/lib/Either.js'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compiledFile } from '../compiled.ts'
import { ours, timeUntil, type Outcome } from '../measure.ts'
import { cachedSmolLM2 } from '../subject.ts'
import { bounded, figure } from '../table.ts'
import type { Case } from './case.ts'

/** A command line whose first step is waited for, and the milliseconds that it may take. */
interface Start {
  readonly name: string
  readonly batch: number
  readonly seq: number
  readonly target: readonly string[]
  readonly most: number
}
const starts: readonly Start[] = [
  { name: 'wasm, 2 × 64', batch: 2, seq: 64, target: ['--target', 'wasm', '--threads', '2'], most: 10_000 },
  {
    name: 'graph bf16, 2 × 256',
    batch: 2,
    seq: 256,
    target: ['--target', 'graph', '--precision', 'bf16'],
    most: 8_000,
  },
]
// more tokens than a row may have: rows are cut to the requested length, and not shorter
const text =
  'A columnist is a journalist who writes regularly for a newspaper or a magazine, mostly on subjects of her own choice. '.repeat(
    16,
  )

/** From the start of the process to the end of its first step: program, data, model and plan included. */
const firstStep = async ({ batch, seq, target }: Start): Promise<Outcome> => {
  const model = cachedSmolLM2()
  const main = compiledFile('src/cli/main.ts')
  if (model === undefined) return E.left('SmolLM2 is not cached')
  const folder = await mkdtemp(join(tmpdir(), 'partensor-bench-'))
  try {
    const data = join(folder, 'rows.jsonl')
    await writeFile(data, `${JSON.stringify({ text })}\n`.repeat(8))
    return await timeUntil(
      [
        process.execPath,
        main,
        'finetune',
        '--model',
        model,
        '--data',
        data,
        '--method',
        'paca',
        '--rank',
        '8',
        '--steps',
        '2',
        '--batch',
        String(batch),
        '--seq',
        String(seq),
        ...target,
        '--out',
        join(folder, 'adapter'),
        '--json',
      ],
      '"event":"step"',
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Measures how long a user waits before anything is trained. */
export const startup: Case = {
  name: 'startup',
  about: 'SmolLM2 from trace to plan, and from command to first step on wasm and on graph',
  run: async ({ alternate }) => {
    const plan = 'SmolLM2: trace to plan'
    const named = ({ name }: Start): string => `SmolLM2: command to end of first step, ${name}`
    const found = await alternate([
      ours(plan, 'plan', { model: 'SmolLM2', batch: 2, seq: 64 }),
      ...starts.map(start => ({ name: named(start), measure: () => firstStep(start) })),
    ])
    return {
      rows: [
        bounded(plan, figure(found.get(plan)), '≤ 2 s', 2000),
        ...starts.map(start =>
          bounded(named(start), figure(found.get(named(start))), `≤ ${start.most / 1000} s`, start.most),
        ),
      ],
      tables: [],
    }
  },
}
