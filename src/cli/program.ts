import { Command, Option } from 'commander'
import { targetNames } from '../backend/index.ts'
import { explanationText } from '../compile/index.ts'
import { version } from '../host/index.ts'
import { bytesText, oneLine, printable } from '../text/index.ts'
import { optimizerNames } from '../tune/index.ts'
import {
  continuePrompt,
  doctor,
  evaluate,
  explainModel,
  type ContinueOptions,
  type EvaluateImagesResult,
  type EvaluateOptions,
  type EvaluateResult,
  type ExplainOptions,
} from '../program/index.ts'
import { compareCommand } from './compare.ts'
import { completionCommand } from './completion.ts'
import { configOption } from './config-file.ts'
import { listening, telling, type Context, type Json } from './context.ts'
import { exportCommand } from './export.ts'
import { finetuneCommand } from './finetune.ts'
import { methodOption, withMethodOptions, withQuantizeOptions } from './method.ts'
import { nativeCommand } from './native.ts'
import {
  adaptersOption,
  checkpointingOption,
  htmlOption,
  jsonOption,
  memoryOption,
  modelOption,
  notNegative,
  positiveInteger,
  precisionOption,
  seedOption,
  targetOption,
  threadsOption,
} from './options.ts'
import { labelledImages, optimizerOption, rows, seqOption, skipBrokenOption } from './training.ts'
import { classifyCommand } from './classify.ts'
import { planCommand } from './plan.ts'
import { reproduceCommand } from './reproduce.ts'
import { requiringLast } from './required.ts'
import { verifyCommand } from './verify.ts'

/** The most classes that are listed. */
const mostClasses = 50
const percent = (part: number): string => `${(100 * part).toFixed(2)} %`

/** The result of an evaluation in a few lines: of texts, or of images with the accuracy of each class. */
const evaluationText = (result: EvaluateResult | EvaluateImagesResult): string => {
  if ('tokens' in result) {
    const { loss, perplexity, tokens } = result
    return `loss ${loss.toFixed(4)}, perplexity ${perplexity?.toFixed(2) ?? `e^${loss.toFixed(0)}`}, ${tokens} scored tokens`
  }
  const { loss, top1, top5, images, broken, classes, confusions, out } = result
  const width = Math.max(...classes.map(({ name }) => name.length))
  const shown = classes.filter(({ images: of }) => of > 0).slice(0, mostClasses)
  const more = classes.length - shown.length
  const [worst] = confusions
  return [
    ...shown.map(
      ({ name, images: of, correct, accuracy }) =>
        `${printable(name).padEnd(width)}  ${percent(accuracy ?? 0)}  (${correct} of ${of})`,
    ),
    ...(more > 0 ? [`and ${more} more ${more === 1 ? 'class' : 'classes'}`] : []),
    ...(worst
      ? [`the most frequent mistake: ${printable(worst.label)} as ${printable(worst.predicted)}, ${worst.images} times`]
      : []),
    `top-1 ${percent(top1)}, top-5 ${percent(top5)}, loss ${loss.toFixed(4)}, ${images} images${broken > 0 ? `, and ${broken} broken ones left out` : ''}`,
    ...(out === null ? [] : [`the report and its confusion matrix are in ${printable(out)}`]),
  ].join('\n')
}

const evaluateCommand = (context: Context): Command =>
  withQuantizeOptions(
    new Command('evaluate')
      .description('Compute the loss of a model over a data set; of a classifier, its accuracy too.')
      .addOption(modelOption())
      .addOption(adaptersOption()),
  )
    .requiredOption('--data <path>', `what to evaluate on: ${rows}; ${labelledImages}`)
    .option('--batch <n>', 'rows or images that are computed together', positiveInteger, 2)
    .addOption(seqOption())
    .addOption(skipBrokenOption())
    .option(
      '--out <dir>',
      'where the report on images and a picture of its confusion matrix go: a new or an empty directory',
    )
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
    .addOption(jsonOption())
    .action(async ({ json, ...options }: EvaluateOptions & Json) => {
      const { told, line } = listening(context, json)
      const result = await evaluate({ ...options, ...told })
      context.out.write(json ? line(result) : `${evaluationText(result)}\n`)
    })

