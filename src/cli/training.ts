import { Option, type Command } from 'commander'
import { scheduleNames } from '../train/index.ts'
import { optimizerNames, optimizers, type Optimizer } from '../tune/index.ts'
import {
  anyNumber,
  naturalNumber,
  notNegative,
  numbersByName,
  positiveInteger,
  precisionOption,
  targetOption,
  threadsOption,
} from './options.ts'

export const rows =
  'JSON lines: {"text"}, {"prompt","completion"}, {"messages"} or {"input_ids","labels","attention_mask"}'
export const seqOption = (): Option =>
  new Option(
    '--seq <n>',
    'tokens of a row at most; longer ones are cut (default: 512, or what the model reads)',
  ).argParser(positiveInteger)

/** The default of each optimizer, in words. */
const defaultOf = (value: (of: Optimizer) => number | string): string =>
  `default: ${optimizerNames.map(name => `${value(optimizers[name])} for ${name}`).join(', ')}`
const settingsOf = ({ settings }: Optimizer): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')

export const optimizerOption = (about: string): Option =>
  new Option('--optimizer <name>', about).choices(optimizerNames)

/** Adds the options of a run: its steps, batches, optimizer and target. */
export const withTrainingOptions = (command: Command): Command =>
  command
    .addOption(new Option('--steps <n>', 'updates to make').argParser(positiveInteger).conflicts('epochs'))
    .addOption(
      new Option('--epochs <n>', 'passes over the rows, in place of --steps (default: 1)').argParser(positiveInteger),
    )
    .option('--batch <n>', 'rows of a micro-batch', positiveInteger, 2)
    .addOption(seqOption())
    .option('--accumulate <n>', 'micro-batches of a step', positiveInteger, 1)
    .option('--no-shuffle', 'take rows in the order of the file')
    .addOption(optimizerOption('what makes an update of a gradient').default(optimizerNames[0]))
    .addOption(
      new Option('--optimizer-args <pairs>', `settings of the optimizer (${defaultOf(settingsOf)})`).argParser(
        numbersByName(anyNumber),
      ),
    )
    .addOption(
      new Option('--lr <x>', `the highest learning rate (${defaultOf(({ lr }) => lr)})`).argParser(notNegative),
    )
    .addOption(
      new Option('--schedule <name>', 'how the learning rate goes on after the warm-up')
        .choices(scheduleNames)
        .default('constant'),
    )
    .option('--warmup <n>', 'steps until the learning rate is at its highest', naturalNumber, 0)
    .addOption(
      new Option(
        '--weight-decay <x>',
        `decay of what is trained, times the learning rate (${defaultOf(({ weightDecay }) => weightDecay)})`,
      ).argParser(notNegative),
    )
    .option('--clip <x>', 'the largest norm of a gradient; 0 for none', notNegative, 1)
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
