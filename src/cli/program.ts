import { Command, Option } from 'commander'
import { explanationText } from '../compile/index.ts'
import {
  continuePrompt, doctor, evaluate, explainModel, finetune, humanReport, jsonReport, projections, scheduleNames, showBytes, version,
  type ContinueOptions, type EvaluateOptions, type ExplainOptions, type FinetuneOptions, type Terminal,
} from '../train/index.ts'
import { nativeCommand } from './native.ts'
import {
  adapterOption, jsonOption, list, modelOption, naturalNumber, notNegative, positiveInteger, precisionOption, seedOption, targetOption, threadsOption,
} from './options.ts'

/** What a command line runs against. */
export interface Context extends Terminal {
  /** A signal that is aborted when the user interrupts; until it is asked for, an interrupt ends the process. */
  interrupted(): AbortSignal
  exit(code: number): void
}
interface Json { readonly json?: true }
/** Tells people which target `auto` has taken, and why; programs hear nothing of it. */
const telling = ({ err }: Terminal, json: true | undefined): Pick<FinetuneOptions, 'onTarget'> =>
  json ? {} : { onTarget: (target, reason) => { err.write(`target: ${target} (${reason})\n`) } }

const modulesOption = (): Option => new Option('--target-modules <names>', 'modules to tune, by the last word of their path; full knows "all" too')
  .argParser(list).default(projections, projections.join(','))
const methodOption = (): Option =>
  new Option('--method <name>', 'paca trains some columns of each module, full all of it').choices(['paca', 'full']).default('paca')
const rankOption = (): Option => new Option('--rank <n>', 'columns of each module that paca trains (default: 8)').argParser(positiveInteger)
const rows = 'JSON lines: {"text"}, {"prompt","completion"}, {"messages"} or {"input_ids","labels","attention_mask"}'

const finetuneCommand = ({ interrupted, exit, ...terminal }: Context): Command => new Command('finetune')
  .description('Fine-tune a model and save the adapter.')
  .addOption(modelOption())
  .requiredOption('--data <file>', `rows to train on, ${rows}`)
  .option('--eval <file>', 'rows to evaluate on, before and after')
  .addOption(methodOption()).addOption(rankOption()).addOption(modulesOption())
  .addOption(seedOption('of the selection of columns and the order of rows'))
  .option('--columns <file>', 'take the selection from a safetensors file: columns.<module path>, int32')
  .addOption(new Option('--steps <n>', 'updates to make').argParser(positiveInteger).conflicts('epochs'))
  .addOption(new Option('--epochs <n>', 'passes over the rows, in place of --steps (default: 1)').argParser(positiveInteger))
  .option('--batch <n>', 'rows of a micro-batch', positiveInteger, 2)
  .option('--seq <n>', 'tokens of a row at most; longer ones are cut (default: 512, or what the model reads)', positiveInteger)
  .option('--accumulate <n>', 'micro-batches of a step', positiveInteger, 1)
  .option('--no-shuffle', 'take rows in the order of the file')
  .option('--lr <x>', 'the highest learning rate', notNegative, 1e-4)
  .addOption(new Option('--schedule <name>', 'how the learning rate goes on after the warm-up').choices(scheduleNames).default('constant'))
  .option('--warmup <n>', 'steps until the learning rate is at its highest', naturalNumber, 0)
  .option('--weight-decay <x>', "AdamW's decay of what is trained", notNegative, 0.01)
  .option('--clip <x>', 'the largest norm of a gradient; 0 for none', notNegative, 1)
  .addOption(targetOption()).addOption(threadsOption()).addOption(precisionOption())
  .requiredOption('--out <dir>', 'where the adapter goes: a new or an empty directory')
  .addOption(jsonOption())
  .action(async ({ json, ...options }: FinetuneOptions & Json) => {
    const report = (json ? jsonReport : humanReport)(terminal)
    try {
      for await (const event of finetune({ ...options, ...telling(terminal, json), signal: interrupted() })) {
        report.show(event)
        if (event.event === 'done' && event.interrupted) exit(130)
      }
    } finally { report.stop() }
  })

