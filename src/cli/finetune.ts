import { Command } from 'commander'
import { finetune, humanReport, jsonReport, type FinetuneOptions } from '../program/index.ts'
import { telling, type Context, type Json } from './context.ts'
import { methodOption, selectOption, selectStepsOption, withMethodOptions } from './method.ts'
import { jsonOption, modelOption, seedOption } from './options.ts'
import { labelledImages, rows, withTrainingOptions } from './training.ts'

export const finetuneCommand = ({ interrupted, ...terminal }: Context): Command =>
  withTrainingOptions(
    withMethodOptions(
      new Command('finetune')
        .description('Fine-tune a model and save the adapter.')
        .addOption(modelOption())
        .requiredOption('--data <path>', `what to train on: ${rows}; ${labelledImages}`)
        .option('--eval <path>', 'what to evaluate on, before and after')
        .option(
          '--adapter <dir>',
          "go on from an adapter, Partensor's or PEFT's: its method, rank, alpha and targets are taken",
        )
        .addOption(methodOption()),
    )
      .addOption(selectOption())
      .addOption(selectStepsOption())
      .option('--columns <file>', 'take the selection from a safetensors file: columns.<module path>, int32')
      .addOption(
        seedOption('of the selection of columns, of what is added at random, of a new head, and of the order of rows'),
      ),
  )
    .option(
      '--save-optimizer',
      "save the optimizer's moments too, so that a run that goes on from the adapter has them",
    )
    .requiredOption('--out <dir>', 'where the adapter goes: a new or an empty directory')
    .addOption(jsonOption())
    .action(async ({ json, ...options }: FinetuneOptions & Json) => {
      const report = (json ? jsonReport : humanReport)(terminal)
      try {
        const signal = interrupted({ needsOutput: false })
        for await (const event of finetune({ ...options, ...telling(terminal, json), signal })) report.show(event)
      } finally {
        report.stop()
      }
    })
