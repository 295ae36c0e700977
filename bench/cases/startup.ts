import * as E from 'fp-ts/lib/Either.js'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandOf, ours, projectRoot, timeUntil, type Outcome } from '../measure.ts'
import { cachedSmolLM2 } from '../subject.ts'
import { bounded, figure } from '../table.ts'
import type { Case } from './case.ts'

const shape = { batch: 2, seq: 64 } as const
const text = 'A columnist is a journalist who writes regularly for a newspaper or a magazine, mostly on subjects of her own choice.'

/** From the start of a process to the end of its first step: of the command line, or through the library where there is none. */
const firstStep = async (): Promise<Outcome> => {
  const model = cachedSmolLM2(), main = join(projectRoot, 'src', 'cli', 'main.ts')
  if (model === undefined) return E.left('SmolLM2 is not cached')
  if (!existsSync(main)) return timeUntil(commandOf('first-step', { model: 'SmolLM2', threads: 2, ...shape }), '"event":"step"')
  const folder = await mkdtemp(join(tmpdir(), 'partensor-bench-'))
  try {
    const data = join(folder, 'rows.jsonl')
    await writeFile(data, `${JSON.stringify({ text })}\n`.repeat(8))
    return await timeUntil([
      process.execPath, '--import', 'tsx', main, 'finetune', '--model', model, '--data', data, '--method', 'paca', '--rank', '8', '--steps', '2',
      '--batch', String(shape.batch), '--seq', String(shape.seq), '--target', 'wasm', '--threads', '2', '--out', join(folder, 'adapter'), '--json',
    ], '"event":"step"')
  } finally { await rm(folder, { recursive: true, force: true }) }
}

/** How long a user waits before anything is trained. */
export const startup: Case = {
  name: 'startup',
  about: 'SmolLM2 from trace to plan, and from command to first step',
  run: async ({ alternate }) => {
    const found = await alternate([
      ours('SmolLM2: trace to plan', 'plan', { model: 'SmolLM2', ...shape }),
      { name: 'SmolLM2: command to first step', measure: firstStep },
    ])
    return {
      rows: [
        bounded('SmolLM2: trace to plan', figure(found.get('SmolLM2: trace to plan')), '≤ 2 s', 2000),
        bounded('SmolLM2: command to end of first step', figure(found.get('SmolLM2: command to first step')), '≤ 10 s', 10_000),
      ],
      tables: [],
    }
  },
}
