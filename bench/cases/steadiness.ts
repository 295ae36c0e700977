import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { commandOf, measured } from '../measure.ts'
import type { Measurement } from '../measurement.ts'
import { bounded, bytesFigure, comparedTo, single, type Figure } from '../table.ts'
import type { Case } from './case.ts'

const name = '4 layers, graph bf16, 2 × 64'
/**
 * The limits of growth in resident memory: V8 compiles late, and the allocator keeps a little; from half way on there
 * is less of either.
 */
const most = { fromEarly: 1.03, fromHalf: 1.01 } as const

/**
 * The setting by which glibc returns freed memory: room left over from loading the model would otherwise hide tens of
 * megabytes of growth.
 */
const returning = ['env', 'MALLOC_MMAP_THRESHOLD_=65536', 'MALLOC_TRIM_THRESHOLD_=65536'] as const

/** Measures whether a long run holds more and more memory. */
export const steadiness: Case = {
  name: 'steadiness',
  about: 'memory after ten steps and after a thousand on the graph target',
  run: async ({ quick, alternate }) => {
    const warmUp = 10
    const steps = quick ? 100 : 1000
    const options = {
      model: 'four layers',
      target: 'graph',
      precision: 'bf16',
      batch: 2,
      seq: 64,
      warmUp,
      steps,
    } as const
    const measure = () => measured([...returning, ...commandOf('steadiness', options)])
    const outcome = (await alternate([{ name, measure }], 1)).get(name) ?? E.left('not measured')
    const figure = (read: (facts: Measurement['facts']) => Figure): Figure =>
      pipe(
        outcome,
        E.flatMap(({ facts }) => read(facts)),
      )
    const bytes = (fact: string): Figure => figure(facts => bytesFigure(Number(facts[fact]), 0))
    const more = figure(facts => single(Number(facts['lateTensors']) - Number(facts['earlyTensors']), 'tensors'))
    return {
      rows: [
        comparedTo(
          `${name}: resident after ${steps} steps`,
          bytes('lateBytes'),
          `after ${warmUp}`,
          bytes('earlyBytes'),
          most.fromEarly,
        ),
        comparedTo(
          `${name}: resident after ${steps} steps`,
          bytes('lateBytes'),
          `after ${steps / 2}`,
          bytes('halfBytes'),
          most.fromHalf,
        ),
        bounded(`${name}: tensors that tfjs holds after ${steps} steps and not after ${warmUp}`, more, 'none', 0),
      ],
      tables: [],
    }
  },
}
