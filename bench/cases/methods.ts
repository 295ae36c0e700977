import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ours, installedPeer, type Contender, type Outcome } from '../measure.ts'
import { installPyTorch, pytorchCommand } from '../peers/python.ts'
import type { MethodName } from '../subject.ts'
import { bounded, comparedTo, comparison, figure, median, peakFigure, single, type Figure, type Row } from '../table.ts'
import type { Case } from './case.ts'

const shape = { batch: 2, seq: 256 } as const
const tokens = shape.batch * shape.seq
/** From the one that keeps least to the one that keeps most. */
const order = ['paca', 'lora', 'dora'] as const
const others = ['lorafa', 'miss', 'moslora', 'vera', 'shira'] as const

/**
 * The targets on which the methods are compared: the graph target in bfloat16, and the WebAssembly target, which is
 * some five times slower.
 */
const places = [
  { name: 'graph bf16', target: 'graph', precision: 'bf16', model: 'SmolLM2' },
  { name: 'wasm', target: 'wasm', precision: 'f32', model: 'SmolLM2' },
] as const
type Place = (typeof places)[number]

const label = (place: Place, method: MethodName): string => `${place.model}, ${place.name}: ${method}`

/** Medians of each round: a step is slower than another only if it is in every one of them. */
const rounds = (outcome: Outcome | undefined, steps: number): E.Either<string, readonly number[]> =>
  pipe(
    outcome ?? E.left('not measured'),
    E.map(({ times }) =>
      Array.from({ length: times.length / steps }, (_, round) =>
        median(times.slice(round * steps, (round + 1) * steps)),
      ),
    ),
  )

/** The largest ratio over all rounds of one contender to another. */
const worst = (mine: Outcome | undefined, theirs: Outcome | undefined, steps: number): Figure =>
  pipe(
    E.Do,
    E.bind('a', () => rounds(mine, steps)),
    E.bind('b', () => rounds(theirs, steps)),
    E.map(({ a, b }) => ({
      median: Math.max(...a.map((time, i) => time / b[i]!)),
      minimum: Math.min(...a.map((time, i) => time / b[i]!)),
      unit: 'times' as const,
      samples: a.length,
      peakMegabytes: 0,
    })),
  )

/** The error of the difference between two peaks as stated before the steps, as a share of the peak. */
const misstated = (more: Outcome | undefined, less: Outcome | undefined): Figure =>
  pipe(
    E.Do,
    E.bind('a', () => more ?? E.left('not measured')),
    E.bind('b', () => less ?? E.left('not measured')),
    E.flatMap(({ a, b }) => {
      const stated = (Number(a.facts['stated']) - Number(b.facts['stated'])) / 2 ** 20
      const found = a.peakMegabytes - b.peakMegabytes
      return single((100 * Math.abs(found - stated)) / a.peakMegabytes, '%')
    }),
  )

const rowsOf = (place: Place, found: ReadonlyMap<string, Outcome>, steps: number): readonly Row[] => {
  const of = (method: MethodName): Outcome | undefined => found.get(label(place, method))
  return [
    ...order.slice(1).flatMap((method, i): readonly Row[] => {
      const less = order[i]!
      return [
        comparison(
          `${label(place, less)} step`,
          figure(of(less), tokens),
          method,
          figure(of(method), tokens),
          '< 1',
          ratio => ratio < 1,
        ),
        ...(less === 'paca' && place.target === 'graph'
          ? [
              bounded(
                `${label(place, less)} step / ${method}, the slowest round`,
                worst(of(less), of(method), steps),
                '< 1 in every round',
                1,
              ),
            ]
          : []),
        comparison(
          `${label(place, less)} peak memory`,
          peakFigure(of(less)),
          method,
          peakFigure(of(method)),
          '< 1',
          ratio => ratio < 1,
        ),
        bounded(
          `${label(place, method)} peak beside ${less}: off what was stated`,
          misstated(of(method), of(less)),
          '≤ 5% of the peak',
          5,
        ),
      ]
    }),
    ...others.map(method =>
      comparison(`${label(place, method)} step`, figure(of(method), tokens), 'paca', figure(of('paca'), tokens)),
    ),
  ]
}

/** Compares every method with the others and, on graph, LoRA and DoRA with PEFT's. */
const methodsOn = (place: Place): Case => ({
  name: `methods-${place.target}`,
  about: `every method on SmolLM2, ${place.name}: time and peak memory beside each other${place.target === 'graph' ? ' and beside PEFT' : ''}`,
  optional: true,
  run: async ({ quick, say, alternate }) => {
    const steps = quick || place.target === 'wasm' ? 2 : 4
    const common = { model: place.model, ...shape, warmUp: quick || place.target === 'wasm' ? 1 : 2, steps }
    const { target, precision } = place
    const own = (method: MethodName): Contender =>
      ours(label(place, method), 'step', { ...common, method, target, precision })
    const python = target === 'graph' ? await installPyTorch(say) : E.left('not measured')
    const peer = (method: 'lora' | 'dora'): Contender =>
      installedPeer(`PEFT ${method}`, python, at => pytorchCommand(at, { ...common, method, precision: 'bf16' }))
    const found = await alternate([...order.map(own), ...(target === 'graph' ? [peer('lora'), peer('dora')] : [])])
    const more = quick ? new Map<string, Outcome>() : await alternate(others.map(own), 1)
    const against = (method: 'lora' | 'dora', most: number): readonly Row[] => [
      comparedTo(
        `${label(place, method)} step`,
        figure(found.get(label(place, method)), tokens),
        `PEFT ${method}`,
        figure(found.get(`PEFT ${method}`), tokens),
        most,
      ),
      comparedTo(
        `${label(place, method)} peak memory`,
        peakFigure(found.get(label(place, method))),
        `PEFT ${method}`,
        peakFigure(found.get(`PEFT ${method}`)),
        undefined,
      ),
    ]
    return {
      rows: [
        ...rowsOf(place, new Map([...found, ...more]), steps),
        ...(target === 'graph' ? [...against('lora', 0.9), ...against('dora', 0.6)] : []),
      ],
      tables: [],
    }
  },
})

export const methods: readonly Case[] = places.map(methodsOn)
