import { InvalidArgumentError, Option } from 'commander'
import { precisions, targetNames } from '../target/index.ts'

const numeric = (what: string, valid: (n: number) => boolean) => (text: string): number => {
  const n = text.trim() === '' ? Number.NaN : Number(text)
  if (!valid(n)) throw new InvalidArgumentError(`It must be ${what}.`)
  return n
}

export const positiveInteger = numeric('an integer from 1 on', n => Number.isSafeInteger(n) && n >= 1 && n < 2 ** 31)
export const naturalNumber = numeric('an integer from 0 on', n => Number.isSafeInteger(n) && n >= 0)
export const notNegative = numeric('a number from 0 on', n => Number.isFinite(n) && n >= 0)

export const list = (text: string): readonly string[] => {
  const names = text.split(',').map(name => name.trim()).filter(name => name !== '')
  if (names.length === 0) throw new InvalidArgumentError('It must name modules, separated by commas.')
  return names
}

export const modelOption = (): Option => new Option('--model <path>', 'a Hugging Face directory or a GGUF file').makeOptionMandatory()
export const adapterOption = (): Option => new Option('--adapter <dir>', 'an adapter that finetune saved')
export const targetOption = (): Option => new Option('--target <name>', 'what computes; auto takes graph where there is TensorFlow (`partensor native install`), else wasm').choices(targetNames).default('auto')
export const threadsOption = (): Option =>
  new Option('--threads <n>', 'threads of the wasm target (default: one for each core)').argParser(positiveInteger)
export const precisionOption = (): Option =>
  new Option('--precision <name>', 'what weights that are not trained are held and multiplied in; bf16 and f16 need the graph target').choices(precisions).default('f32')
export const jsonOption = (): Option => new Option('--json', 'print JSON lines, and nothing else, on standard output')
export const seedOption = (what: string): Option => new Option('--seed <n>', what).argParser(naturalNumber).default(0)
