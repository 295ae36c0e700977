import { Command, Option } from 'commander'
import { compare, comparisonTable, titleOf, type CompareEvent, type CompareOptions } from '../program/index.ts'
import type { Context, Json } from './context.ts'
import { comparedMethods, methodNames } from '../tune/index.ts'
import { selectionRules, selectStepsOption, withMethodOptions } from './method.ts'
import {
  choices,
  htmlOption,
  integers,
  jsonOption,
  modelOption,
  notNegative,
  numbers,
  numbersByName,
} from './options.ts'
import { labelledImages, rows, withTrainingOptions } from './training.ts'

const report = ({ out, err }: Context, event: CompareEvent, sweeping: boolean): void => {
  switch (event.event) {
    case 'contenders':
      for (const { name, rank, trainable } of event.contenders) {
        err.write(
          `${name}${rank === null ? '' : `, rank ${rank}`}: ${trainable.toLocaleString('en')} trained parameters\n`,
        )
      }
      break
    case 'run':
      err.write(
        `${titleOf(event, sweeping)}, seed ${event.seed}: held-out loss ${event.lossBefore.toFixed(4)} → ${event.loss.toFixed(4)}\n`,
      )
      break
    case 'done':
      out.write(`${comparisonTable(event.rows)}\nbefore training: held-out loss ${event.lossBefore.toFixed(4)}\n`)
  }
}

export const compareCommand = (context: Context): Command =>
  withTrainingOptions(
    withMethodOptions(
      new Command('compare')
        .description(
          'Fine-tune with several methods and seeds, at equal trained parameters, and print what each comes to.',
        )
        .addOption(modelOption())
        .requiredOption('--data <path>', `what to train on: ${rows}; ${labelledImages}`)
        .requiredOption('--eval <path>', 'what to evaluate on, before and after')
        .addOption(
          new Option(
            '--methods <names>',
            'methods to compare; the first says how many parameters are trained (default: paca,lora, or none beside --selects)',
          ).argParser(choices(methodNames)),
        )
        .addOption(
          new Option('--selects <names>', 'selections of columns to compare, each a paca of its own').argParser(
            choices(selectionRules),
          ),
        )
        .addOption(
          new Option('--seeds <numbers>', 'seeds of the runs').argParser(integers).default([0, 1, 2], '0,1,2'),
        ),
    )
      .addOption(selectStepsOption())
      .addOption(
        new Option('--lr-of <pairs>', 'other learning rates for some methods, as paca=1e-3,lora=2e-4').argParser(
          numbersByName(notNegative),
        ),
      )
      .addOption(
        new Option('--lrs <numbers>', 'learning rates to run every method at, as 1e-4,1e-3; the best is marked')
          .argParser(numbers(notNegative))
          .conflicts(['lr', 'lrOf']),
      ),
  )
    .addOption(htmlOption('the methods side by side'))
    .addOption(jsonOption())
    .action(
      async ({
        json,
        methods: named,
        ...options
      }: Omit<CompareOptions, 'methods'> & Partial<Pick<CompareOptions, 'methods'>> & Json) => {
        const compared = named ?? (options.selects ? [] : comparedMethods)
        const signal = context.interrupted({ needsOutput: true })
        for await (const event of compare({ ...options, methods: compared, signal }, context.run)) {
          if (!json) report(context, event, options.lrs !== undefined)
          else if (event.event !== 'contenders') context.out.write(`${JSON.stringify(event)}\n`)
        }
      },
    )
