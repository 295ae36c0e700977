import type { ModelPlan, PlanResult, RefusedPlan, SweepPoint } from '../program/index.ts'
import { recomputedText, sizesText } from '../program/index.ts'
import { bytesText } from '../text/index.ts'

const whole = (n: number): string => n.toLocaleString('en')

/** Rows of cells in columns: the first is text, the others are numbers. */
const aligned = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map(row => (row[i] ?? '').length)))
  return rows
    .map(row =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const fitsText = ({ device, maxBatch, maxSeq, batch, seq, reads }: ModelPlan): readonly string[] => {
  if (device === undefined || maxBatch === undefined) return []
  const rows =
    maxSeq === undefined || reads === undefined || maxSeq <= reads ? '' : `, of which the model reads ${whole(reads)}`
  return [
    `${device.name} holds ${bytesText(device.bytes)}:`,
    `  largest batch${seq === undefined ? '' : ` of ${whole(seq)} tokens`}: ${maxBatch === 0 ? 'none' : whole(maxBatch)}`,
    ...(maxSeq === undefined
      ? []
      : [`  longest rows in a batch of ${whole(batch)}: ${maxSeq === 0 ? 'none' : `${whole(maxSeq)} tokens${rows}`}`]),
  ]
}

const sweepText = (of: string, points: readonly SweepPoint[]): string =>
  aligned([
    [of, 'saved', 'passing', 'total', ...(points[0]?.fits === undefined ? [] : ['fits'])],
    ...points.map(({ size, saved, passing, total, fits }) => [
      whole(size),
      ...[saved, passing, total].map(bytes => bytesText(bytes)),
      ...(fits === undefined ? [] : [fits ? 'yes' : 'no']),
    ]),
  ])

const planText = (plan: ModelPlan, sweep: string | undefined): string => {
  const { method, target, precision, seq, layers, binds, flops, limit, device, instead, caveat } = plan
  const { trainable, parameters, weights, state, saved, savedPerRow, passing, total } = plan
  return [
    `${method} on ${target} in ${precision}, ${sizesText(plan)}`,
    `trained: ${whole(trainable)} of ${whole(parameters)} parameters`,
    aligned([
      ['weights', bytesText(weights)],
      ['optimizer state', bytesText(state)],
      ['saved for the backward pass', bytesText(saved)],
      ['passing at the peak', bytesText(passing)],
      ['total', bytesText(total)],
    ]),
    `saved for each ${seq === undefined ? 'image' : 'token'}: ${bytesText(savedPerRow)}`,
    // blocks that are none of a model's layers have no name
    ...layers
      .filter(({ layer }) => layer !== '')
      .map(
        ({ layer, layers: n, bytes }) =>
          `saved in ${layer}, ${n} ${n === 1 ? 'layer' : 'layers'}: ${bytesText(bytes)} each`,
      ),
    `largest: ${binds.times > 1 ? `${binds.times} × ` : ''}${bytesText(binds.bytes)} of ${binds.what}`,
    `operations: ${flops.forward.toExponential(3)} forward, ${flops.backward.toExponential(3)} backward`,
    ...(instead === undefined ? [] : [`the plan ${recomputedText(plan)}`]),
    ...fitsText(plan),
    ...(limit !== undefined && total > limit && device !== undefined
      ? [`the ${target} target itself can hold ${bytesText(limit)}`]
      : []),
    ...(caveat === undefined ? [] : [`on ${target} ${caveat}`]),
    ...(sweep === undefined || plan.sweep === undefined ? [] : [sweepText(sweep, plan.sweep)]),
  ].join('\n')
}

const methodsText = (rows: readonly (ModelPlan | RefusedPlan)[]): string => {
  const planned = rows.filter(row => 'trainable' in row)
  const [first] = planned
  const columns = [
    'trained',
    'weights',
    'state',
    'saved',
    'total',
    ...(first?.maxBatch === undefined ? [] : ['largest batch']),
    ...(first?.maxSeq === undefined ? [] : ['longest rows']),
  ]
  const table = [
    ['method', ...columns],
    ...planned.map(({ method, trainable, weights, state, saved, total, maxBatch, maxSeq }) => [
      method,
      whole(trainable),
      ...[weights, state, saved, total].map(bytes => bytesText(bytes)),
      ...[maxBatch, maxSeq].flatMap(n => (n === undefined ? [] : [whole(n)])),
    ]),
  ]
  const refused = rows.flatMap(row => ('refused' in row ? [`${row.method}: ${row.refused}`] : []))
  const caveat = first?.caveat === undefined ? [] : [`on ${first.target} ${first.caveat}`]
  return [...(planned.length > 0 ? [aligned(table)] : []), ...refused, ...caveat].join('\n')
}

/** A plan as text: a table of several methods, or the parts of one. */
export const planResultText = (result: PlanResult, sweep?: string): string =>
  'rows' in result ? methodsText(result.rows) : planText(result, sweep)
