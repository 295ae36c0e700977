import { Command, Option } from 'commander'
import { targetNames } from '../backend/index.ts'
import { explanationText } from '../compile/index.ts'
import { version } from '../host/index.ts'
import { oneLine } from '../text/index.ts'
import { optimizerNames } from '../tune/index.ts'
import {
  continuePrompt,
  doctor,
  evaluate,
  explainModel,
  showBytes,
  type ContinueOptions,
  type EvaluateOptions,
  type ExplainOptions,
} from '../program/index.ts'
import { compareCommand } from './compare.ts'
import { listening, telling, type Context, type Json } from './context.ts'
import { exportCommand } from './export.ts'
import { finetuneCommand } from './finetune.ts'
import { methodOption, withMethodOptions, withQuantizeOptions } from './method.ts'
import { nativeCommand } from './native.ts'
import {
  adaptersOption,
  jsonOption,
  modelOption,
  notNegative,
  positiveInteger,
  precisionOption,
  seedOption,
  targetOption,
  threadsOption,
} from './options.ts'
import { optimizerOption, rows, seqOption } from './training.ts'
import { verifyCommand } from './verify.ts'

const evaluateCommand = (context: Context): Command =>
  withQuantizeOptions(
    new Command('evaluate')
      .description('Compute the loss of a model over a data set.')
      .addOption(modelOption())
      .addOption(adaptersOption()),
  )
    .requiredOption('--data <file>', `rows to evaluate on, ${rows}`)
    .option('--batch <n>', 'rows that are computed together', positiveInteger, 2)
    .addOption(seqOption())
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
    .addOption(jsonOption())
    .action(async ({ json, ...options }: EvaluateOptions & Json) => {
      const { told, line } = listening(context, json)
      const result = await evaluate({ ...options, ...told })
      const { loss, perplexity, tokens } = result
      context.out.write(
        json
          ? line(result)
          : `loss ${loss.toFixed(4)}, perplexity ${perplexity?.toFixed(2) ?? `e^${loss.toFixed(0)}`}, ${tokens} scored tokens\n`,
      )
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
    .option('--batch <n>', 'rows of a micro-batch', positiveInteger, 2)
    .option('--seq <n>', 'tokens of a row', positiveInteger, 512)
    .addOption(new Option('--target <name>', 'whose memory is told').choices(targetNames).default('wasm'))
    .addOption(precisionOption())
    .addOption(optimizerOption('whose state is told').default(optimizerNames[0]))
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
              `${'memory'.padEnd(10)} ${showBytes(found.memory.total)}, ${showBytes(found.memory.free)} free; ${found.cores} cores; ${found.platform}`,
              `${'versions'.padEnd(10)} ${Object.entries(found.versions)
                .map(([name, v]) => `${name} ${v}`)
                .join(', ')}`,
              `${'models'.padEnd(10)} ${found.cache}`,
              '',
            ].join('\n'),
      )
    })

const commands = [
  finetuneCommand,
  evaluateCommand,
  generateCommand,
  compareCommand,
  exportCommand,
  explainCommand,
  verifyCommand,
  doctorCommand,
  nativeCommand,
]

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
  return command.configureOutput({
    outputError: (text, write) => {
      write(complaint(text))
    },
  })
}

/** The command line as data: what it accepts, and the program that each command runs. */
export const commandLine = (context: Context): Command =>
  withComplaints(
    commands.reduce(
      (program, command) => program.addCommand(command(context)),
      new Command('partensor')
        .description('Fine-tune language models on TensorFlow.js with PaCA and its rivals, and use what comes out.')
        .version(version),
    ),
  )
