import { Command, Option } from 'commander'
import { exportAdapter, exportFormats, type ExportOptions } from '../program/index.ts'
import { warn, type Context, type Json } from './context.ts'
import { adaptersOption, jsonOption, modelOption } from './options.ts'

export const exportCommand = ({ out, err, interrupted }: Context): Command =>
  new Command('export')
    .description('Write an adapter merged into its model, as PEFT keeps it, or as Partensor does.')
    .addOption(modelOption())
    .addOption(adaptersOption().makeOptionMandatory())
    .addOption(
      new Option('--as <form>', 'merged: a Hugging Face directory; peft-lora: what PEFT loads')
        .choices(exportFormats)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--dtype <name>', 'what a merged model is stored in (default: what the model is stored in)').choices([
        'f32',
        'bf16',
        'f16',
      ]),
    )
    .requiredOption('--out <dir>', 'a new or an empty directory')
    .addOption(jsonOption())
    .action(async ({ json, ...options }: ExportOptions & Json) => {
      const result = await exportAdapter({ ...options, signal: interrupted({ needsOutput: false }) })
      for (const note of result.notes) warn({ err }, note)
      out.write(
        json
          ? `${JSON.stringify(result)}\n`
          : `${result.as === 'merged' ? 'merged model' : 'adapter'} written to ${result.out}\n`,
      )
    })
