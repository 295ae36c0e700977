import * as E from 'fp-ts/lib/Either.js'
import { ours } from '../measure.ts'
import type { Breakdown, Case } from './case.ts'

/** Measures where the time of a SmolLM2 step goes. It has no target: it shows what to make faster. */
export const profile: Case = {
  name: 'profile',
  about: 'the time of a SmolLM2 step by op and by product',
  optional: true,
  run: async ({ quick, alternate }) => {
    const tables: Breakdown[] = []
    for (const [batch, seq] of [
      [1, 128],
      [2, 256],
    ] as const) {
      const name = `profile of a SmolLM2 step, ${batch} × ${seq}`
      const options = {
        model: 'SmolLM2',
        method: 'paca',
        threads: 2,
        batch,
        seq,
        warmUp: 1,
        steps: quick ? 2 : 5,
      } as const
      const outcome = (await alternate([ours(name, 'profile', options)])).get(name)
      if (outcome && E.isRight(outcome)) tables.push({ title: `${name}, ms`, parts: outcome.right.parts })
    }
    return { rows: [], tables }
  },
}
