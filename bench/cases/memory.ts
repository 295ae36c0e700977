import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { foresee } from '../../src/backend/index.ts'
import { ours, installedPeer, type Contender, type Outcome } from '../measure.ts'
import { installPyTorch, pytorchCommand, type PyTorchOptions } from '../peers/python.ts'
import { stepOf, subject } from '../subject.ts'
import { bounded, comparedTo, figure, single, type Figure, type Row } from '../table.ts'
import type { TargetedStepOptions } from '../tasks/step.ts'
import type { Case } from './case.ts'

/** Batches of 512 and of 2048 tokens. */
export const shapes = [
  { batch: 2, seq: 256 },
  { batch: 1, seq: 2048 },
] as const
export type BatchShape = (typeof shapes)[number]

export const places = [
  { name: 'graph', target: 'graph', precision: 'bf16' },
  { name: 'wasm', target: 'wasm', precision: 'f32' },
] as const
export type Place = (typeof places)[number]

export const methods = ['paca', 'lora'] as const
type Method = (typeof methods)[number]
export const label = { paca: 'PaCA', lora: 'LoRA' } as const

export const recomputations = ['as it is', 'checkpointing', 'half of what is held'] as const
type Recomputation = (typeof recomputations)[number]

export const shapeIs = ({ batch, seq }: BatchShape): string => `${batch} × ${seq}`
export const mineIs = (place: Place, method: Method, recomputation: Recomputation, shape: BatchShape): string =>
  `${place.name} ${place.precision}, ${shapeIs(shape)}: ${label[method]}, ${recomputation}`

/** PEFT's LoRA as it is, and as TRL runs it: layers are computed again, and the loss takes some rows at a time. */
export const peers = [
  { name: 'PEFT LoRA', options: {} },
  { name: 'PEFT LoRA, checkpointing and loss in pieces', options: { checkpointing: true, lossRows: 64 } },
] as const satisfies readonly { readonly name: string; readonly options: Partial<PyTorchOptions> }[]
export const peerIs = (place: Place, shape: BatchShape, { name }: (typeof peers)[number]): string =>
  `${name} ${place.precision}, ${shapeIs(shape)}`

/** Weights and state, and half of what the plan that recomputes little holds beyond them. */
const halfOf = async (place: Place, method: Method, shape: BatchShape): Promise<number> => {
  const { model, close } = await subject('SmolLM2')
  try {
    const { target, precision } = place
    const { certificate } = await foresee(stepOf(model, method), { target, precision })
    const { weights, state, total } = certificate(shape)
    return Math.ceil((weights + state + total) / 2)
  } finally {
    await close()
  }
}

/** The peak of a process during its steps, after what loading has taken. */
const stepPeak = (outcome: Outcome | undefined): Figure =>
  pipe(
    outcome ?? E.left('not measured'),
    E.flatMap(({ facts }) => single(Number(facts['stepMegabytes']), 'MB')),
  )

/** The peaks of graph at 2 × 256 that were asked for, in MB, and milliseconds of a step. */
const asked = { megabytes: 703, milliseconds: 1500 } as const

const rowsOf = (place: Place, shape: BatchShape, found: ReadonlyMap<string, Outcome>): readonly Row[] => {
  const tokens = shape.batch * shape.seq
  const careful = peerIs(place, shape, peers[1])
  const theirs = found.get(careful)
  const own = methods.flatMap(method =>
    recomputations.flatMap((recomputation): readonly Row[] => {
      const name = mineIs(place, method, recomputation, shape)
      const mine = found.get(name)
      return [
        comparedTo(`${name}: step`, figure(mine, tokens), careful, figure(theirs, tokens), undefined),
        comparedTo(`${name}: peak of steps`, stepPeak(mine), careful, stepPeak(theirs), undefined),
      ]
    }),
  )
  const [plain] = peers
  const raw = found.get(peerIs(place, shape, plain))
  const between = [
    comparedTo(`${careful}: step`, figure(theirs, tokens), plain.name, figure(raw, tokens), undefined),
    comparedTo(`${careful}: peak of steps`, stepPeak(theirs), plain.name, stepPeak(raw), undefined),
  ]
  if (place.target !== 'graph' || shape !== shapes[0]) return [...own, ...between]
  const least = mineIs(place, 'paca', 'checkpointing', shape)
  const recomputed = found.get(least)
  return [
    ...own,
    ...between,
    bounded(`${least}: peak of steps`, stepPeak(recomputed), `≤ ${asked.megabytes} MB`, asked.megabytes),
    bounded(`${least}: step`, figure(recomputed, tokens), `≤ ${asked.milliseconds} ms`, asked.milliseconds),
  ]
}

/** Steps with more and more recomputation on one target, beside PEFT's with and without it. */
const memoryOn = (place: Place): Case => ({
  name: `memory-${place.name}`,
  about: `SmolLM2, ${place.name} ${place.precision}: time and peak of steps that recompute more and more, beside PEFT's LoRA`,
  optional: true,
  run: async ({ quick, say, alternate }) => {
    const python = await installPyTorch(say)
    const rows: Row[] = []
    for (const shape of quick ? shapes.slice(0, 1) : shapes) {
      const { target, precision } = place
      const steps = target === 'graph' ? { warmUp: 2, steps: 4 } : { warmUp: 1, steps: 1 }
      const common = { model: 'SmolLM2', ...shape, ...(quick ? { warmUp: 1, steps: 1 } : steps) } as const
      const contenders: Contender[] = []
      for (const method of methods) {
        const options: Readonly<Record<Recomputation, Pick<TargetedStepOptions, 'recompute' | 'memory'>>> = {
          'as it is': {},
          'checkpointing': { recompute: 'all' },
          'half of what is held': { memory: await halfOf(place, method, shape) },
        }
        for (const recomputation of recomputations)
          contenders.push(
            ours(mineIs(place, method, recomputation, shape), 'step', {
              ...common,
              method,
              target,
              precision,
              ...options[recomputation],
            }),
          )
      }
      for (const peer of peers)
        contenders.push(
          installedPeer(peerIs(place, shape, peer), python, at =>
            pytorchCommand(at, { ...common, method: 'lora', precision, ...peer.options }),
          ),
        )
      rows.push(...rowsOf(place, shape, await alternate(contenders)))
    }
    return { rows, tables: [] }
  },
})

export const memory: readonly Case[] = places.map(memoryOn)