const generateCommand = (context: Context): Command =>
  withQuantizeOptions(
    new Command('generate').description('Continue a prompt.').addOption(modelOption()).addOption(adaptersOption()),
  )
    .requiredOption('--prompt <text>', 'the text to continue')
    .option('--max-tokens <n>', 'tokens to generate at most', positiveInteger, 64)
    .option('--chat', "the prompt is a user's message, written with the model's chat template", false)
    .option(
      '--temperature <x>',
      'draw tokens from softmax(logits / temperature); 0 takes the likeliest',
      notNegative,
      0,
    )
    .addOption(seedOption('of the draws'))
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
    .addOption(jsonOption())
    .action(async ({ json, ...options }: ContinueOptions & Json) => {
      const { told, line } = listening(context, json)
      const result = await continuePrompt(
        { ...options, ...told },
        json
          ? undefined
          : piece => {
              context.out.write(piece)
            },
      )
      context.out.write(json ? line(result) : '\n')
    })

const explainCommand = (context: Context): Command =>
  withMethodOptions(
    new Command('explain')
      .description('Say what a training step keeps, per leaf and in total, before it runs.')
      .addOption(modelOption())
      .addOption(methodOption()),
  )
    .addOption(seedOption('of the selection of columns'))
    .option('--batch <n>', 'rows or images of a micro-batch', positiveInteger, 2)
    .addOption(new Option('--seq <n>', 'tokens of a row (default: 512)').argParser(positiveInteger))
    .addOption(new Option('--target <name>', 'whose memory is told').choices(targetNames).default('wasm'))
    .addOption(precisionOption())
    .addOption(checkpointingOption())
    .addOption(memoryOption())
    .addOption(optimizerOption('whose state is told').default(optimizerNames[0]))
    .addOption(htmlOption('the memory of the step, what its layers keep, and why'))
    .addOption(jsonOption())
    .action(async ({ json, ...options }: ExplainOptions & Json) => {
      const explanation = await explainModel({ ...options, ...telling(context, json) })
      context.out.write(
        json ? `${JSON.stringify({ event: 'done', ...explanation })}\n` : `${explanationText(explanation)}\n`,
      )
    })

const doctorCommand = ({ out, exit }: Context): Command =>
  new Command('doctor')
    .description('Say which targets work here, with versions and memory.')
    .addOption(threadsOption())
    .addOption(jsonOption())
    .action(async ({ json, threads }: Json & { readonly threads?: number }) => {
      const found = await doctor(threads)
      if (!found.targets.some(({ works }) => works)) exit(1)
      out.write(
        json
          ? `${JSON.stringify(found)}\n`
          : [
              ...found.targets.map(
                ({ target, works, detail }) => `${target.padEnd(10)} ${works ? 'works' : 'does not work'}: ${detail}`,
              ),
              `${'memory'.padEnd(10)} ${bytesText(found.memory.total)}, ${bytesText(found.memory.free)} free; ${found.cores} cores; ${found.platform}`,
              `${'versions'.padEnd(10)} ${Object.entries(found.versions)
                .map(([name, v]) => `${name} ${v}`)
                .join(', ')}`,
              `${'models'.padEnd(10)} ${found.cache}`,
              '',
            ].join('\n'),
      )
    })

/** Commands with many options, which a file may hold. */
const configured = [
  finetuneCommand,
  evaluateCommand,
  classifyCommand,
  generateCommand,
  compareCommand,
  exportCommand,
  explainCommand,
  planCommand,
  verifyCommand,
]
const others = [reproduceCommand, doctorCommand, nativeCommand, completionCommand]

/**
 * Formats a complaint about a command line: it repeats what was typed, on a line of its own, and a hint follows on the
 * next line.
 */
const complaint = (text: string): string =>
  text
    .trimEnd()
    .split(/\n(?=\(Did you mean )/)
    .map(part => `${oneLine(part)}\n`)
    .join('')

const withComplaints = (command: Command): Command => {
  command.commands.forEach(withComplaints)
  return requiringLast(command).configureOutput({
    outputError: (text, write) => {
      write(complaint(text))
    },
  })
}

/** The command line as data: what it accepts, and the program that each command runs. */
export const commandLine = (context: Context): Command =>
  withComplaints(
    [
      ...configured.map(command => command(context).addOption(configOption())),
      ...others.map(command => command(context)),
    ].reduce(
      (program, command) => program.addCommand(command),
      new Command('partensor')
        .description(
          'Fine-tune language models and image classifiers on TensorFlow.js with PaCA and its rivals, and use what comes out.',
        )
        .version(version),
    ),
  )