const evaluateCommand = (context: Context): Command => new Command('evaluate')
  .description('Compute the loss of a model over a data set.')
  .addOption(modelOption()).addOption(adapterOption())
  .requiredOption('--data <file>', `rows to evaluate on, ${rows}`)
  .option('--batch <n>', 'rows that are computed together', positiveInteger, 2)
  .option('--seq <n>', 'tokens of a row at most; longer ones are cut (default: 512, or what the model reads)', positiveInteger)
  .addOption(targetOption()).addOption(threadsOption()).addOption(precisionOption()).addOption(jsonOption())
  .action(async ({ json, ...options }: EvaluateOptions & Json) => {
    const result = await evaluate({ ...options, ...telling(context, json) }, message => { context.err.write(`warning: ${message}\n`) })
    const { loss, perplexity, tokens } = result
    context.out.write(json ? `${JSON.stringify(result)}\n` : `loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)}, ${tokens} scored tokens\n`)
  })

const generateCommand = (context: Context): Command => new Command('generate')
  .description('Continue a prompt.')
  .addOption(modelOption()).addOption(adapterOption())
  .requiredOption('--prompt <text>', 'the text to continue')
  .option('--max-tokens <n>', 'tokens to generate at most', positiveInteger, 64)
  .option('--chat', "the prompt is a user's message, written with the model's chat template", false)
  .option('--temperature <x>', 'draw tokens from softmax(logits / temperature); 0 takes the likeliest', notNegative, 0)
  .addOption(seedOption('of the draws'))
  .addOption(targetOption()).addOption(threadsOption()).addOption(precisionOption()).addOption(jsonOption())
  .action(async ({ json, ...options }: ContinueOptions & Json) => {
    const result = await continuePrompt({ ...options, ...telling(context, json) }, json ? undefined : piece => { context.out.write(piece) })
    context.out.write(json ? `${JSON.stringify(result)}\n` : '\n')
  })

const explainCommand = ({ out }: Context): Command => new Command('explain')
  .description('Say what a training step keeps, per leaf and in total, before it runs.')
  .addOption(modelOption())
  .addOption(methodOption()).addOption(rankOption()).addOption(modulesOption())
  .addOption(seedOption('of the selection of columns'))
  .option('--batch <n>', 'rows of a micro-batch', positiveInteger, 2)
  .option('--seq <n>', 'tokens of a row', positiveInteger, 512)
  .addOption(new Option('--target <name>', 'whose memory is told').choices(['wasm', 'graph']).default('wasm')).addOption(precisionOption())
  .addOption(jsonOption())
  .action(async ({ json, ...options }: ExplainOptions & Json) => {
    const explanation = await explainModel(options)
    out.write(json ? `${JSON.stringify({ event: 'done', ...explanation })}\n` : `${explanationText(explanation)}\n`)
  })

const doctorCommand = ({ out, exit }: Context): Command => new Command('doctor')
  .description('Say which targets work here, with versions and memory.')
  .addOption(threadsOption()).addOption(jsonOption())
  .action(async ({ json, threads }: Json & { readonly threads?: number }) => {
    const found = await doctor(threads)
    if (!found.targets.some(({ works }) => works)) exit(1)
    out.write(json ? `${JSON.stringify(found)}\n` : [
      ...found.targets.map(({ target, works, detail }) => `${target.padEnd(10)} ${works ? 'works' : 'does not work'}: ${detail}`),
      `${'memory'.padEnd(10)} ${showBytes(found.memory.total)}, ${showBytes(found.memory.free)} free; ${found.cores} cores; ${found.platform}`,
      `${'versions'.padEnd(10)} ${Object.entries(found.versions).map(([name, v]) => `${name} ${v}`).join(', ')}`,
      `${'models'.padEnd(10)} ${found.cache}`, '',
    ].join('\n'))
  })

/** The command line as data: what it accepts, and the program that each command runs. */
export const commandLine = (context: Context): Command =>
  [finetuneCommand, evaluateCommand, generateCommand, explainCommand, doctorCommand, nativeCommand].reduce(
    (program, command) => program.addCommand(command(context)),
    new Command('partensor').description('Fine-tune LLaMA models on TensorFlow.js with PaCA, and use what comes out.').version(version))
