import { InvalidArgumentError, Option, type Command } from 'commander'
import { scheduleNames } from '../train/index.ts'
import { optimizerNames, optimizers, type Optimizer } from '../tune/index.ts'
import {
  anyNumber,
  checkpointingOption,
  memoryOption,
  naturalNumber,
  notNegative,
  numbersByName,
  positiveInteger,
  precisionOption,
  share,
  targetOption,
  threadsOption,
} from './options.ts'

export const rows =
  'JSON lines: {"text"}, {"prompt","completion"}, {"messages"} or {"input_ids","labels","attention_mask"}'
export const labelledImages =
  'for images, a folder of class folders, or JSON lines {"image","label"}, or a CSV file of image,label'
export const skipBrokenOption = (): Option =>
  new Option('--skip-broken', 'leave broken images out, which are named; otherwise the first one is an error')
/** Random changes by name. */
const augmentChoice = (text: string): Readonly<Record<string, number>> => {
  const found = numbersByName(share)(text)
  const unknown = Object.keys(found).find(name => !['crop', 'flip', 'jitter'].includes(name))
  if (unknown !== undefined)
    throw new InvalidArgumentError('It must be some of crop, flip and jitter, each with a number.')
  return found
}
const augmentOption = (): Option =>
  new Option(
    '--augment <pairs>',
    'random changes of training images, as crop=0.5,flip=0.5,jitter=0.3: a box of at least that part of the area, the probability of a mirror image, the strength of two changes of colour',
  ).argParser(augmentChoice)
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
      new Option('--epochs <n>', 'passes over the data, in place of --steps (default: 1)').argParser(positiveInteger),
    )
    .option('--batch <n>', 'rows or images of a micro-batch', positiveInteger, 2)
    .addOption(seqOption())
    .addOption(augmentOption())
    .addOption(skipBrokenOption())
    .option('--frozen-statistics', 'leave the running statistics of batch norms as they are, and normalise by them')
    .option('--accumulate <n>', 'micro-batches of a step', positiveInteger, 1)
    .option('--no-shuffle', 'take rows or images in the order of the data')
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
    .addOption(checkpointingOption())
    .addOption(memoryOption())
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
