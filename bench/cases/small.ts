import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { save } from '../../src/io.ts'
import { installedPeer, ours, type Contender, type Outcome } from '../measure.ts'
import type { Span } from '../measurement.ts'
import { installJaxJs } from '../peers/install.ts'
import { installPyTorch } from '../peers/python.ts'
import { learningRate, smallPrograms, type SmallName } from '../small.ts'
import { bounded, comparedTo, figure, single, type Figure, type Row } from '../table.ts'
import type { Case } from './case.ts'

const about: { readonly [K in SmallName]: string } = {
  mlp: 'MLP 784-128-10, batch 32',
  gru: 'GRU of 100 steps, 32 → 64, batch 32',
  transformer: 'transformer of 4 layers, hidden 128, 16 × 64 tokens',
}
const names = Object.keys(smallPrograms) as readonly SmallName[] // the keys of a record of constants

const contenderNames = {
  wasm: 'wasm',
  graph: 'graph',
  kept: 'graph, nothing computed again',
  cpu: 'cpu',
  tfjs: 'raw tfjs on wasm',
  node: 'raw tfjs-node',
  jaxJs: 'jax-js on wasm',
  pytorch: 'PyTorch',
} as const

/** The largest difference of losses, relative, that float32 explains: of the first, and after one update. */
const tolerance = { firstLoss: 1e-3, secondLoss: 1e-2 }

/** Contenders that are refused unless their first losses are those of the first one: all compute the same. */
const agreeing = (contenders: readonly Contender[]): readonly Contender[] => {
  const standard = new Map<string, number>()
  const checked = (outcome: Outcome): Outcome =>
    pipe(
      outcome,
      E.flatMap(measured => {
        for (const [fact, most] of Object.entries(tolerance)) {
          const loss = Number(measured.facts[fact])
          const expected = standard.get(fact) ?? loss
          standard.set(fact, expected)
          if (!(Math.abs(loss / expected - 1) <= most)) return E.left(`${fact} is ${loss}, not ${expected}`)
        }
        return E.right(measured)
      }),
    )
  return contenders.map(contender => ({ ...contender, measure: async () => checked(await contender.measure()) }))
}

const script = fileURLToPath(new URL('../peers/small.py', import.meta.url))

/** Training steps of three small programs on every target, beside what a user of each peer would write. */
export const small: Case = {
  name: 'small',
  about: 'an MLP, a GRU and a small transformer against raw tfjs, jax-js and PyTorch; the first step on wasm',
  run: async ({ quick, say, alternate }) => {
    const [jaxJs, python] = [await installJaxJs('small-jax-js.mjs'), await installPyTorch(say)]
    const span: Span = quick
      ? { warmUp: 0, least: 1, most: 1, milliseconds: 0 }
      : { warmUp: 3, least: 5, most: 400, milliseconds: 1500 }
    // steps of seconds
    const few: Span = quick ? span : { ...span, warmUp: 1, least: 2 }
    const folder = await mkdtemp(join(tmpdir(), 'partensor-bench-'))
    const compared = async (program: SmallName): Promise<readonly Row[]> => {
      const file = join(folder, `${program}.safetensors`)
      await save(file, smallPrograms[program].values())
      const options = JSON.stringify({ program, file, learningRate, span })
      const named = (contender: keyof typeof contenderNames): string => `${program}: ${contenderNames[contender]}`
      const found = await alternate(
        agreeing([
          ours(named('wasm'), 'small', { program, span, target: 'wasm' }),
          installedPeer(named('jaxJs'), jaxJs, ({ node, script: at }) => [node, at, options]),
          ours(named('graph'), 'small', { program, span, target: 'graph' }),
          ...(program === 'transformer'
            ? [ours(named('kept'), 'small', { program, span, target: 'graph', compiler: { recompute: 'none' } })]
            : []),
          installedPeer(named('pytorch'), python, at => [at, script, options]),
          ours(named('tfjs'), 'small-tfjs', { program, backend: 'wasm', file, span: few }, 2),
          ours(named('node'), 'small-tfjs', { program, backend: 'tensorflow', file, span }, 1),
          ours(
            named('cpu'),
            'small',
            { program, span: quick ? span : { ...few, warmUp: 0, least: 1 }, target: 'cpu' },
            1,
          ),
        ]),
      )
      const of = (contender: keyof typeof contenderNames): Figure => figure(found.get(named(contender)))
      const first = (contender: keyof typeof contenderNames): Figure =>
        pipe(
          found.get(named(contender)) ?? E.left('not measured'),
          E.flatMap(({ parts }) => single(parts['firstStep']!, 'ms')),
        )
      const row = (
        mine: 'wasm' | 'graph' | 'kept' | 'cpu',
        peer: 'tfjs' | 'node' | 'jaxJs' | 'pytorch',
        most?: number,
      ): Row =>
        comparedTo(`${about[program]}: ${contenderNames[mine]}, step`, of(mine), contenderNames[peer], of(peer), most)
      const start = `${about[program]}: from compile to the first loss, wasm`
      return [
        row('wasm', 'tfjs', 1),
        row('wasm', 'jaxJs', 1),
        row('graph', 'pytorch', 1.3),
        ...(program === 'transformer' ? [row('kept', 'pytorch', 1.3)] : []),
        row('wasm', 'pytorch'),
        row('graph', 'node'),
        row('cpu', 'tfjs'),
        program === 'mlp'
          ? bounded(start, first('wasm'), '≤ 300 ms', 300)
          : bounded(start, first('wasm'), '', Infinity),
        ...(['tfjs', 'jaxJs'] as const).map(peer =>
          comparedTo(start, first('wasm'), contenderNames[peer], first(peer), undefined),
        ),
      ]
    }
    try {
      const rows: Row[] = []
      for (const program of names) rows.push(...(await compared(program)))
      return { rows, tables: [] }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}
