import { Option, type Command } from 'commander'
import { scheduleNames } from '../train/index.ts'
import { naturalNumber, notNegative, positiveInteger, precisionOption, targetOption, threadsOption } from './options.ts'

export const rows =
  'JSON lines: {"text"}, {"prompt","completion"}, {"messages"} or {"input_ids","labels","attention_mask"}'
export const seqOption = (): Option =>
  new Option(
    '--seq <n>',
    'tokens of a row at most; longer ones are cut (default: 512, or what the model reads)',
  ).argParser(positiveInteger)

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
    .option('--lr <x>', 'the highest learning rate', notNegative, 1e-4)
    .addOption(
      new Option('--schedule <name>', 'how the learning rate goes on after the warm-up')
        .choices(scheduleNames)
        .default('constant'),
    )
    .option('--warmup <n>', 'steps until the learning rate is at its highest', naturalNumber, 0)
    .option('--weight-decay <x>', "AdamW's decay of what is trained", notNegative, 0.01)
    .option('--clip <x>', 'the largest norm of a gradient; 0 for none', notNegative, 1)
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
