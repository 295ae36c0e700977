import { basename, join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import * as E from '../either/index.ts'
import { replaceFile } from '../host/index.ts'
import {
  finetune,
  humanReport,
  jsonReport,
  logChoice,
  openFollowing,
  type FinetuneEvent,
  type FinetuneOptions,
  type LogChoice,
  type Terminal,
} from '../program/index.ts'
import { recordOf } from '../tune/index.ts'
import { recordedSettings } from './config-file.ts'
import { telling, warn, type Context, type Json } from './context.ts'
import { methodOption, selectOption, selectStepsOption, withMethodOptions } from './method.ts'
import { htmlOption, jsonOption, modelOption, positiveInteger, RepeatedOption, seedOption } from './options.ts'
import { labelledImages, rows, withTrainingOptions } from './training.ts'

const readLog = (text: string): LogChoice => {
  const choice = logChoice(text)
  if (E.isLeft(choice)) throw new InvalidArgumentError(choice.left)
  return choice.right
}

interface Followed {
  readonly log?: readonly LogChoice[]
  readonly html?: string
  readonly dryRun?: true
}

/** The options that say what becomes of a run, and not what it is: another run has its own. */
const ofThisRun: ReadonlySet<string> = new Set(['out', 'log', 'html', 'resume', 'dry-run', 'json', 'config'])
/** The file beside an adapter with the options of its run. */
const settingsFile = 'settings.json'

/** Says what a run would do, and ends it before its first step. */
const rehearse = async (
  events: AsyncIterable<FinetuneEvent>,
  show: (event: FinetuneEvent) => void,
  { out }: Pick<Terminal, 'out'>,
  json: true | undefined,
): Promise<void> => {
  for await (const event of events) {
    show(event)
    if (event.event !== 'start') continue
    out.write(json ? `${JSON.stringify(event)}\n` : 'a dry run: nothing was trained, and nothing was written\n')
    return
  }
}

export const finetuneCommand = ({ interrupted, ...terminal }: Context): Command => {
  const command = withTrainingOptions(
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
      new RepeatedOption(
        '--log <where>',
        'a log of losses, learning rate, gradient norm, speed and memory: tensorboard:DIR or jsonl:FILE; may be given several times',
        readLog,
      ),
    )
    .addOption(htmlOption('the run, kept up to date while it goes on'))
    .requiredOption('--out <dir>', 'where the adapter goes: a new or an empty directory')
    .option('--dry-run', 'check everything, say what the run would take, and end before its first step')
    .addOption(jsonOption())
  const settings = recordedSettings(command)
  return command.action(async ({ json, log = [], html, dryRun, ...options }: FinetuneOptions & Followed & Json) => {
    const report = (json ? jsonReport : humanReport)(terminal)
    const warning = (message: string): void => {
      warn(terminal, message)
    }
    const signal = interrupted({ needsOutput: false })
    const events = finetune({ ...options, ...telling(terminal, json), signal })
    if (dryRun)
      return rehearse(
        events,
        event => {
          report.show(event)
        },
        terminal,
        json,
      )
    const method = options.method === undefined ? 'Fine-tuning' : recordOf(options.method).title
    const subject = `${method} on ${basename(options.model)}`
    const page = html === undefined ? {} : { page: { path: html, subject } }
    const following = await openFollowing({ logs: log, ...page }, warning)
    try {
      for await (const event of events) {
        report.show(event)
        await following.follow(event)
        if (event.event !== 'done' || event.adapter === null) continue
        const kept = Object.entries(settings()).filter(([name]) => !ofThisRun.has(name))
        const content = `${JSON.stringify(Object.fromEntries(kept), undefined, 2)}\n`
        const written = await replaceFile(join(event.adapter, settingsFile), content)()
        if (E.isLeft(written)) warning(`${written.left.message}: the options of the run are not beside its adapter`)
      }
    } finally {
      report.stop()
      await following.close()
    }
  })
}
