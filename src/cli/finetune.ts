import { basename } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import * as E from '../either/index.ts'
import {
  finetune,
  humanReport,
  jsonReport,
  logChoice,
  openFollowing,
  type FinetuneOptions,
  type LogChoice,
} from '../program/index.ts'
import { recordOf } from '../tune/index.ts'
import { telling, warn, type Context, type Json } from './context.ts'
import { methodOption, selectOption, selectStepsOption, withMethodOptions } from './method.ts'
import { htmlOption, jsonOption, modelOption, positiveInteger, seedOption } from './options.ts'
import { labelledImages, rows, withTrainingOptions } from './training.ts'

/** Reads one more log. */
const oneMoreLog = (text: string, before: readonly LogChoice[] = []): readonly LogChoice[] => {
  const choice = logChoice(text)
  if (E.isLeft(choice)) throw new InvalidArgumentError(choice.left)
  return [...before, choice.right]
}

interface Followed {
  readonly log?: readonly LogChoice[]
  readonly html?: string
}

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
    .option(
      '--save-every <n>',
      'write a checkpoint after every n steps, beside --out: a run that is stopped goes on from it',
      positiveInteger,
    )
    .option('--resume', 'go on from the last checkpoint of this run; begin if there is none, end if it had finished')
    .addOption(
      new Option(
        '--log <where>',
        'a log of losses, learning rate, gradient norm, speed and memory: tensorboard:DIR or jsonl:FILE; may be given several times',
      ).argParser(oneMoreLog),
    )
    .addOption(htmlOption('the run, kept up to date while it goes on'))
    .requiredOption('--out <dir>', 'where the adapter goes: a new or an empty directory')
    .addOption(jsonOption())
    .action(async ({ json, log = [], html, ...options }: FinetuneOptions & Followed & Json) => {
      const report = (json ? jsonReport : humanReport)(terminal)
      const warning = (message: string): void => {
        warn(terminal, message)
      }
      const method = options.method === undefined ? 'Fine-tuning' : recordOf(options.method).title
      const subject = `${method} on ${basename(options.model)}`
      const page = html === undefined ? {} : { page: { path: html, subject } }
      const following = await openFollowing({ logs: log, ...page }, warning)
      try {
        const signal = interrupted({ needsOutput: false })
        for await (const event of finetune({ ...options, ...telling(terminal, json), signal })) {
          report.show(event)
          await following.follow(event)
        }
      } finally {
        report.stop()
        await following.close()
      }
    })
