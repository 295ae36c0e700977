import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { imageNetworks, type ImageNetwork } from '../images.ts'
import { ours } from '../measure.ts'
import { comparedTo, figure, figureOf, peakFigure, type Row } from '../table.ts'
import type { Breakdown, Case } from './case.ts'

/** The most time of a step, in that of its products alone. */
const most = 1.7
// the keys of a record of constants
const networks = Object.keys(imageNetworks) as readonly ImageNetwork[]

/** Steps of image classifiers on wasm against the time that their products alone take, and where the time goes. */
export const images: Case = {
  name: 'images',
  about: 'steps of ViT, EfficientNet-Lite0 and EfficientNetV2 on wasm against the sum of their products alone',
  optional: true,
  run: async ({ quick, alternate }) => {
    const rows: Row[] = []
    const tables: Breakdown[] = []
    for (const network of networks)
      for (const method of ['paca', 'full'] as const) {
        const of = { network, method, threads: 2 }
        const name = `${network}, batch ${imageNetworks[network].batch}: ${method}`
        const span = { warmUp: 1, steps: quick ? 2 : 6 }
        const found = await alternate([
          ours(`${name} step`, 'image-step', { ...of, ...span, parts: false }),
          ours(`${name} products`, 'image-products', { ...of, repetitions: 3, atLeast: quick ? 5 : 40 }),
          ours(`${name} by op`, 'image-step', { ...of, ...span, parts: true }, 1),
        ])
        const step = found.get(`${name} step`)
        // each product at its fastest over all rounds
        const alone = pipe(
          found.get(`${name} products`) ?? E.left('not measured'),
          E.flatMap(products =>
            figureOf({ ...products, times: [Object.values(products.parts).reduce((sum, part) => sum + part, 0)] }),
          ),
        )
        rows.push(comparedTo(`${name} step`, figure(step), 'its products alone', alone, most))
        rows.push({
          what: `${name}: peak memory`,
          ours: peakFigure(step),
          peer: undefined,
          ratio: undefined,
          asked: '',
          met: undefined,
        })
        const parts = found.get(`${name} by op`)
        if (parts && E.isRight(parts)) tables.push({ title: `${name} step by op, ms`, parts: parts.right.parts })
      }
    return { rows, tables }
  },
}
