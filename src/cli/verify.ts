import { Command, Option } from 'commander'
import { checkFile, verifyModel, type VerifyModelEvent, type VerifyModelOptions } from '../program/index.ts'
import type { CertificateReport, ConvergenceCertificate } from '../verify/index.ts'
import { telling, warn, type Context, type Json } from './context.ts'
import { methodOption, selectOption, selectStepsOption, withMethodOptions } from './method.ts'
import {
  jsonOption,
  notNegative,
  positiveInteger,
  precisionOption,
  seedOption,
  targetOption,
  threadsOption,
} from './options.ts'
import { labelledImages, optimizerOption, rows, seqOption, skipBrokenOption } from './training.ts'

const short = (x: number): string =>
  x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(3) : x.toPrecision(5)
const percent = (x: number): string => `${(100 * x).toFixed(1)}%`

const progress = ({ err }: Context, event: VerifyModelEvent): void => {
  switch (event.event) {
    case 'warning':
      warn({ err }, event.message)
      break
    case 'bound':
      err.write(`L is at most ${short(event.value)}: proved, over ${event.head}\n`)
      break
    case 'unproved':
      err.write(`L is estimated: ${event.reason}\n`)
      break
    case 'estimate':
      err.write(
        `L of ${event.of} after ${event.at} steps: about ${short(event.value)}, estimated from below (last change ${percent(event.change)})\n`,
      )
      break
    case 'step':
      err.write(
        `step ${event.step}: loss ${short(event.loss)} → ${short(event.next)}, ‖∇P‖ ${short(event.gradNorm)}, L ${short(event.curvature)}\n`,
      )
      break
    case 'done':
      break
  }
}

/** A summary of a certificate in a few lines. */
const summaryText = ({
  subject,
  optimizer,
  curvature,
  masks,
  summary,
  claims,
  assumed,
}: ConvergenceCertificate): string =>
  [
    `${subject.method}, ${subject.trained.toLocaleString('en')} trained parameters, ${subject.rows} rows, ${optimizer.name} at the rate ${short(optimizer.lr)}, on ${subject.target}`,
    curvature.kind === 'proved'
      ? `L ≤ ${short(curvature.value)}: proved`
      : `L is about ${short(curvature.value)}: estimated. ${curvature.caution}`,
    ...(masks
      ? masks.parts.map(
          part =>
            `at the first weights, estimated: ${part.name} ${short(part.curvature.value)}, ${masks.all.name} ${short(masks.all.curvature.value)}: ` +
            (part.atMostAll
              ? 'the part is at most the whole'
              : 'the part is above the whole, so one of them is not found yet'),
        )
      : []),
    `${summary.steps} steps: ${summary.descended} descended, ${summary.ascended} ascended; the inequality is violated in ${summary.violations}, within rounding in ${summary.withinRounding}`,
    `least slack ${short(summary.leastSlack)}; the steps needed L ≥ ${summary.largestNeeded === null ? 'nothing' : short(summary.largestNeeded)}; ` +
      `η L is ${short(summary.rateTimesCurvature)} at most${summary.largestRate === null ? '' : `, and the largest rate below 2/L ${short(summary.largestRate)}`}`,
    ...(summary.gradientBound === null
      ? []
      : [
          `the least ‖∇P‖² is ${short(summary.leastSquaredGradient)}, and N steps promise ${short(summary.gradientBound)} or less`,
        ]),
    ...(claims.length > 0
      ? claims.map(claim => `proved: ${claim}`)
      : ['nothing is proved of this run: it was measured']),
    ...(claims.length > 0 ? assumed.map(one => `assumed: ${one}`) : []),
  ].join('\n')

const checkedText = ({ certificate, checked, trusted }: CertificateReport): string =>
  [
    summaryText(certificate),
    ...checked.map(one => `checked: ${one}`),
    ...trusted.map(one => `not checked: ${one}`),
  ].join('\n')

type Asked = Partial<Pick<VerifyModelOptions, 'model' | 'data'>> &
  Omit<VerifyModelOptions, 'model' | 'data'> &
  Json & { readonly check?: string }

export const verifyCommand = (context: Context): Command => {
  const command = withMethodOptions(
    new Command('verify')
      .description(
        'Hold the steps of a run to Theorem 1: a bound or an estimate of the curvature L, slack and violations, the largest safe rate, a certificate.',
      )
      .addOption(new Option('--model <path>', 'a Hugging Face directory or a GGUF file'))
      .addOption(new Option('--data <path>', `${rows}; ${labelledImages}`))
      .addOption(
        new Option('--check <certificate>', 'check a certificate, without the run').conflicts(['model', 'data', 'out']),
      )
      .addOption(methodOption()),
  )
    .addOption(selectOption())
    .addOption(selectStepsOption())
    .option('--rows <n>', 'rows or images whose mean loss is followed: the first ones', positiveInteger, 8)
    .option('--batch <n>', 'rows or images that are computed together', positiveInteger, 2)
    .addOption(seqOption())
    .addOption(skipBrokenOption())
    .option('--steps <n>', 'updates to make', positiveInteger, 20)
    .addOption(
      new Option(
        '--lr <x>',
        'the rate of every step (default: 1/L of a proved bound, 1/2L of the first estimate; of another optimizer than sgd, its own)',
      ).argParser(notNegative),
    )
    .addOption(
      optimizerOption('sgd: gradient descent, which the theorem is of; another is only measured').default('sgd'),
    )
    .addOption(
      new Option('--weight-decay <x>', 'of another optimizer than sgd (default: its own)').argParser(notNegative),
    )
    .option('--clip <x>', 'of another optimizer than sgd: the largest norm of a gradient; 0 for none', notNegative, 1)
    .addOption(
      new Option('--proof <how>', 'whether a proved bound of L is asked for')
        .choices(['require', 'prefer', 'never'])
        .default('prefer'),
    )
    .option(
      '--iterations <n>',
      'Hessian-vector products of the first estimate; later ones take a quarter',
      positiveInteger,
      20,
    )
    .option('--all-weights', 'estimate the curvature of all weights too, at the first ones')
    .addOption(seedOption('of the selection of columns, and of the first direction'))
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
    .option('--out <dir>', 'where the certificate and a picture go: a new or an empty directory')
    .addOption(jsonOption())
  return command.action(async ({ json, check, model, data, ...options }: Asked) => {
    if (check !== undefined) {
      const report = await checkFile(check)
      context.out.write(json ? `${JSON.stringify(report)}\n` : `${checkedText(report)}\n`)
      return
    }
    if (model === undefined || data === undefined)
      return command.error(
        `error: required option '--${model === undefined ? 'model <path>' : 'data <file>'}' not specified`,
      )
    const signal = context.interrupted({ needsOutput: options.out === undefined })
    await verifyModel({ ...options, ...telling(context, json), model, data, signal }, event => {
      if (json) context.out.write(`${JSON.stringify(event)}\n`)
      else if (event.event === 'done') context.out.write(`${summaryText(event.certificate)}\n`)
      else progress(context, event)
    })
  })
}
