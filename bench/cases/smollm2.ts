import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import { ours } from '../measure.ts'
import { comparison, figure, figureOf, type Row } from '../table.ts'
import type { Case } from './case.ts'

const efficiency = 0.6

/** Steps of SmolLM2 against the time that their products alone take when nothing else happens. */
export const smolLM2Steps: Case = {
  name: 'smollm2',
  about: 'SmolLM2 PaCA steps against the sum of their products alone',
  run: async ({ quick, alternate }) => {
    const rows: Row[] = []
    for (const [batch, seq] of quick
      ? ([[1, 128]] as const)
      : ([
          [1, 128],
          [2, 256],
        ] as const)) {
      const shape = { model: 'SmolLM2', threads: 2, batch, seq } as const
      const found = await alternate([
        ours(`SmolLM2 step, ${batch} × ${seq}`, 'step', { ...shape, method: 'paca', warmUp: 1, steps: quick ? 2 : 5 }),
        ours('its products alone', 'products', { ...shape, repetitions: quick ? 3 : 5, atLeast: quick ? 20 : 100 }),
      ])
      // each product at its fastest over all rounds
      const alone = pipe(
        found.get('its products alone') ?? E.left('not measured'),
        E.flatMap(products =>
          figureOf({ ...products, times: [Object.values(products.parts).reduce((sum, part) => sum + part, 0)] }),
        ),
      )
      const step = figure(found.get(`SmolLM2 step, ${batch} × ${seq}`))
      rows.push(
        comparison(
          `SmolLM2: PaCA step, ${batch} × ${seq}`,
          step,
          'its products alone',
          alone,
          `≤ 1 / ${efficiency} = ${(1 / efficiency).toFixed(2)}`,
          ratio => ratio <= 1 / efficiency,
        ),
      )
    }
    return { rows, tables: [] }
  },
}
