import { Command, InvalidArgumentError, Option } from 'commander'
import { precisions, targetNames } from '../backend/index.ts'
import { publishedNames } from '../model/index.ts'
import { machineNames, planModel, sweeps, type PlanModelOptions } from '../program/index.ts'
import { methodNames, optimizerNames, type MethodName } from '../tune/index.ts'
import { telling, type Context, type Json } from './context.ts'
import { methodOption, withMethodOptions } from './method.ts'
import {
  checkpointingOption,
  choices,
  htmlOption,
  jsonOption,
  memoryOption,
  positiveInteger,
  seedOption,
} from './options.ts'
import { planResultText } from './plan-text.ts'
import { optimizerOption } from './training.ts'

/** Reads methods by name, or the word for all of them. */
const someMethods = (text: string): readonly MethodName[] => {
  if (text === 'all') return methodNames
  try {
    return choices(methodNames)(text)
  } catch {
    throw new InvalidArgumentError(
      `It must be all, or some of ${methodNames.join(', ')}, separated by commas, each once.`,
    )
  }
}

export const planCommand = (context: Context): Command =>
  withMethodOptions(
    new Command('plan')
      .description('Plan a training step from shapes alone: what it needs, and what fits a device.')
      .addOption(
        new Option(
          '--model <name>',
          `${publishedNames.join(', ')}; or a config.json, a directory or a checkpoint file`,
        ).makeOptionMandatory(),
      )
      .addOption(methodOption()),
  )
    .addOption(
      new Option('--methods <names>', 'methods side by side, separated by commas, or all')
        .argParser(someMethods)
        .conflicts(['method', 'sweep']),
    )
    .addOption(seedOption('of the selection of columns'))
    .option('--batch <n>', 'rows or images of a micro-batch', positiveInteger, 1)
    .addOption(new Option('--seq <n>', 'tokens of a row (default: 512)').argParser(positiveInteger))
    .addOption(
      new Option('--accumulate <n>', 'micro-batches of a step, whose gradients are added up').argParser(
        positiveInteger,
      ),
    )
    .addOption(
      new Option('--device <name>', `what it has to fit: ${machineNames.join(', ')}, or bytes such as 24GB or 24GiB`),
    )
    .addOption(new Option('--sweep <what>', 'the curve over the length of rows or the size of a batch').choices(sweeps))
    .addOption(
      new Option(
        '--target <name>',
        'whose memory is planned (default: of those that auto takes, the one that needs the least)',
      ).choices(targetNames),
    )
    .addOption(
      new Option('--precision <name>', 'what weights that are not trained are held and multiplied in')
        .choices(precisions)
        .default('f32'),
    )
    .addOption(checkpointingOption())
    .addOption(memoryOption())
    .addOption(optimizerOption('whose state is planned').default(optimizerNames[0]))
    .addOption(htmlOption('the memory of the step, what its layers keep, and what fits'))
    .addOption(jsonOption())
    .action(async ({ json, ...options }: PlanModelOptions & Json) => {
      const result = await planModel({ ...options, ...telling(context, json) })
      context.out.write(
        json ? `${JSON.stringify({ event: 'done', ...result })}\n` : `${planResultText(result, options.sweep)}\n`,
      )
    })
