import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ours, type Outcome } from '../measure.ts'
import type { SubjectName, MethodName } from '../subject.ts'
import { bytesFigure, comparison, type Figure, type Row } from '../table.ts'
import type { Case } from './case.ts'

interface Subject {
  readonly model: SubjectName
  readonly method: MethodName
  readonly batch: number
  readonly seq: number
}
const subjects: readonly [Subject, ...Subject[]] = [
  { model: 'four layers', method: 'paca', batch: 2, seq: 256 },
  { model: 'four layers', method: 'full', batch: 2, seq: 256 },
  { model: 'SmolLM2', method: 'paca', batch: 1, seq: 128 },
  { model: 'SmolLM2', method: 'paca', batch: 2, seq: 256 },
]

/** The certified bytes of a step, compared with tfjs's count and the growth of the wasm heap. */
export const certificate: Case = {
  name: 'certificate',
  about: 'certified bytes against the peak of tf.memory() and the growth of the heap',
  run: async ({ quick, alternate }) => {
    const rows: Row[] = []
    for (const { model, method, batch, seq } of quick ? subjects.slice(0, 1) : subjects) {
      const name = `${model}, ${method}, ${batch} × ${seq}`
      const options = { model, method, batch, seq, threads: 2, warmUp: 0, steps: 4 }
      const found = await alternate([ours(`certificate of ${name}`, 'certificate', options)], 1)
      const outcome: Outcome = found.get(`certificate of ${name}`) ?? E.left('not measured')
      const bytes = (fact: string): Figure =>
        pipe(
          outcome,
          E.flatMap(({ facts, peakMegabytes }) => bytesFigure(Number(facts[fact]), peakMegabytes)),
        )
      const certified = bytes('certifiedBytes')
      rows.push(
        comparison(
          `${name}: peak of tf.memory()`,
          bytes('peakBytes'),
          'certificate',
          certified,
          'equal',
          ratio => ratio === 1,
        ),
        comparison(
          `${name}: growth of the heap`,
          bytes('heapGrowthBytes'),
          'certificate',
          certified,
          'within 10%',
          ratio => Math.abs(ratio - 1) <= 0.1,
        ),
        comparison(`${name}: of it ever written to`, bytes('touchedBytes'), 'certificate', certified),
      )
    }
    return { rows, tables: [] }
  },
}
