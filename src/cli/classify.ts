import { Command } from 'commander'
import { classify, type ClassifyOptions } from '../program/index.ts'
import { printable } from '../text/index.ts'
import { telling, type Context, type Json } from './context.ts'
import { withQuantizeOptions } from './method.ts'
import {
  adaptersOption,
  jsonOption,
  modelOption,
  positiveInteger,
  precisionOption,
  targetOption,
  threadsOption,
} from './options.ts'
import { skipBrokenOption } from './training.ts'

export const classifyCommand = (context: Context): Command =>
  withQuantizeOptions(
    new Command('classify')
      .description('Name the likeliest classes of an image, or of each image of a folder.')
      .addOption(modelOption())
      .addOption(adaptersOption()),
  )
    .requiredOption('--image <path>', 'a PNG, JPEG or WebP file, or a folder of them')
    .option('--top <n>', 'classes of each image', positiveInteger, 5)
    .option('--batch <n>', 'images that are computed together', positiveInteger, 8)
    .addOption(skipBrokenOption())
    .addOption(targetOption())
    .addOption(threadsOption())
    .addOption(precisionOption())
    .addOption(jsonOption())
    .action(async ({ json, ...options }: ClassifyOptions & Json) => {
      const signal = context.interrupted({ needsOutput: true })
      for await (const event of classify({ ...options, ...telling(context, json), signal })) {
        const { file, classes } = event
        const named = classes.map(({ name, probability }) => `${printable(name)} ${(100 * probability).toFixed(2)} %`)
        context.out.write(json ? `${JSON.stringify(event)}\n` : `${printable(file)}: ${named.join(', ')}\n`)
      }
    })
