import { Argument, Command, Option } from 'commander'
import { reproduce, reproducible, type Reproduction } from '../program/index.ts'
import { bytesText } from '../text/index.ts'
import type { Context, Json } from './context.ts'
import { jsonOption } from './options.ts'

/** `paperMaxSeq` as words: paper max seq. */
const words = (key: string): string => key.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)

const shown = (key: string, value: string | number | undefined): string =>
  value === undefined
    ? ''
    : typeof value === 'string'
      ? value
      : key.toLowerCase().endsWith('bytes')
        ? bytesText(value)
        : key.toLowerCase().endsWith('difference')
          ? `${(100 * value).toFixed(1)} %`
          : key.toLowerCase().endsWith('seconds')
            ? `${(1000 * value).toFixed(0)} ms`
            : key.endsWith('Flops')
              ? `${(value / 1e12).toFixed(2)} TFLOP`
              : value.toLocaleString('en')

/** A reproduction for people: its title, a table, and the conditions. */
const reproductionText = ({ title, says, rows }: Reproduction): string => {
  const keys = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const cells = [keys.map(words), ...rows.map(row => keys.map(key => shown(key, row[key])))]
  const widths = keys.map((_, i) => Math.max(...cells.map(line => line[i]!.length)))
  const lines = cells.map(line =>
    line
      .map((cell, i) => (typeof rows[0]?.[keys[i]!] === 'string' ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
  return [title, '', ...lines, '', ...says.map(text => `- ${text}`), ''].join('\n')
}

export const reproduceCommand = ({ out }: Context): Command =>
  new Command('reproduce')
    .description("Compute a table or figure of PaCA's paper from shapes alone, beside the paper's own.")
    .addArgument(new Argument('<what>', `one of ${reproducible.join(', ')}`))
    .addOption(new Option('--ours', "also what this compiler's plan of the same step holds, in bf16 (slow)"))
    .addOption(jsonOption())
    .action(async (what: string, { ours = false, json }: Json & { readonly ours?: boolean }) => {
      const made = await reproduce(what, { ours })
      out.write(json ? `${JSON.stringify(made)}\n` : reproductionText(made))
    })
