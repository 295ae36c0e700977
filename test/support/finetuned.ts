import { join } from 'node:path'
import { finetune, type FinetuneEvent, type FinetuneOptions } from '../../src/program/commands.ts'
import type { DoneEvent } from '../../src/program/events.ts'
import { goldenRows, temporary, tiny, writeRows } from './command-line.ts'

/** The golden batch as a data set, and a directory for adapters. */
export const directory = await temporary()
export const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
export const at = (name: string): string => join(directory, name)

/** The events of a run, its result, and the place of its adapter. */
export interface Tuned {
  readonly events: readonly FinetuneEvent[]
  readonly done: DoneEvent
  readonly out: string
}

/** The options of a run of the tiny model on the golden batch, with others in their place. */
export const requestOf = (name: string, options: Partial<FinetuneOptions>): FinetuneOptions => ({
  model: tiny,
  data,
  eval: data,
  seed: 3,
  steps: 2,
  batch: 2,
  accumulate: 1,
  shuffle: false,
  lr: 1e-2,
  schedule: 'constant',
  warmup: 0,
  weightDecay: 0.01,
  clip: 1,
  target: 'wasm',
  threads: 1,
  out: at(name),
  ...options,
})

/** Fine-tunes the tiny model on the golden batch, in this process. */
export const tuned = async (name: string, options: Partial<FinetuneOptions>): Promise<Tuned> => {
  const events: FinetuneEvent[] = []
  for await (const event of finetune(requestOf(name, options))) events.push(event)
  return { events, done: events.at(-1) as DoneEvent, out: at(name) }
}
